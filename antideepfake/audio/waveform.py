"""Waveforms: the samples of :mod:`antideepfake.audio.samples` as tensors, for torch, SpeechBrain and augmentation."""

import os
from collections.abc import Callable

import numpy as np
import torch

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.recording import Recording
from antideepfake.audio.samples import (
    SAMPLE_RATE,
    Resampler,
    Samples,
    SilentError,
    normalize,
    read_segment,
    require_length,
    split_samples,
    stream_file,
    stream_samples,
)

__all__ = [
    "SAMPLE_RATE",
    "SilentError",
    "WaveformNormalizer",
    "make_waveform",
    "read_audio",
    "read_waveform",
    "to_mono_16k",
]


def read_audio(path: str | os.PathLike, start: float = 0.0, duration: float | None = None) -> tuple[torch.Tensor, int]:
    """Read an audio file, or seek to a segment and read only that.

    Arguments
    ---------
    path : str or Path
        An audio file, see :func:`antideepfake.audio.audio_file.open_audio`.
    start : float
        Start of the segment in seconds.
    duration : float, optional
        Length of the segment in seconds; by default up to the end of the file.

    Returns
    -------
    signal : torch.Tensor
        Samples in [-1, 1], float32, shape [time, channels].
    sample_rate : int
        Hz.

    Raises
    ------
    InputError
        When the file is missing, empty, not audio, or shorter than its header declares, or when the segment is longer
        than ``antideepfake.audio.samples.MAX_SECONDS``.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(16000, 2).numpy(), 8000)
    >>> signal, sample_rate = read_audio(path, start=0.5, duration=1.0)
    >>> signal.shape, sample_rate
    (torch.Size([8000, 2]), 8000)
    """
    with open_audio(path) as file:
        blocks = list(read_segment(file, os.fspath(path), start, duration, is_bounded=True))
        return torch.from_numpy(np.concatenate(blocks)), file.samplerate


def to_mono_16k(signal: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Average the channels and resample to 16 kHz.

    Arguments
    ---------
    signal : torch.Tensor
        Shape [time] or [time, channels].
    sample_rate : int
        Any rate in Hz. Resampling uses torchaudio's windowed sinc with default settings, as in the training of the
        released models.

    Returns
    -------
    torch.Tensor
        Shape [time].

    Example
    -------
    >>> to_mono_16k(torch.rand(11025, 2), 11025).shape
    torch.Size([16000])
    """
    resampler = Resampler(sample_rate)
    mono = (signal.mean(1) if signal.dim() == 2 else signal).numpy()
    return torch.from_numpy(np.concatenate([resampler.push(mono), resampler.finish()]))


class WaveformNormalizer:
    """Convert decoded samples to the input of a front end: mono, 16 kHz, normalized.

    A model folder uses it as ``audio_normalizer``, so SpeechBrain's ``classify_file`` processes recordings with
    :func:`make_waveform`, like this library, and rejects the same recordings.

    Arguments
    ---------
    normalize : bool
        As for :class:`antideepfake.lobes.UtteranceEncoder`.

    Example
    -------
    >>> WaveformNormalizer()(torch.rand(8000, 2), 8000).shape
    torch.Size([16000])
    """

    def __init__(self, normalize: bool = True) -> None:
        self.normalize = normalize

    def __call__(self, signal: torch.Tensor, sample_rate: int) -> torch.Tensor:
        """Convert ``signal`` ([time] or [time, channels]) at ``sample_rate`` Hz to a waveform [time]."""
        return make_waveform(signal, sample_rate, "the recording", normalized=self.normalize)


def read_waveform(
    path: str | os.PathLike,
    start: float = 0.0,
    duration: float | None = None,
    min_samples: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    normalized: bool = True,
) -> torch.Tensor:
    """Read a file as a waveform, the input of every front end.

    Arguments
    ---------
    path : str or Path
        An audio file.
    start, duration : float
        Segment to read, see :func:`read_audio`.
    min_samples : int
        Receptive field of the front end, in samples at 16 kHz. A shorter waveform is an error.
    augment : callable, optional
        Augmentation for training. It receives the waveform (mono, 16 kHz, [time]) before normalization.
    normalized : bool
        If False, samples stay in [-1, 1], as some detectors expect them; otherwise zero mean and unit variance.

    Returns
    -------
    torch.Tensor
        Waveform of shape [time]: mono, 16 kHz; zero mean and unit variance unless ``normalized`` is False.

    Raises
    ------
    InputError
        In the cases of :func:`read_audio` and :func:`make_waveform`. ``SilentError`` when all samples are silent.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(8000).numpy(), 8000)
    >>> read_waveform(path).shape
    torch.Size([16000])
    """
    blocks = stream_file(Recording(path), start, duration, is_bounded=True)
    return _finish_waveform(np.concatenate(list(blocks)), os.fspath(path), min_samples, augment, normalized)


def make_waveform(
    signal: torch.Tensor,
    sample_rate: int,
    name: str,
    min_samples: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    normalized: bool = True,
) -> torch.Tensor:
    """Turn samples into a waveform, the input of every front end; reject samples that cannot be scored.

    Arguments
    ---------
    signal : torch.Tensor
        Samples, shape [time] or [time, channels].
    sample_rate : int or float
        Sample rate in Hz; a whole number.
    name : str
        Name of the recording, for error messages.
    min_samples, augment, normalized :
        See :func:`read_waveform`.

    Returns
    -------
    torch.Tensor
        Waveform of shape [time]: mono, 16 kHz; zero mean and unit variance unless ``normalized`` is False.

    Raises
    ------
    InputError
        When there are too few samples, a sample is not a finite number, the shape or sample rate is invalid, or the
        channels cancel each other. Channels cancel if their average has less than 1 % of their power; the detector
        would then score mostly noise. ``SilentError`` when all samples are equal.

    Example
    -------
    >>> make_waveform(torch.rand(8000), 8000, "a call").shape
    torch.Size([16000])
    """
    blocks = stream_samples(split_samples(signal.numpy(), sample_rate, name), int(sample_rate), name)
    return _finish_waveform(np.concatenate(list(blocks)), name, min_samples, augment, normalized)


def _finish_waveform(
    samples: Samples,
    name: str,
    min_samples: int,
    augment: Callable[[torch.Tensor], torch.Tensor] | None,
    normalized: bool,
) -> torch.Tensor:
    if augment:
        samples = augment(torch.from_numpy(samples)).numpy()
    require_length(len(samples), name, min_samples)
    return torch.from_numpy(normalize(samples) if normalized else samples)
