"""What the page shows and plays of a recording: made in one pass and in bounded memory, whatever its length."""

import io
import os
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from antideepfake.audio.recording import Recording
from antideepfake.audio.samples import SAMPLE_RATE, stream_file
from antideepfake.errors import InputError

COLUMNS = 1000  # smallest number of columns of a long recording; there are fewer than twice as many
FRAME = 256  # samples: 16 ms, the shortest column
BANDS = 64  # of the spectrogram, of 125 Hz each
RANGE = 70.0  # dB below the loudest point at which the spectrogram is black
ENCODED = 1 << 16  # samples that the encoder takes at once


@dataclass(frozen=True)
class Sound:
    """A recording as the page shows and plays it.

    Arguments
    ---------
    duration : float
        Seconds.
    envelope : array
        Smallest and largest sample of each column, shape [columns, 2]. The last column may end after the recording.
    spectrogram : array
        From 0, quiet, to 1, loud; shape [columns, BANDS], the lowest frequency first.
    column_seconds : float
        Length of a column.
    mp3 : bytes
        What the detector hears: mono, 16 kHz.
    """

    duration: float
    envelope: NDArray[np.float32]
    spectrogram: NDArray[np.float32]
    column_seconds: float
    mp3: bytes


class Tracer:
    """Trace envelope and spectrogram of a recording block by block; columns are merged in pairs as it gets longer.

    Example
    -------
    >>> tracer = Tracer()
    >>> for block in np.zeros((10, 48_000), np.float32):
    ...     tracer.push(block)
    >>> envelope, spectrogram = tracer.finish()
    >>> envelope.shape, spectrogram.shape, tracer.column
    ((1875, 2), (1875, 64), 256)
    """

    def __init__(self) -> None:
        self.column = FRAME  # samples in a column
        self.envelope = np.zeros((0, 2), np.float32)
        self.power = np.zeros((0, BANDS), np.float32)
        self.rest = np.zeros(0, np.float32)  # samples that do not fill a column yet
        self.window = np.hanning(FRAME).astype(np.float32)

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next samples, shape [time]."""
        self.rest = np.concatenate([self.rest, block])
        while count := min(len(self.rest) // self.column, 2 * COLUMNS - len(self.envelope)):
            self._add(self.rest[: count * self.column])
            self.rest = self.rest[count * self.column :]
            if len(self.envelope) == 2 * COLUMNS:
                self.column *= 2
                low, high = self.envelope.reshape(-1, 2, 2).transpose(2, 0, 1)
                self.envelope = np.stack([low.min(1), high.max(1)], 1)
                self.power = self.power.reshape(-1, 2, BANDS).mean(1)

    def _add(self, samples: NDArray[np.float32]) -> None:
        """Add whole columns."""
        columns = samples.reshape(-1, self.column)
        frames = np.fft.rfft(samples.reshape(-1, FRAME) * self.window)[:, 1:]
        shape = len(columns), self.column // FRAME, BANDS, FRAME // 2 // BANDS
        power = np.square(np.abs(frames)).reshape(shape).mean((1, 3))
        envelope = np.stack([columns.min(1), columns.max(1)], 1)
        self.envelope = np.concatenate([self.envelope, envelope])
        self.power = np.concatenate([self.power, power.astype(np.float32)])

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give the envelope and the spectrogram, as :class:`Sound` describes them."""
        if len(self.rest):
            self._add(np.pad(self.rest, (0, self.column - len(self.rest))))
            self.rest = self.rest[:0]
        decibels = 10 * np.log10(self.power + 1e-12)
        loudest = decibels.max(initial=-120.0)
        return self.envelope, np.clip(1 + (decibels - loudest) / RANGE, 0, 1).astype(np.float32)


def trace_sound(path: str | os.PathLike, max_seconds: float) -> Sound:
    """Read a recording for the page.

    Arguments
    ---------
    path : str or Path
        An audio or video file.
    max_seconds : float
        Longest recording; decoding stops there.

    Returns
    -------
    Sound
        What the page shows and plays.

    Raises
    ------
    InputError
        When the file cannot be read, or the recording is longer than ``max_seconds``.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, 0.1 * np.random.default_rng(1).standard_normal(8000), 8000)
    >>> sound = trace_sound(path, 60)
    >>> sound.duration, sound.envelope.shape, sound.column_seconds
    (1.0, (63, 2), 0.016)
    """
    tracer, encoded, count = Tracer(), io.BytesIO(), 0
    with soundfile.SoundFile(encoded, "w", SAMPLE_RATE, 1, format="MP3") as file:
        for block in stream_file(Recording(path)):
            count += len(block)
            if count > max_seconds * SAMPLE_RATE:
                raise InputError(
                    f"{os.fspath(path)}: longer than the {max_seconds / 60:g} minutes that this page takes; cut it "
                    "into shorter files"
                )
            tracer.push(block)
            for start in range(0, len(block), ENCODED):
                file.write(np.clip(block[start : start + ENCODED], -1, 1))
    envelope, spectrogram = tracer.finish()
    return Sound(count / SAMPLE_RATE, envelope, spectrogram, tracer.column / SAMPLE_RATE, encoded.getvalue())
