"""Back ends: from frames to one embedding per utterance.

A back end takes the output of a front end: frames [batch, frames, size] and their relative lengths [batch].
"""

from abc import ABC, abstractmethod

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.batch_norm import Standardization
from antideepfake.lobes.layer_aggregation import LayerSum
from antideepfake.lobes.masks import at_least_float32, length_mask, masked_mean


class ConvolutionalBlock(torch.nn.Module):
    """Two convolutions over time and frequency with a residual connection; halves both.

    Arguments
    ---------
    in_channels, out_channels : int
        Channels before and after.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = torch.nn.ModuleList(
            [
                torch.nn.Conv2d(in_channels, out_channels, 3, padding=1, stride=2, bias=False),
                torch.nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            ]
        )
        self.norms = torch.nn.ModuleList([torch.nn.BatchNorm2d(out_channels) for _ in self.body])
        self.shortcut = torch.nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``x`` ([batch, channels, frames, size]) to every second frame.

        Padding, where ``mask`` ([batch, 1, frames, 1]) is False, is zero before and after. Output frame t is at input
        frame 2 t, so every second value of the mask is the mask of the output.
        """
        mask = mask[:, :, ::2]
        y = torch.relu(self.norms[0](self.body[0](x))) * mask
        return torch.relu(self.norms[1](self.body[1](y)) + self.shortcut(x)) * mask


class ConvolutionalEncoder(torch.nn.Module):
    """A small residual network over time and frequency, and attentive statistics over time.

    Arguments
    ---------
    n_features : int
        Size of a frame.
    channels : list of int
        Channels of the blocks, each of which halves time and frequency.
    embedding_size : int
        Size of the embedding.
    dropout : float
        Of the embedding, in training.

    Example
    -------
    >>> encoder = ConvolutionalEncoder(n_features=80, channels=[8, 16], embedding_size=32).eval()
    >>> encoder(torch.randn(2, 50, 80), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 32])
    """

    def __init__(self, n_features: int, channels: list[int], embedding_size: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(
            ConvolutionalBlock(before, after) for before, after in zip([1, *channels[:-1]], channels, strict=True)
        )
        for _ in channels:
            n_features = (n_features + 1) // 2
        size = channels[-1] * n_features
        self.attention = torch.nn.Sequential(torch.nn.Linear(size, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
        self.output = torch.nn.Sequential(
            torch.nn.Linear(2 * size, embedding_size), torch.nn.ReLU(), torch.nn.Dropout(dropout)
        )

    def forward(self, features: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``features`` ([batch, frames, n_features]) into embeddings ([batch, embedding_size])."""
        mask = length_mask(relative_lengths, features.shape[1])
        x = features.unsqueeze(1) * mask[:, None, :, None]
        for block in self.blocks:
            x = block(x, mask[:, None, :, None])
            mask = mask[:, ::2]
        x = x.transpose(1, 2).flatten(2)
        weights = self.attention(x).masked_fill(~mask.unsqueeze(2), float("-inf")).softmax(1)
        return self.output(compute_statistics(x, weights))


def compute_statistics(frames: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Compute mean and standard deviation over time.

    Arguments
    ---------
    frames : torch.Tensor
        Shape [batch, frames, size]; finite, also where there is padding.
    weights : torch.Tensor
        Of the frames, with a sum of 1, and 0 for padding; shape [batch, frames, 1].

    Returns
    -------
    torch.Tensor
        Shape [batch, 2 size]: means, then standard deviations.

    Example
    -------
    >>> compute_statistics(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[[0.5], [0.5], [0.0]]]))
    tensor([[2.0000, 1.0000]])
    """
    mean = (frames * weights).sum(1)
    variance = ((frames - mean.unsqueeze(1)).square() * weights).sum(1)
    return torch.cat([mean, (variance + 1e-6).sqrt()], 1)  # the root of 0 has no gradient


class FramePooling(torch.nn.Module, ABC):
    """A back end that gives an embedding for each frame, and pools them to one for the utterance.

    With a linear classifier, frames have scores, of which the timeline of a recording is made.
    """

    frames_per_segment = 1
    """Frames of the front end for each frame of the back end."""

    def forward(self, frames: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn the output of a front end into embeddings ([batch, size], float32)."""
        return self.pool(*self.frame_embeddings(frames, relative_lengths))

    @abstractmethod
    def frame_embeddings(
        self, frames: torch.Tensor, relative_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the embedding of each frame, [batch, frames, size], and the relative lengths."""

    def pool(self, embeddings: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Average the embeddings of frames to those of utterances, [batch, size]."""
        return masked_mean(embeddings, relative_lengths).squeeze(1)


class MeanPooling(FramePooling):
    """The mean over time, as in the published detectors.

    Example
    -------
    >>> MeanPooling()(torch.tensor([[[1.0, 0.0], [3.0, 0.0], [9.0, 9.0]]]), torch.tensor([2 / 3]))
    tensor([[2., 0.]])
    """

    def frame_embeddings(
        self, frames: torch.Tensor, relative_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the frames, [batch, frames, size], and their relative lengths."""
        return at_least_float32(frames), relative_lengths


class LayerWeightedMeanPooling(FramePooling):
    """A learned weighting of an encoder's layers, then the mean over time.

    The weights are a softmax over one number per layer, equal at the start (Yang et al., SUPERB, 2021).

    Arguments
    ---------
    n_layers : int
        Hidden states: one more than the encoder's layers.

    Example
    -------
    >>> pooling = LayerWeightedMeanPooling(n_layers=13)
    >>> pooling(torch.randn(2, 13, 50, 768), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 768])
    """

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        self.layer_weights = torch.nn.Parameter(torch.zeros(n_layers))

    def frame_embeddings(
        self, states: torch.Tensor, relative_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight all hidden ``states`` ([batch, layers, frames, size]) to frames, [batch, frames, size]."""
        frames = torch.einsum("l,bltd->btd", self.layer_weights.softmax(0), at_least_float32(states))
        return frames, relative_lengths


class StatisticsPooling(torch.nn.Module):
    """Mean and standard deviation over time, of one layer or of a learned weighting of all.

    Arguments
    ---------
    n_layers : int
        As for :class:`antideepfake.lobes.LayerSum`.

    Example
    -------
    >>> pooling = StatisticsPooling(n_layers=5)
    >>> pooling(torch.randn(2, 5, 50, 384), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 768])
    """

    def __init__(self, n_layers: int = 1) -> None:
        super().__init__()
        self.layer_sum = LayerSum(n_layers)

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``states``, as for :class:`antideepfake.lobes.LayerSum`, into embeddings ([batch, 2 size], float32)."""
        frames = self.layer_sum(states, relative_lengths)
        mask = length_mask(relative_lengths, frames.shape[1]).unsqueeze(2)
        return compute_statistics(frames.masked_fill(~mask, 0.0), mask / mask.sum(1, keepdim=True))


class LayerStatistics(torch.nn.Module):
    """Mean and standard deviation over time of several layers of an encoder, side by side.

    The embedding suits a linear classifier on a frozen encoder: its values are standardized, by the averages of all
    training batches so far.

    Arguments
    ---------
    layers : list of int
        Hidden states to use, 0 for the input of the first layer; the front end needs ``all_layers``.
    n_features : int
        Size of a frame.

    Raises
    ------
    InputError
        When ``layers`` is empty or names the same layer twice, or the front end lacks one.

    Example
    -------
    >>> statistics = LayerStatistics(layers=[1, 2, 3], n_features=384).eval()
    >>> statistics(torch.randn(2, 5, 50, 384), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 2304])
    """

    def __init__(self, layers: list[int], n_features: int) -> None:
        super().__init__()
        if not layers or len(set(layers)) < len(layers) or min(layers) < 0:
            raise InputError(f"LayerStatistics: layers is {layers}; name each layer once, from 0")
        self.layers = list(layers)
        self.norm = Standardization(2 * len(layers) * n_features)

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``states`` ([batch, layers, frames, size]) into embeddings ([batch, 2 size len(layers)], float32)."""
        found = states.shape[1] if states.dim() == 4 else 1
        if states.dim() < 4 or max(self.layers) >= found:
            raise InputError(
                f"the back end uses the layers {self.layers}, but the front end returns {found}; set all_layers of the "
                "front end to True, or choose others"
            )
        frames = states[:, self.layers].transpose(1, 2).flatten(2).float()
        mask = length_mask(relative_lengths, frames.shape[1]).unsqueeze(2)
        return self.norm(compute_statistics(frames.masked_fill(~mask, 0.0), mask / mask.sum(1, keepdim=True)))


class AttentiveStatisticsPooling(torch.nn.Module):
    """Mean and standard deviation over time, weighted by attention (Okabe, Koshinaka, Shinoda 2018).

    Arguments
    ---------
    n_features : int
        Size of a frame.
    n_layers : int
        As for :class:`antideepfake.lobes.LayerSum`.
    attention_size : int
        Of the hidden layer of the attention.

    Example
    -------
    >>> pooling = AttentiveStatisticsPooling(n_features=384, n_layers=5)
    >>> pooling(torch.randn(2, 5, 50, 384), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 768])
    """

    def __init__(self, n_features: int, n_layers: int = 1, attention_size: int = 64) -> None:
        super().__init__()
        self.layer_sum = LayerSum(n_layers)
        self.attention = torch.nn.Sequential(
            torch.nn.Linear(n_features, attention_size), torch.nn.Tanh(), torch.nn.Linear(attention_size, 1)
        )

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``states``, as for :class:`antideepfake.lobes.LayerSum`, into embeddings ([batch, 2 size], float32)."""
        frames = self.layer_sum(states, relative_lengths)
        mask = length_mask(relative_lengths, frames.shape[1]).unsqueeze(2)
        frames = frames.masked_fill(~mask, 0.0)
        return compute_statistics(frames, self.attention(frames).float().masked_fill(~mask, float("-inf")).softmax(1))
