"""The one path from a file to a waveform: read, average the channels, resample, normalize."""

import os
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import torch
import torchaudio

from antideepfake.audio.audio_file import BLOCK, AudioFile, open_audio
from antideepfake.audio.headers import HIGHEST_RATE, LOWEST_RATE
from antideepfake.errors import InputError

SAMPLE_RATE = 16000  # Hz; what every published self-supervised speech encoder was trained at
SILENCE = 1 / 32768  # a 16-bit file that never moves by more than one step holds no sound
LOUDEST = 1e10  # full scale is 1; unscaled 32-bit integers pass; squares of much larger samples are infinite
CANCELLED = 0.01  # of the power of the channels: less is left of their average where one is the inverse of another
# Half an hour: a large front end takes some 4 MB a second, so 8 GB, and time that grows with the square of the length.
MAX_SECONDS = 1800  # of audio that is read at once
RESAMPLED = 1 << 21  # samples that are resampled at once
MAX_RATE = 48_000  # Hz; above, recordings may be as much shorter


class SilentError(InputError):
    """A recording, or the part of one that was read, is silent."""


def read_audio(path: str | os.PathLike, start: float = 0.0, duration: float | None = None) -> tuple[torch.Tensor, int]:
    """Read an audio file, or a part of it by seeking.

    Arguments
    ---------
    path : str or Path
        As :func:`antideepfake.audio.audio_file.open_audio`.
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
        When the file is missing, empty, not audio, or ends before its header says, or when more is to be read than
        ``MAX_SECONDS``.

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
    """Read a recording or a part of it, of which there is at least one sample and not more than fits in memory."""
    first = round(start * file.samplerate)
    wanted = None if duration is None else max(round(duration * file.samplerate), 0)
    longest = MAX_SECONDS * min(file.samplerate, MAX_RATE)
    count = wanted
    if file.known_frames is not None:
        rest = max(file.known_frames - first, 0)
        count = rest if wanted is None else min(rest, wanted)
    read = 0
    if (count or 0) <= longest:
        for block in file.blocks(first, wanted):
            read += len(block)
            if read > longest:
                break
            yield block
    if max(read, count or 0) > longest:
        minutes = "" if count is None else f"{count / file.samplerate / 60:.0f} minutes long, "
        raise InputError(
            f"{path}: {minutes}longer than the {longest / file.samplerate / 60:.0f} minutes that are read at once; "
            "cut it into shorter files"
        )
    if read == 0:
        raise InputError(f"{path}: holds no sample" + (f" after {start:.2f} s" if first else ""))


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
    return _resample(signal, ratio.denominator, ratio.numerator)


def _resample(signal: torch.Tensor, old: int, new: int) -> torch.Tensor:
    """Resample by ``new / old``; a long signal by parts, which needs less memory and gives the same."""
    step = RESAMPLED // old * old
    if len(signal) <= RESAMPLED or not step:
        return torchaudio.functional.resample(signal, old, new)
    context = old * -(-8 * max(old, new) // (new * old))  # reaches beyond the filter, which has 6 periods a side
    parts = []
    for start in range(0, len(signal), step):
        first = max(start - context, 0)
        part = torchaudio.functional.resample(signal[first : start + step + context], old, new)
        skipped = (start - first) * new // old
        parts.append(part[skipped : skipped + step * new // old])
    return torch.cat(parts)


def normalize(waveform: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit variance over the whole utterance: layer normalization without parameters, eps 1e-5.

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
    """From decoded samples to what every front end takes: mono, 16 kHz, normalized.

    A model folder names it as its ``audio_normalizer``, so SpeechBrain's ``classify_file`` takes the same path, and
    refuses the same recordings: :func:`make_waveform`.

    Example
    -------
    >>> WaveformNormalizer()(torch.rand(8000, 2), 8000).shape
    torch.Size([16000])
    """

    def __call__(self, signal: torch.Tensor, sample_rate: int) -> torch.Tensor:
        """Convert ``signal`` ([time] or [time, channels]) at ``sample_rate`` Hz to a waveform [time]."""
        return make_waveform(signal, sample_rate, "the recording")


class _Mixer:
    """Averages the channels of a recording that comes in blocks, and finds out whether that leaves anything."""

    def __init__(self) -> None:
        self.blocks: list[torch.Tensor] = []
        self.count = 0
        self.is_finite = True
        self.sums = self.squares = self.low = self.high = torch.zeros(0)

    def add(self, block: torch.Tensor) -> None:
        """Take a block, float32, shape [time, channels]."""
        mono = block.mean(1)
        both = torch.cat([mono[:, None], block], 1).double()  # the average first
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
        """Give the average of the channels, or raise an InputError that says why it is of no use."""
        variances = (self.squares / self.count - (self.sums / self.count).square()).clamp(min=0)
        if not self.is_finite:
            raise InputError(f"{name}: holds samples that are not numbers; convert the file again")
        if max(self.high.abs().max().item(), self.low.abs().max().item()) > LOUDEST:
            raise InputError(f"{name}: holds samples beyond {LOUDEST:g}, where 1 is full scale; convert the file again")
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
        For training: changes the waveform (mono, 16 kHz, [time]) before it is normalized.

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
    """Turn samples into a waveform as every front end takes it; refuse those that no detector can judge.

    Arguments
    ---------
    signal : torch.Tensor
        Samples, shape [time] or [time, channels].
    sample_rate : int or float
        Hz; a whole number.
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
        When there is no sample, one is not a number, there are too few, the shape or rate cannot be right, or the
        channels cancel each other: their average has less than 1 % of their power, so that mostly noise would be
        judged. ``SilentError`` when all samples are alike.

    Example
    -------
    >>> make_waveform(torch.rand(8000), 8000, "a call").shape
    torch.Size([16000])
    """
    shape = f"samples of shape {list(signal.shape)}; the shape is [time] or [time, channels]"
    if signal.dim() not in (1, 2) or not signal.numel():
        raise InputError(f"{name}: {shape}")
    if signal.dim() == 2 and len(signal) < signal.shape[1]:
        raise InputError(f"{name}: too short, or time and channels the wrong way round: {shape}")
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or sample_rate != int(sample_rate):
        raise InputError(
            f"{name}: a sample rate of {sample_rate} Hz; it is a whole number from {LOWEST_RATE} to {HIGHEST_RATE}"
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
            f"{name}: too short; {len(waveform)} samples at 16 kHz, the front end needs at least {min_samples}"
        )
    return normalize(waveform)
