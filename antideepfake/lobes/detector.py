"""The one path from waveforms to logits."""

from collections.abc import Mapping
from typing import Any

import torch

from antideepfake.lobes.masks import length_mask


def compute_embeddings(
    modules: Mapping[str, torch.nn.Module], waveforms: torch.Tensor, relative_lengths: torch.Tensor
) -> torch.Tensor:
    """Turn a batch into embeddings that do not depend on what else is in the batch.

    Arguments
    ---------
    modules : mapping
        ``compute_features``, ``mean_var_norm`` and ``embedding_model``: the names that SpeechBrain's
        ``EncoderClassifier`` wants.
    waveforms : torch.Tensor
        Normalised waveforms at 16 kHz, padded at the end; shape [batch, time].
    relative_lengths : torch.Tensor
        Relative to the longest; shape [batch].

    Returns
    -------
    torch.Tensor
        Shape [batch, embedding_size].
    """
    # whatever stands in the padding, even a value that is not a number, goes no further
    waveforms = waveforms.masked_fill(~length_mask(relative_lengths, waveforms.shape[1]), 0.0)
    front_end: Any = modules["compute_features"]
    frames = front_end(waveforms, relative_lengths)
    frame_lengths = front_end.frame_lengths(relative_lengths, waveforms.shape[1])
    return modules["embedding_model"](modules["mean_var_norm"](frames, frame_lengths), frame_lengths)


def compute_logits(
    modules: Mapping[str, torch.nn.Module], waveforms: torch.Tensor, relative_lengths: torch.Tensor
) -> torch.Tensor:
    """Turn a batch into logits; arguments as :func:`compute_embeddings`, and ``classifier`` among the modules.

    Returns
    -------
    torch.Tensor
        Logits of fake (index 0) and real (index 1), float32; shape [batch, 2].

    Example
    -------
    >>> from antideepfake.lobes import ConvolutionalEncoder, LogFilterBank, SentenceMeanNorm
    >>> modules = {
    ...     "compute_features": LogFilterBank(20),
    ...     "mean_var_norm": SentenceMeanNorm(),
    ...     "embedding_model": ConvolutionalEncoder(20, [4], 8).eval(),
    ...     "classifier": torch.nn.Linear(8, 2),
    ... }
    >>> compute_logits(modules, torch.randn(3, 8000), torch.tensor([1.0, 0.8, 0.5])).shape
    torch.Size([3, 2])
    """
    return modules["classifier"](compute_embeddings(modules, waveforms, relative_lengths)).float()
