"""The one path from waveforms to logits."""

from collections.abc import Mapping
from typing import Any

import torch

from antideepfake.audio.samples import SAMPLE_RATE
from antideepfake.lobes.back_ends import FramePooling
from antideepfake.lobes.fixed_length import FixedLength
from antideepfake.lobes.masks import length_mask


class UtteranceEncoder(torch.nn.Module):
    """A front end and a back end: waveforms to one embedding per utterance, independent of the rest of the batch.

    It is the ``embedding_model`` of SpeechBrain's ``EncoderClassifier``. The front end is part of it because the
    ``compute_features`` of that class gets no lengths and would see padding.

    Arguments
    ---------
    front_end : torch.nn.Module
        Waveforms to frames, as in :mod:`antideepfake.lobes.front_ends`.
    back_end : torch.nn.Module
        Frames to embeddings, as in :mod:`antideepfake.lobes.back_ends`.
    layer_aggregation : torch.nn.Module, optional
        All hidden states of the front end to one sequence of frames, as in
        :mod:`antideepfake.lobes.layer_aggregation`. None: the back end gets what the front end returns.
    fixed_length : FixedLength, optional
        Applied to the waveforms first. None: utterances keep their lengths.
    normalize : bool
        Whether waveforms must have zero mean and unit variance, as most self-supervised encoders expect them. If
        False, they keep their samples in [-1, 1]. Whoever makes waveforms for this encoder reads it here: training,
        scoring and export.
    second_branch : torch.nn.Module, optional
        Waveforms to embeddings, as in :mod:`antideepfake.lobes.second_branches`; they are appended to those of the back
        end. It gets the waveforms before ``fixed_length``.

    Example
    -------
    >>> from antideepfake.lobes import ConvolutionalEncoder, LogFilterBank
    >>> encoder = UtteranceEncoder(LogFilterBank(20), ConvolutionalEncoder(20, [4], 8)).eval()
    >>> encoder(torch.randn(3, 8000), torch.tensor([1.0, 0.8, 0.5])).shape
    torch.Size([3, 8])
    """

    def __init__(
        self,
        front_end: torch.nn.Module,
        back_end: torch.nn.Module,
        layer_aggregation: torch.nn.Module | None = None,
        fixed_length: FixedLength | None = None,
        normalize: bool = True,
        second_branch: torch.nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.front_end: Any = front_end
        self.back_end: Any = back_end
        self.layer_aggregation = layer_aggregation
        self.fixed_length = fixed_length
        self.normalize = normalize
        self.second_branch = second_branch

    @property
    def min_samples(self) -> int:
        """The least length of an utterance in samples; with a fixed length, 1."""
        return self.front_end.receptive_field if self.fixed_length is None else 1

    @property
    def frame_seconds(self) -> float | None:
        """Time between the frames of the back end.

        None if it gives none, if the frames are those of a fixed length, or beside a second branch, which has none.
        """
        has_frames = isinstance(self.back_end, FramePooling) and hasattr(self.front_end, "hop")
        if not has_frames or self.fixed_length is not None or self.second_branch is not None:
            return None
        return self.front_end.hop * self.back_end.frames_per_segment / SAMPLE_RATE

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor, with_frames: bool = False) -> Any:
        """Encode a batch.

        Arguments
        ---------
        waveforms : torch.Tensor
            Waveforms at 16 kHz, normalized if ``normalize`` says so, padded at the end; shape [batch, time].
        relative_lengths : torch.Tensor
            Relative to the longest; shape [batch].
        with_frames : bool
            Also return the frames of a :class:`antideepfake.lobes.back_ends.FramePooling`. Training with several
            processes needs one call for both.

        Returns
        -------
        torch.Tensor
            Shape [batch, embedding_size]; with frames, a tuple of it, the embeddings of frames, [batch, frames,
            embedding_size], and their relative lengths, [batch].
        """
        encoded = self.encode(waveforms, relative_lengths)
        if not with_frames:
            return self.embed(*encoded, waveforms, relative_lengths)
        frames = self.back_end.frame_embeddings(*encoded)
        return self.back_end.pool(*frames), *frames

    def encode(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms into the input of the back end: frames and their relative lengths."""
        if self.fixed_length is not None:
            waveforms, relative_lengths = self.fixed_length(waveforms, relative_lengths)
        # no value in the padding, not even NaN, may reach the front end
        waveforms = waveforms.masked_fill(~length_mask(relative_lengths, waveforms.shape[1]), 0.0)
        frames, relative_lengths = self.front_end(waveforms, relative_lengths)
        if self.layer_aggregation is not None:
            frames = self.layer_aggregation(frames, relative_lengths)
        return frames, relative_lengths

    def embed(
        self,
        frames: torch.Tensor,
        frame_lengths: torch.Tensor,
        waveforms: torch.Tensor,
        relative_lengths: torch.Tensor,
    ) -> torch.Tensor:
        """Turn what :meth:`encode` gives for waveforms, and the waveforms, into embeddings."""
        embeddings = self.back_end(frames, frame_lengths)
        if self.second_branch is None:
            return embeddings
        waveforms = waveforms.masked_fill(~length_mask(relative_lengths, waveforms.shape[1]), 0.0)
        return torch.cat([embeddings, self.second_branch(waveforms, relative_lengths)], 1)


class PassThrough(torch.nn.Module):
    """Return the first argument: takes the place of the feature normalization of ``EncoderClassifier``."""

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Return ``waveforms`` unchanged."""
        return waveforms


def assemble_detector(embedding_model: UtteranceEncoder, classifier: torch.nn.Module) -> torch.nn.ModuleDict:
    """Collect the modules of a detector under the names that ``EncoderClassifier`` requires.

    Arguments
    ---------
    embedding_model : UtteranceEncoder
        Waveforms to embeddings.
    classifier : torch.nn.Module
        Embeddings to logits.

    Returns
    -------
    torch.nn.ModuleDict
        ``compute_features`` and ``mean_var_norm``, which do nothing, ``embedding_model`` and ``classifier``.

    Example
    -------
    >>> from antideepfake.lobes import LogFilterBank, MeanPooling
    >>> list(assemble_detector(UtteranceEncoder(LogFilterBank(20), MeanPooling()), torch.nn.Linear(20, 2)))
    ['compute_features', 'mean_var_norm', 'embedding_model', 'classifier']
    """
    nothing = {"compute_features": torch.nn.Identity(), "mean_var_norm": PassThrough()}
    return torch.nn.ModuleDict({**nothing, "embedding_model": embedding_model, "classifier": classifier})


def compute_logits(
    modules: Mapping[str, torch.nn.Module], waveforms: torch.Tensor, relative_lengths: torch.Tensor
) -> torch.Tensor:
    """Turn a batch into logits.

    Arguments
    ---------
    modules : mapping
        ``embedding_model``, a :class:`UtteranceEncoder`, and ``classifier``.
    waveforms, relative_lengths : torch.Tensor
        As for :meth:`UtteranceEncoder.forward`.

    Returns
    -------
    torch.Tensor
        Logits of fake (index 0) and real (index 1), float32; shape [batch, 2].

    Example
    -------
    >>> from antideepfake.lobes import ConvolutionalEncoder, LogFilterBank
    >>> encoder = UtteranceEncoder(LogFilterBank(20), ConvolutionalEncoder(20, [4], 8)).eval()
    >>> modules = {"embedding_model": encoder, "classifier": torch.nn.Linear(8, 2)}
    >>> compute_logits(modules, torch.randn(3, 8000), torch.tensor([1.0, 0.8, 0.5])).shape
    torch.Size([3, 2])
    """
    return modules["classifier"](modules["embedding_model"](waveforms, relative_lengths)).float()
