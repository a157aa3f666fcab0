"""Turn audio files and samples into waveforms: read, choose or average the channels, resample, normalize.

Training, evaluation and every interface use this path and no other.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from math import inf

import numpy as np
import torch
import torchaudio

from antideepfake.audio.audio_file import BLOCK, AudioFile, open_audio
from antideepfake.audio.headers import HIGHEST_RATE, LOWEST_RATE
from antideepfake.audio.recording import Recording
from antideepfake.errors import InputError

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16000  # Hz; the rate at which all published self-supervised speech encoders were trained
SILENCE = 1 / 32768  # one step of 16-bit audio; a recording whose samples differ by no more than this is silent
LOUDEST = 1e10  # full scale is 1; unscaled 32-bit integers are below, and squares of much larger samples overflow
CANCELLED = 0.01  # minimum power of the averaged channels relative to the channels; less means that they cancel
MAX_SECONDS = 1800  # longest recording that is read at once; longer ones are streamed
RESAMPLED = 1 << 20  # samples that are resampled at once
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
        blocks = list(_read_segment(file, os.fspath(path), start, duration, is_bounded=True))
        return torch.from_numpy(np.concatenate(blocks)), file.samplerate


def _read_segment(
    file: AudioFile, name: str, start: float, duration: float | None, is_bounded: bool
) -> Iterator[np.ndarray]:
    """Read a recording or a segment of it in blocks.

    Raise an error if it has no samples, or if it is bounded and longer than what fits in memory.
    """
    first = round(start * file.samplerate)
    requested = None if duration is None else max(round(duration * file.samplerate), 0)
    longest = MAX_SECONDS * min(file.samplerate, MAX_RATE) if is_bounded else inf
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
            f"{name}: {minutes}longer than the {longest / file.samplerate / 60:.0f} minutes that can be read at once; "
            "cut it into shorter files"
        )
    if read == 0:
        raise InputError(f"{name}: contains no samples" + (f" after {start:.2f} s" if first else ""))


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
    mono = signal.mean(1) if signal.dim() == 2 else signal
    return torch.cat([*map(resampler.push, mono.split(RESAMPLED)), resampler.finish()])


class Resampler:
    """Resample a recording to 16 kHz block by block. The result does not depend on the size of the blocks.

    Arguments
    ---------
    sample_rate : int
        Sample rate of the blocks in Hz.

    Example
    -------
    >>> resampler = Resampler(8000)
    >>> blocks = [*map(resampler.push, torch.rand(8000).split(3000)), resampler.finish()]
    >>> torch.cat(blocks).shape
    torch.Size([16000])
    """

    def __init__(self, sample_rate: int) -> None:
        # All common rates have a small ratio to 16 kHz, which is used exactly. A rate such as 16,001 Hz would need a
        # filter bank of gigabytes. The nearest ratio with a denominator up to 2000 changes speed and pitch by less than
        # 0.05 %.
        ratio = Fraction(SAMPLE_RATE, sample_rate).limit_denominator(2000)
        self.old, self.new = ratio.denominator, ratio.numerator
        self.kernel = torchaudio.transforms.Resample(self.old, self.new, dtype=torch.float32)
        # more than the filter, which spans 6 periods on each side
        self.context = 0 if ratio == 1 else self.old * -(-8 * max(self.old, self.new) // (self.new * self.old))
        self.buffer = torch.zeros(0)
        self.start = 0  # index in the buffer of the first sample that is not resampled yet

    def push(self, block: torch.Tensor) -> torch.Tensor:
        """Take the next block, shape [time]; return what can be resampled without the samples that follow it."""
        self.buffer = torch.cat([self.buffer, block])
        ready = len(self.buffer) - self.start - self.context
        return self._resample(ready // self.old * self.old) if ready >= self.old else self.buffer[:0]

    def finish(self) -> torch.Tensor:
        """Return the rest of the resampled recording."""
        return self._resample(len(self.buffer) - self.start)

    def _resample(self, count: int) -> torch.Tensor:
        stop = self.start + count
        resampled = self.kernel(self.buffer[: stop + self.context]) if count else self.buffer[:0]
        skipped = self.start // self.old * self.new
        resampled = resampled[skipped : skipped + -(-count * self.new // self.old)]
        kept = max(stop - self.context, 0) // self.old * self.old
        self.buffer, self.start = self.buffer[kept:], stop - kept
        return resampled


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


class _ChannelCheck:
    """Check block by block that the average of the channels of a recording is usable."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.sums = self.squares = self.low = self.high = torch.zeros(0)

    def average(self, block: torch.Tensor) -> torch.Tensor:
        """Average the channels of a block (float32, shape [time, channels]); raise an InputError if it is unusable."""
        mono = block.mean(1)
        both = torch.cat([mono[:, None], block], 1).double()  # column 0 is the average
        if self.count == 0:
            self.sums = self.squares = torch.zeros(both.shape[1], dtype=torch.double)
            self.low = self.high = both[0]
        if not torch.isfinite(both).all():
            raise InputError(f"{self.name}: contains samples that are not finite numbers; convert the file again")
        self.sums = self.sums + both.sum(0)
        self.squares = self.squares + both.square().sum(0)
        self.low, self.high = both.amin(0).minimum(self.low), both.amax(0).maximum(self.high)
        self.count += len(block)
        if max(self.high.abs().max().item(), self.low.abs().max().item()) > LOUDEST:
            raise InputError(f"{self.name}: contains samples above {LOUDEST:g} (full scale is 1); convert it again")
        return mono

    def finish(self) -> None:
        """Raise an InputError if the recording is silent or its channels cancel each other."""
        if not self.count:
            return
        ranges = self.high - self.low
        variances = (self.squares / self.count - (self.sums / self.count).square()).clamp(min=0)
        if ranges[1:].max() <= SILENCE:
            raise SilentError(f"{self.name}: silent; there is nothing to classify")
        if ranges[0] <= SILENCE or variances[0] < CANCELLED * variances[1:].mean():
            raise InputError(
                f"{self.name}: the channels cancel each other when they are averaged (one is the inverse of the "
                "other); choose one channel"
            )


def stream_file(
    recording: Recording, start: float = 0.0, duration: float | None = None, is_bounded: bool = False
) -> Iterator[torch.Tensor]:
    """Read a file block by block: mono, 16 kHz, not normalized. Memory does not grow with the length of the file.

    Arguments
    ---------
    recording : Recording
        The file.
    start, duration : float
        Segment to read, see :func:`read_audio`.
    is_bounded : bool
        Raise an error if the segment is longer than ``MAX_SECONDS``, for a caller that collects the blocks.

    Yields
    ------
    torch.Tensor
        Blocks of any length, shape [time].

    Raises
    ------
    InputError
        As :func:`stream_samples`, and when the file cannot be read.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(8000).numpy(), 8000)
    >>> sum(map(len, stream_file(Recording(path))))
    16000
    """
    name = os.fspath(recording.path)
    with open_audio(recording.path, recording.stream) as file:
        if recording.channel is not None and recording.channel >= file.channels:
            raise InputError(f"{name}: has no channel {recording.channel + 1}; it has {file.channels}")
        if file.audio_streams > 1:
            logger.warning(f"{name}: read audio stream {recording.stream + 1} of {file.audio_streams}")
        blocks = map(torch.from_numpy, _read_segment(file, name, start, duration, is_bounded))
        yield from stream_samples(blocks, file.samplerate, name, recording.channel)


def trace_envelope(recording: Recording, seconds: float, points: int = 1000) -> np.ndarray:
    """Read the smallest and the largest sample of each part of a recording, to draw it.

    Arguments
    ---------
    recording : Recording
        The file.
    seconds : float
        Its length.
    points : int
        Parts of equal length.

    Returns
    -------
    numpy.ndarray
        Shape [points, 2].

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [0.0, 0.5, -0.5, 0.0] * 4000, 16000)
    >>> trace_envelope(Recording(path), 1.0, points=2)
    array([[-0.5,  0.5],
           [-0.5,  0.5]])
    """
    envelope = np.zeros((points, 2))
    position = 0
    for block in stream_file(recording):
        indices = (position + np.arange(len(block))) * points // max(round(seconds * SAMPLE_RATE), 1)
        indices = np.minimum(indices, points - 1)
        np.minimum.at(envelope[:, 0], indices, block.numpy())
        np.maximum.at(envelope[:, 1], indices, block.numpy())
        position += len(block)
    return envelope


def stream_samples(
    blocks: Iterable[torch.Tensor], sample_rate: int, name: str, channel: int | None = None
) -> Iterator[torch.Tensor]:
    """Turn blocks of samples into blocks of a waveform: mono, 16 kHz, not normalized.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Float32 samples, shape [time, channels].
    sample_rate : int
        Hz.
    name : str
        Name of the recording, for error messages.
    channel : int, optional
        The channel to take; by default the average of all.

    Yields
    ------
    torch.Tensor
        Blocks of any length, shape [time].

    Raises
    ------
    InputError
        At once when samples are not finite or far above full scale; at the end when the recording is silent
        (``SilentError``) or its channels cancel each other. Channels cancel if their average has less than 1 % of their
        power; the detector would then score mostly noise.

    Example
    -------
    >>> [len(block) for block in stream_samples(torch.rand(16000, 2).split(6000), 16000, "a call")]
    [6000, 6000, 4000, 0]
    """
    check, resampler = _ChannelCheck(name), Resampler(sample_rate)
    for block in blocks:
        yield resampler.push(check.average(block if channel is None else block[:, channel : channel + 1]))
    yield resampler.finish()
    check.finish()


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
    blocks = stream_file(Recording(path), start, duration, is_bounded=True)
    return finish_waveform(blocks, os.fspath(path), min_samples, augment)


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
    blocks = stream_samples(split_samples(signal, sample_rate, name), int(sample_rate), name)
    return finish_waveform(blocks, name, min_samples, augment)


def split_samples(signal: torch.Tensor, sample_rate: float, name: str) -> Sequence[torch.Tensor]:
    """Check the shape and the rate of samples, and split them into blocks for :func:`stream_samples`.

    Arguments
    ---------
    signal, sample_rate, name :
        As for :func:`make_waveform`.

    Returns
    -------
    sequence of torch.Tensor
        Shape [time, channels] each.

    Raises
    ------
    InputError
        When the shape or the rate is invalid.

    Example
    -------
    >>> [list(block.shape) for block in split_samples(torch.rand(8000), 8000, "a call")]
    [[8000, 1]]
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
    return (signal if signal.dim() == 2 else signal[:, None]).split(BLOCK)


def finish_waveform(
    blocks: Iterable[torch.Tensor],
    name: str,
    min_samples: int = 1,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Join the blocks of :func:`stream_file` or :func:`stream_samples`, augment and normalize them.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Shape [time] each.
    name, min_samples, augment :
        As for :func:`make_waveform`.

    Returns
    -------
    torch.Tensor
        Waveform of shape [time]: mono, 16 kHz, zero mean, unit variance.

    Raises
    ------
    InputError
        When the waveform is shorter than ``min_samples``.

    Example
    -------
    >>> finish_waveform([torch.rand(100), torch.rand(60)], "a call").shape
    torch.Size([160])
    """
    waveform = torch.cat(list(blocks))
    if augment:
        waveform = augment(waveform)
    if len(waveform) < min_samples:
        raise InputError(
            f"{name}: too short; it has {len(waveform)} samples at 16 kHz, the front end needs at least {min_samples}"
        )
    return normalize(waveform)
