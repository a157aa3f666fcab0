"""Turn audio files and samples into waveforms: read, average the channels, resample, normalize.

Training, evaluation and every interface use this path and no other.
"""

import os
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import torch
import torchaudio

from antideepfake.audio.audio_file import BLOCK, AudioFile, open_audio
from antideepfake.audio.headers import HIGHEST_RATE, LOWEST_RATE
from antideepfake.errors import InputError

SAMPLE_RATE = 16000  # Hz; the rate at which all published self-supervised speech encoders were trained
SILENCE = 1 / 32768  # one step of 16-bit audio; a recording whose samples differ by no more than this is silent
LOUDEST = 1e10  # full scale is 1; unscaled 32-bit integers are below, and squares of much larger samples overflow
CANCELLED = 0.01  # minimum power of the averaged channels relative to the channels; less means that they cancel
# Half an hour. A large front end needs about 4 MB per second of audio, here 8 GB, and quadratic time.
MAX_SECONDS = 1800  # longest recording that is read at once
RESAMPLED = 1 << 21  # samples that are resampled at once
MAX_RATE = 48_000  # Hz; at higher rates, MAX_SECONDS decreases so that the number of samples stays the same


class SilentError(InputError):
    """A recording, or the segment of it that was read, is silent."""


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
        than ``MAX_SECONDS``.

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
        blocks = list(_read_blocks(file, path, start, duration))
        return torch.from_numpy(np.concatenate(blocks)), file.samplerate


def _read_blocks(
    file: AudioFile, path: str | os.PathLike, start: float, duration: float | None
) -> Iterator[np.ndarray]:
    """Read a recording or a segment of it. Raise an error if it has no samples or more than fit in memory."""
    first = round(start * file.samplerate)
    requested = None if duration is None else max(round(duration * file.samplerate), 0)
    longest = MAX_SECONDS * min(file.samplerate, MAX_RATE)
    count = requested
    if file.known_frames is not None:
        available = max(file.known_frames - first, 0)
        count = available if requested is None else min(available, requested)
    read = 0
    if (count or 0) <= longest:
        for block in file.blocks(first, requested):
            read += len(block)
            if read > longest:
                break
            yield block
    if max(read, count or 0) > longest:
        minutes = "" if count is None else f"{count / file.samplerate / 60:.0f} minutes long, "
        raise InputError(
            f"{path}: {minutes}longer than the {longest / file.samplerate / 60:.0f} minutes that can be read at once; "
            "cut it into shorter files"
        )
    if read == 0:
        raise InputError(f"{path}: contains no samples" + (f" after {start:.2f} s" if first else ""))


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
    if signal.dim() == 2:
        signal = signal.mean(1)
    # All common rates have a small ratio to 16 kHz, which is used exactly. A rate such as 16,001 Hz would need a filter
    # bank of gigabytes. The nearest ratio with a denominator up to 2000 changes speed and pitch by less than 0.05 %.
    ratio = Fraction(SAMPLE_RATE, sample_rate).limit_denominator(2000)
    if ratio == 1:
        return signal
    return _resample(signal, ratio.denominator, ratio.numerator)


def _resample(signal: torch.Tensor, old: int, new: int) -> torch.Tensor:
    """Resample by ``new / old``; resample a long signal in chunks, which needs less memory and has the same result."""
    step = RESAMPLED // old * old
    if len(signal) <= RESAMPLED or not step:
        return torchaudio.functional.resample(signal, old, new)
    context = old * -(-8 * max(old, new) // (new * old))  # more than the filter, which spans 6 periods on each side
    chunks = []
    for start in range(0, len(signal), step):
        first = max(start - context, 0)
        chunk = torchaudio.functional.resample(signal[first : start + step + context], old, new)
        skipped = (start - first) * new // old
        chunks.append(chunk[skipped : skipped + step * new // old])
    return torch.cat(chunks)


def normalize(waveform: torch.Tensor) -> torch.Tensor:
    """Normalize an utterance to zero mean and unit variance: layer normalization without parameters, eps 1e-5.

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
    >>> round(normalize(torch.arange(100.0)).std(correction=0).item(), 3)
    1.0
    """
    return torch.nn.functional.layer_norm(waveform, waveform.shape)


class WaveformNormalizer:
    """Convert decoded samples to the input of a front end: mono, 16 kHz, normalized.

    A model folder uses it as ``audio_normalizer``, so SpeechBrain's ``classify_file`` processes recordings with
    :func:`make_waveform`, like this library, and rejects the same recordings.

    Example
    -------
    >>> WaveformNormalizer()(torch.rand(8000, 2), 8000).shape
    torch.Size([16000])
    """

    def __call__(self, signal: torch.Tensor, sample_rate: int) -> torch.Tensor:
        """Convert ``signal`` ([time] or [time, channels]) at ``sample_rate`` Hz to a waveform [time]."""
        return make_waveform(signal, sample_rate, "the recording")


class _Mixer:
    """Average the channels of a recording block by block, and check that the average is usable."""

    def __init__(self) -> None:
        self.blocks: list[torch.Tensor] = []
        self.count = 0
        self.is_finite = True
        self.sums = self.squares = self.low = self.high = torch.zeros(0)

    def add(self, block: torch.Tensor) -> None:
        """Add a block: float32, shape [time, channels]."""
        mono = block.mean(1)
        both = torch.cat([mono[:, None], block], 1).double()  # column 0 is the average
        if self.count == 0:
            self.sums = self.squares = torch.zeros(both.shape[1], dtype=torch.double)
            self.low = self.high = both[0]
        self.is_finite &= bool(torch.isfinite(both).all())
        self.sums = self.sums + both.sum(0)
        self.squares = self.squares + both.square().sum(0)
        self.low, self.high = both.amin(0).minimum(self.low), both.amax(0).maximum(self.high)
        self.count += len(block)
        self.blocks.append(mono)

    def mix(self, name: str) -> torch.Tensor:
        """Return the average of the channels; raise an InputError if it is not usable."""
        variances = (self.squares / self.count - (self.sums / self.count).square()).clamp(min=0)
        if not self.is_finite:
            raise InputError(f"{name}: contains samples that are not finite numbers; convert the file again")
        if max(self.high.abs().max().item(), self.low.abs().max().item()) > LOUDEST:
            raise InputError(f"{name}: contains samples above {LOUDEST:g} (full scale is 1); convert the file again")
        ranges = self.high - self.low
        if ranges[1:].max() <= SILENCE:
            raise SilentError(f"{name}: silent; there is nothing to classify")
        if ranges[0] <= SILENCE or variances[0] < CANCELLED * variances[1:].mean():
            raise InputError(
                f"{name}: the channels cancel each other when they are averaged (one is the inverse of the other); "
                "keep one channel"
            )
        mono, self.blocks = torch.cat(self.blocks), []
        return mono


def read_waveform(
    path: str | os.PathLike,
    start: float = 0.0,
    duration: float | None = None,
    min_samples: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
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

    Returns
    -------
    torch.Tensor
        Waveform of shape [time]: mono, 16 kHz, zero mean, unit variance.

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
    mixer = _Mixer()
    with open_audio(path) as file:
        for block in _read_blocks(file, path, start, duration):
            mixer.add(torch.from_numpy(block))
        return _finish(mixer.mix(os.fspath(path)), file.samplerate, os.fspath(path), min_samples, augment)


def make_waveform(
    signal: torch.Tensor,
    sample_rate: int,
    name: str,
    min_samples: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
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
    min_samples, augment :
        See :func:`read_waveform`.

    Returns
    -------
    torch.Tensor
        Waveform of shape [time]: mono, 16 kHz, zero mean, unit variance.

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
    shape = f"the samples have shape {list(signal.shape)}; use [time] or [time, channels]"
    if signal.dim() not in (1, 2) or not signal.numel():
        raise InputError(f"{name}: {shape}")
    if signal.dim() == 2 and len(signal) < signal.shape[1]:
        raise InputError(f"{name}: too short, or time and channels are swapped: {shape}")
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or sample_rate != int(sample_rate):
        raise InputError(
            f"{name}: the sample rate is {sample_rate} Hz; use a whole number from {LOWEST_RATE} to {HIGHEST_RATE}"
        )
    mixer = _Mixer()
    for block in (signal if signal.dim() == 2 else signal[:, None]).split(BLOCK):
        mixer.add(block)
    return _finish(mixer.mix(name), int(sample_rate), name, min_samples, augment)


def _finish(
    mono: torch.Tensor,
    sample_rate: int,
    name: str,
    min_samples: int,
    augment: Callable[[torch.Tensor], torch.Tensor] | None,
) -> torch.Tensor:
    """Resample, augment and normalize."""
    waveform = to_mono_16k(mono, sample_rate)
    if augment:
        waveform = augment(waveform)
    if len(waveform) < min_samples:
        raise InputError(
            f"{name}: too short; it has {len(waveform)} samples at 16 kHz, the front end needs at least {min_samples}"
        )
    return normalize(waveform)
