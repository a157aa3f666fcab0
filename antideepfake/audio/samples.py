"""From an audio file or samples to 16 kHz samples: read, choose or average the channels, resample, normalize.

Training, evaluation and every interface use this path and no other. It does not need torch, since a detector in ONNX
Runtime starts without it. :mod:`antideepfake.audio.waveform` gives the same samples as tensors.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache, lru_cache
from math import ceil, inf
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antideepfake.audio.audio_file import BLOCK, AudioFile, open_audio
from antideepfake.audio.headers import HIGHEST_RATE, LOWEST_RATE
from antideepfake.audio.recording import Recording
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

logger = logging.getLogger(__name__)

Samples = NDArray[np.float32]

SAMPLE_RATE = 16000  # Hz; the rate at which all published self-supervised speech encoders were trained
SILENCE = 1 / 32768  # one step of 16-bit audio; a recording whose samples differ by no more than this is silent
LOUDEST = 1e10  # full scale is 1; unscaled 32-bit integers are below, and squares of much larger samples overflow
CANCELLED = 0.01  # minimum power of the averaged channels relative to the channels; less means that they cancel
MAX_SECONDS = 1800  # longest recording that is read at once; longer ones are streamed
CROSSINGS = 6  # zeros of the sinc on each side of the filter for resampling
FILTERED = 1 << 22  # numbers that are copied at once for this filter: 16 MB
NORMALIZATION_EPS = 1e-5  # added to the variance
MAX_RATE = 48_000  # Hz; at higher rates, MAX_SECONDS decreases so that the number of samples stays the same


class SilentError(InputError):
    """A recording, or the segment of it that was read, is silent."""


def read_segment(
    file: AudioFile, name: str, start: float, duration: float | None, is_bounded: bool
) -> Iterator[Samples]:
    """Read a recording or a segment of it in blocks, [time, channels], as they are in the file.

    Raises an error if it has no samples, or if it is bounded and longer than what fits in memory.
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


class Resampler:
    """Resample a recording to 16 kHz block by block. The result does not depend on the size of the blocks.

    The filter is the windowed sinc of torchaudio with default settings, as in the training of the released models.

    Arguments
    ---------
    sample_rate : int
        Sample rate of the blocks in Hz.

    Example
    -------
    >>> resampler = Resampler(8000)
    >>> blocks = [*map(resampler.push, np.array_split(np.ones(8000, np.float32), 3)), resampler.finish()]
    >>> np.concatenate(blocks).shape
    (16000,)
    """

    def __init__(self, sample_rate: int) -> None:
        # All common rates have a small ratio to 16 kHz, which is used exactly. A rate such as 16,001 Hz would need a
        # filter bank of gigabytes. The nearest ratio with a denominator up to 2000 changes speed and pitch by less than
        # 0.05 %.
        ratio = Fraction(SAMPLE_RATE, sample_rate).limit_denominator(2000)
        self.old, self.new = ratio.denominator, ratio.numerator
        if ratio != 1:
            self.filters, self.width = _sinc_filters(self.old, self.new)
        # more than the filter, which spans 6 periods on each side
        self.context = 0 if ratio == 1 else self.old * -(-8 * max(self.old, self.new) // (self.new * self.old))
        self.buffer = np.zeros(0, np.float32)
        self.start = 0  # index in the buffer of the first sample that is not resampled yet

    def push(self, block: Samples) -> Samples:
        """Take the next block, shape [time]; return what can be resampled without the samples that follow it."""
        self.buffer = np.concatenate([self.buffer, block])
        ready = len(self.buffer) - self.start - self.context
        return self._resample(ready // self.old * self.old) if ready >= self.old else self.buffer[:0]

    def finish(self) -> Samples:
        """Return the rest of the resampled recording."""
        return self._resample(len(self.buffer) - self.start)

    def _resample(self, count: int) -> Samples:
        stop = self.start + count
        resampled = self._filter(self.buffer[: stop + self.context]) if count else self.buffer[:0]
        skipped = self.start // self.old * self.new
        resampled = resampled[skipped : skipped + -(-count * self.new // self.old)]
        kept = max(stop - self.context, 0) // self.old * self.old
        self.buffer, self.start = self.buffer[kept:], stop - kept
        return resampled

    def _filter(self, samples: Samples) -> Samples:
        if self.old == self.new:
            return samples.copy()
        padded = np.pad(samples, (self.width, self.width + self.old))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.filters.shape[1])[:: self.old]
        size = max(FILTERED // windows.shape[1], 1)
        with _one_thread():
            chunks = [windows[start : start + size] @ self.filters.T for start in range(0, len(windows), size)]
        return np.concatenate(chunks).ravel()[: ceil(self.new * len(samples) / self.old)]


_LIMITED = Lock()  # the limit below is one of the whole process


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit matrix products to one thread.

    Their rounding depends on the number of threads, and without a limit each of several reading processes would start
    one thread per core.
    """
    with _LIMITED, _find_blas().limit(limits=1):
        yield


@cache
def _find_blas() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController  # only for recordings at other rates than 16 kHz

    return ThreadpoolController().select(user_api="blas")


@lru_cache(maxsize=16)
def _sinc_filters(old: int, new: int) -> tuple[Samples, int]:
    """Compute the filters, [new, 2 width + old], one for each output sample of a period of ``old`` input samples."""
    cutoff = 0.99 * min(old, new)  # the transition band ends at the Nyquist frequency
    width = ceil(CROSSINGS * old / cutoff)
    # in float32 and in this order, as in torchaudio: another rounding would change noise by 1e-4
    inputs, outputs = np.arange(-width, width + old, dtype=np.float32), np.arange(0, -new, -1, dtype=np.float32)
    times = outputs[:, None] / np.float32(new) + inputs / np.float32(old)
    times = np.clip(times * np.float32(cutoff), -CROSSINGS, CROSSINGS)
    window = np.square(np.cos(times * np.float32(np.pi) / CROSSINGS / 2))
    times *= np.float32(np.pi)
    sinc = np.where(times == 0, np.float32(1), np.sin(times) / np.where(times == 0, np.float32(1), times))
    return sinc * (window * np.float32(cutoff / old)), width


def normalize(samples: Samples) -> Samples:
    """Normalize an utterance to zero mean and unit variance: layer normalization without parameters, eps 1e-5.

    Arguments
    ---------
    samples : array of float32
        Shape [time], without padding.

    Returns
    -------
    array of float32
        Shape [time].

    Example
    -------
    >>> round(float(normalize(np.arange(100, dtype=np.float32)).std()), 3)
    1.0
    """
    centered = samples - samples.mean(dtype=np.float64).astype(np.float32)
    variance = np.square(centered, dtype=np.float64).mean()
    return centered * np.float32(1 / np.sqrt(variance + NORMALIZATION_EPS))


class _ChannelCheck:
    """Check block by block that the average of the channels of a recording is usable."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.sums = self.squares = self.low = self.high = np.zeros(0)

    def average(self, block: Samples) -> Samples:
        """Average the channels of a block (float32, shape [time, channels]); raise an InputError if it is unusable."""
        channels = np.ascontiguousarray(block.T)  # numpy reduces rows much faster than columns
        with np.errstate(invalid="ignore", over="ignore"):
            mono = channels.mean(0)
        # row 0 is the average, which is the channel itself if there is only one
        rows = np.concatenate([mono[None], channels] if len(channels) > 1 else [channels], dtype=np.float64)
        with np.errstate(invalid="ignore"):
            sums = rows.sum(1)
        if not np.isfinite(sums).all():  # finite float32 samples have a finite sum in float64
            raise InputError(f"{self.name}: contains samples that are not finite numbers; convert the file again")
        if self.count == 0:
            self.sums = self.squares = np.zeros(len(rows))
            self.low = self.high = rows[:, 0]
        self.sums = self.sums + sums
        # not by BLAS, which would start threads in every reading process
        self.squares = self.squares + np.einsum("ct,ct->c", rows, rows)
        self.low, self.high = np.minimum(rows.min(1), self.low), np.maximum(rows.max(1), self.high)
        self.count += len(block)
        if max(abs(self.high).max(), abs(self.low).max()) > LOUDEST:
            raise InputError(f"{self.name}: contains samples above {LOUDEST:g} (full scale is 1); convert it again")
        return mono

    def finish(self) -> None:
        """Raise an InputError if the recording is silent or its channels cancel each other."""
        if not self.count:
            return
        ranges = self.high - self.low
        variances = np.maximum(self.squares / self.count - np.square(self.sums / self.count), 0)
        channels = slice(1, None) if len(ranges) > 1 else slice(None)
        if ranges[channels].max() <= SILENCE:
            raise SilentError(f"{self.name}: silent; there is nothing to classify")
        if ranges[0] <= SILENCE or variances[0] < CANCELLED * variances[channels].mean():
            raise InputError(
                f"{self.name}: the channels cancel each other when they are averaged (one is the inverse of the "
                "other); choose one channel"
            )


def stream_file(
    recording: Recording, start: float = 0.0, duration: float | None = None, is_bounded: bool = False
) -> Iterator[Samples]:
    """Read a file block by block: mono, 16 kHz, not normalized. Memory does not grow with the length of the file.

    Arguments
    ---------
    recording : Recording
        The file.
    start, duration : float
        Segment to read, see :func:`antideepfake.audio.waveform.read_audio`.
    is_bounded : bool
        Raise an error if the segment is longer than ``MAX_SECONDS``, for a caller that collects the blocks.

    Yields
    ------
    array of float32
        Blocks of any length, shape [time].

    Raises
    ------
    InputError
        As :func:`stream_samples`, and when the file cannot be read.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, np.random.default_rng(1).random(8000), 8000)
    >>> sum(map(len, stream_file(Recording(path))))
    16000
    """
    name = os.fspath(recording.path)
    with open_audio(recording.path, recording.stream) as file:
        if recording.channel is not None and recording.channel >= file.channels:
            raise InputError(f"{name}: has no channel {recording.channel + 1}; it has {file.channels}")
        if file.audio_streams > 1:
            _report_stream(f"{name}: read audio stream {recording.stream + 1} of {file.audio_streams}")
        blocks = read_segment(file, name, start, duration, is_bounded)
        yield from stream_samples(blocks, file.samplerate, name, recording.channel)


@lru_cache(maxsize=256)  # a long recording is opened more than once, and reported once
def _report_stream(message: str) -> None:
    logger.warning(message)


def trace_envelope(recording: Recording, seconds: float, points: int = 1000) -> NDArray[np.float64]:
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
        np.minimum.at(envelope[:, 0], indices, block)
        np.maximum.at(envelope[:, 1], indices, block)
        position += len(block)
    return envelope


def stream_samples(
    blocks: Iterable[Samples], sample_rate: int, name: str, channel: int | None = None
) -> Iterator[Samples]:
    """Turn blocks of samples into blocks of a waveform: mono, 16 kHz, not normalized.

    Arguments
    ---------
    blocks : iterable of array
        Float32 samples, shape [time, channels].
    sample_rate : int
        Hz.
    name : str
        Name of the recording, for error messages.
    channel : int, optional
        The channel to take; by default the average of all.

    Yields
    ------
    array of float32
        Blocks of any length, shape [time].

    Raises
    ------
    InputError
        At once when samples are not finite or far above full scale; at the end when the recording is silent
        (``SilentError``) or its channels cancel each other. Channels cancel if their average has less than 1 % of their
        power; the detector would then score mostly noise.

    Example
    -------
    >>> samples = np.random.default_rng(1).random((16000, 2), np.float32)
    >>> [len(block) for block in stream_samples(np.split(samples, [6000, 12000]), 16000, "a call")]
    [6000, 6000, 4000, 0]
    """
    check, resampler = _ChannelCheck(name), Resampler(sample_rate)
    for block in blocks:
        yield resampler.push(check.average(block if channel is None else block[:, channel : channel + 1]))
    yield resampler.finish()
    check.finish()


def split_samples(signal: Samples, sample_rate: float, name: str) -> Sequence[Samples]:
    """Check the shape and the rate of samples, and split them into blocks for :func:`stream_samples`.

    Arguments
    ---------
    signal : array of float32
        Shape [time] or [time, channels].
    sample_rate : int or float
        Sample rate in Hz; a whole number.
    name : str
        Name of the recording, for error messages.

    Returns
    -------
    sequence of array
        Shape [time, channels] each.

    Raises
    ------
    InputError
        When the shape or the rate is invalid.

    Example
    -------
    >>> [list(block.shape) for block in split_samples(np.ones(8000, np.float32), 8000, "a call")]
    [[8000, 1]]
    """
    shape = f"the samples have shape {list(signal.shape)}; use [time] or [time, channels]"
    if signal.ndim not in (1, 2) or not signal.size:
        raise InputError(f"{name}: {shape}")
    if signal.ndim == 2 and len(signal) < signal.shape[1]:
        raise InputError(f"{name}: too short, or time and channels are swapped: {shape}")
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or sample_rate != int(sample_rate):
        raise InputError(
            f"{name}: the sample rate is {sample_rate} Hz; use a whole number from {LOWEST_RATE} to {HIGHEST_RATE}"
        )
    columns = signal if signal.ndim == 2 else signal[:, None]
    return [columns[start : start + BLOCK] for start in range(0, len(columns), BLOCK)]


def require_length(count: int, name: str, min_samples: int) -> None:
    """Raise an ``InputError`` for a recording shorter than the receptive field of a front end, ``min_samples``.

    Example
    -------
    >>> require_length(160, "a call", 400)
    Traceback (most recent call last):
    antideepfake.errors.InputError: a call: too short; it has 160 samples at 16 kHz, the front end needs at least 400
    """
    if count < min_samples:
        raise InputError(
            f"{name}: too short; it has {count} samples at 16 kHz, the front end needs at least {min_samples}"
        )
