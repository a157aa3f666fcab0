"""The one path from a file to a waveform: read, average the channels, resample, normalise."""

import os
from collections.abc import Callable
from fractions import Fraction

import soundfile
import torch
import torchaudio

from antideepfake.errors import InputError
from antideepfake.protocol.probe import open_audio

SAMPLE_RATE = 16000  # Hz; what every published self-supervised speech encoder was trained at
SILENCE = 1 / 32768  # a 16-bit file that never moves by more than one step holds no sound


class SilentError(InputError):
    """A recording, or the part of one that was read, is silent."""


def read_audio(path: str | os.PathLike, start: float = 0.0, duration: float | None = None) -> tuple[torch.Tensor, int]:
    """Read an audio file, or a part of it by seeking.

    Arguments
    ---------
    path : str or Path
        Any format that libsndfile reads: wav, flac, mp3, ogg and others.
    start : float
        Where to begin, in seconds.
    duration : float, optional
        How much to read, in seconds; all that follows when not given.

    Returns
    -------
    signal : torch.Tensor
        Samples in [-1, 1], float32, shape [time, channels].
    sample_rate : int
        Hz.

    Raises
    ------
    InputError
        When the file is missing, empty, not audio, or ends before its header says.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(16000, 2).numpy(), 8000)
    >>> signal, sample_rate = read_audio(path, start=0.5, duration=1.0)
    >>> signal.shape, sample_rate
    (torch.Size([8000, 2]), 8000)
    """
    try:
        with open_audio(path) as file:
            first = round(start * file.samplerate)
            wanted = file.frames - first if duration is None else round(duration * file.samplerate)
            wanted = max(min(wanted, file.frames - first), 0)
            if first:
                file.seek(min(first, file.frames))
            samples = file.read(wanted, dtype="float32", always_2d=True)
            sample_rate = file.samplerate
    except soundfile.LibsndfileError:
        raise InputError(f"{path}: cannot be read: damaged or truncated") from None
    if len(samples) < wanted:
        raise InputError(f"{path}: truncated; the header promises {wanted} samples here, {len(samples)} are there")
    if wanted == 0:
        raise InputError(f"{path}: holds no sample" + (f" after {start:.2f} s" if first else ""))
    return torch.from_numpy(samples), sample_rate


def to_mono_16k(signal: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Average the channels and resample to 16 kHz.

    Arguments
    ---------
    signal : torch.Tensor
        Shape [time] or [time, channels].
    sample_rate : int
        Hz, any. Resampled with torchaudio's windowed sinc at its defaults, as the released models were trained.

    Returns
    -------
    torch.Tensor
        Shape [time].

    Example
    -------
    >>> to_mono_16k(torch.rand(11025, 2), 11025).shape
    torch.Size([16000])
    """
    if signal.dim() == 2:
        signal = signal.mean(1)
    # Every rate in use has a small ratio, which is kept exactly. A rate such as 16,001 Hz would need a filter bank of
    # gigabytes; the nearest ratio with a denominator up to 2000 changes speed and pitch by less than 0.05 %.
    ratio = Fraction(SAMPLE_RATE, sample_rate).limit_denominator(2000)
    if ratio == 1:
        return signal
    return torchaudio.functional.resample(signal, ratio.denominator, ratio.numerator)


def normalise(waveform: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit variance over the whole utterance: layer normalisation without parameters, eps 1e-5.

    Arguments
    ---------
    waveform : torch.Tensor
        Shape [time], without padding.

    Returns
    -------
    torch.Tensor
        Shape [time].

    Example
    -------
    >>> round(normalise(torch.arange(100.0)).std(correction=0).item(), 3)
    1.0
    """
    return torch.nn.functional.layer_norm(waveform, waveform.shape)


class WaveformNormalizer:
    """From decoded samples to what every front end takes: mono, 16 kHz, normalised.

    A model folder names it as its ``audio_normalizer``, so SpeechBrain's ``classify_file`` takes the same path.

    Example
    -------
    >>> WaveformNormalizer()(torch.rand(8000, 2), 8000).shape
    torch.Size([16000])
    """

    def __call__(self, signal: torch.Tensor, sample_rate: int) -> torch.Tensor:
        """Convert ``signal`` ([time] or [time, channels]) at ``sample_rate`` Hz to a waveform [time]."""
        return normalise(to_mono_16k(signal, sample_rate))


def read_waveform(
    path: str | os.PathLike,
    start: float = 0.0,
    duration: float | None = None,
    min_samples: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Read a file as every front end takes it.

    Arguments
    ---------
    path : str or Path
        An audio file.
    start, duration : float
        As :func:`read_audio`.
    min_samples : int
        The front end's receptive field, in samples at 16 kHz: less gives no frame.
    augment : callable, optional
        For training: changes the waveform (mono, 16 kHz, [time]) before it is normalised.

    Returns
    -------
    torch.Tensor
        Waveform of shape [time]: mono, 16 kHz, zero mean, unit variance.

    Raises
    ------
    InputError
        As :func:`read_audio`; also when the file holds a value that is not a number or is too short. ``SilentError``
        when what was read is silent.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(8000).numpy(), 8000)
    >>> read_waveform(path).shape
    torch.Size([16000])
    """
    signal, sample_rate = read_audio(path, start, duration)
    return make_waveform(signal, sample_rate, os.fspath(path), min_samples, augment)


def make_waveform(
    signal: torch.Tensor,
    sample_rate: int,
    name: str,
    min_samples: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Turn samples into a waveform as every front end takes it; refuse those that no detector can judge.

    Arguments
    ---------
    signal : torch.Tensor
        Samples, shape [time] or [time, channels].
    sample_rate : int
        Hz.
    name : str
        Of the recording, for messages.
    min_samples, augment :
        As :func:`read_waveform`.

    Returns
    -------
    torch.Tensor
        Waveform of shape [time]: mono, 16 kHz, zero mean, unit variance.

    Raises
    ------
    InputError
        When there is no sample, one is not a number, or there are too few. ``SilentError`` when all are alike.

    Example
    -------
    >>> make_waveform(torch.rand(8000), 8000, "a call").shape
    torch.Size([16000])
    """
    if signal.dim() not in (1, 2) or not signal.numel() or sample_rate <= 0:
        raise InputError(
            f"{name}: samples of shape {list(signal.shape)} at {sample_rate} Hz; give [time] or [time, channels]"
        )
    if not torch.isfinite(signal).all():
        raise InputError(f"{name}: holds samples that are not numbers; convert the file anew")
    if signal.dim() == 2:
        signal = signal.mean(1)
    if signal.max() - signal.min() <= SILENCE:
        raise SilentError(f"{name}: silent; there is nothing to classify")
    waveform = to_mono_16k(signal, sample_rate)
    if augment:
        waveform = augment(waveform)
    if len(waveform) < min_samples:
        raise InputError(
            f"{name}: too short; {len(waveform)} samples at 16 kHz, the front end needs at least {min_samples}"
        )
    return normalise(waveform)
