"""A back end for utterances that are spoofed in part: embeddings of short segments, which say where."""

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import FramePooling
from antideepfake.lobes.layer_aggregation import check_layers
from antideepfake.lobes.masks import at_least_float32, length_mask

POOLINGS = ("attention", "mean")


class FrameLevel(FramePooling):
    """An embedding for each short segment; that of the utterance is their weighted mean.

    Frames are normalized in each layer by itself, projected from all layers side by side and averaged over a segment;
    a convolution adds the neighboring segments, as a segment stands out by its difference from them. Train it with
    :class:`antideepfake.training.FrameLevelBrain`.

    With a linear classifier, the score of the utterance is the weighted mean of the scores of its segments. The weights
    are a softmax of a learned linear function of the embedding, at first equal. The scores are linear functions, too,
    so attention can learn the soft minimum of the scores, with which a single short fake segment makes the utterance
    fake. The mean cannot: it is nearly the same with and without a short fake segment.

    Arguments
    ---------
    n_features : int
        Size of a frame.
    n_layers : int
        Hidden states: one more than the encoder's layers. 1 for a front end that returns only the last.
    frames_per_segment : int
        Frames of the front end in a segment. The default of 8 gives 0.16 s with the usual frames of 20 ms: about the
        length of a syllable.
    context : int
        Segments that the convolution sees at once, an odd number; 1 for the segment alone.
    embedding_size : int
        Size of an embedding.
    pooling : str
        ``attention`` or ``mean``.
    dropout : float
        Of the averaged frames, in training.

    Raises
    ------
    InputError
        When a size is below 1, ``context`` is even, or the pooling is unknown.

    Example
    -------
    >>> back_end = FrameLevel(n_features=384, n_layers=5, frames_per_segment=8).eval()
    >>> states, lengths = torch.randn(2, 5, 50, 384), torch.tensor([1.0, 0.5])
    >>> back_end(states, lengths).shape
    torch.Size([2, 128])
    >>> embeddings, lengths = back_end.frame_embeddings(states, lengths)
    >>> embeddings.shape, (7 * lengths).tolist()
    (torch.Size([2, 7, 128]), [7.0, 4.0])
    """

    def __init__(
        self,
        n_features: int,
        n_layers: int = 1,
        frames_per_segment: int = 8,
        context: int = 5,
        embedding_size: int = 128,
        pooling: str = "attention",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if min(frames_per_segment, context, embedding_size) < 1 or context % 2 == 0:
            raise InputError(
                f"FrameLevel: frames_per_segment is {frames_per_segment}, context {context} and embedding_size "
                f"{embedding_size}; they must be 1 or more, and context odd"
            )
        if pooling not in POOLINGS:
            raise InputError(f"FrameLevel: the pooling '{pooling}' is unknown; use {' or '.join(POOLINGS)}")
        self.frames_per_segment = frames_per_segment
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(n_features) for _ in range(n_layers))
        self.projection = torch.nn.Sequential(torch.nn.Linear(n_layers * n_features, embedding_size), torch.nn.ReLU())
        self.dropout = torch.nn.Dropout(dropout)
        self.context = torch.nn.Conv1d(embedding_size, embedding_size, context, padding=context // 2)
        self.attention: torch.nn.Linear | None = None
        if pooling == "attention":
            self.attention = torch.nn.Linear(embedding_size, 1, bias=False)
            torch.nn.init.zeros_(self.attention.weight)

    def frame_embeddings(
        self, states: torch.Tensor, relative_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn ``states`` ([batch, layers, frames, size]; [batch, frames, size] for one) into embeddings of segments.

        Returns
        -------
        embeddings : torch.Tensor
            Shape [batch, segments, embedding_size], float32. The last segment may have fewer frames.
        relative_lengths : torch.Tensor
            Of the segments; shape [batch].

        Raises
        ------
        InputError
            When the front end gives another number of layers.
        """
        check_layers(states, len(self.norms))
        states = at_least_float32(states if states.dim() == 4 else states.unsqueeze(1))
        mask = length_mask(relative_lengths, states.shape[2]).unsqueeze(2)
        layers = states.masked_fill(~mask.unsqueeze(1), 0.0).unbind(1)
        normalized = torch.cat([norm(layer) for norm, layer in zip(self.norms, layers, strict=True)], 2)
        frames = self.projection(normalized) * mask
        counts = self._average(mask.to(frames.dtype))
        x = self.dropout(self._average(frames) / counts.clamp(min=1e-6))
        is_segment = counts > 0
        x = torch.relu(self.context(x.transpose(1, 2)).transpose(1, 2)) + x
        return x * is_segment, is_segment.float().mean((1, 2))

    def _average(self, frames: torch.Tensor) -> torch.Tensor:
        """Average groups of frames; the last may be smaller."""
        size = self.frames_per_segment
        return torch.nn.functional.avg_pool1d(frames.transpose(1, 2), size, size, ceil_mode=True).transpose(1, 2)

    def pool(self, embeddings: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn the embeddings of segments into those of utterances, [batch, embedding_size]."""
        if self.attention is None:
            return super().pool(embeddings, relative_lengths)
        mask = length_mask(relative_lengths, embeddings.shape[1]).unsqueeze(2)
        weights = self.attention(embeddings).masked_fill(~mask, float("-inf")).softmax(1)
        return (embeddings * weights).sum(1)
