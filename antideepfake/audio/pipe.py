"""Decode a recording from a pipe, such as standard input, while it is written."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from antideepfake.audio.audio_file import NO_AUDIO
from antideepfake.audio.containers import FileFormat, identify
from antideepfake.audio.ffmpeg import CHANGES, MAX_CHANNELS, scale_integers, to_array
from antideepfake.audio.headers import HIGHEST_RATE, LOWEST_RATE
from antideepfake.audio.segments import DamagedError
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from av import AudioFrame

HEAD = 1024  # bytes that identify the format
BUFFER = 4096  # bytes that FFmpeg reads at once; more would delay a slow stream


class AudioPipe:
    """A recording that is read once from its beginning; open it with :func:`open_pipe`.

    Attributes
    ----------
    samplerate, channels : int
        Hz; number of channels.
    """

    def __init__(self, samplerate: int, channels: int, blocks: Iterator[np.ndarray]) -> None:
        if not LOWEST_RATE <= samplerate <= HIGHEST_RATE or channels > MAX_CHANNELS:
            raise DamagedError(f"declares {samplerate} Hz and {channels} channels, which is not plausible")
        self.samplerate, self.channels = samplerate, channels
        self._blocks = blocks

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples as they arrive: float32, shape [time, channels]."""
        return self._blocks


@contextmanager
def open_pipe(file: BinaryIO, samplerate: int | None = None, name: str = "standard input") -> Iterator[AudioPipe]:
    """Open a recording that arrives through a pipe.

    Arguments
    ---------
    file : file
        Open for reading bytes; it is not sought.
    samplerate : int, optional
        Hz, for samples without a header: 16 bits, little-endian, one channel. By default the recording has a header.
    name : str
        Name of the recording, for error messages.

    Yields
    ------
    AudioPipe
        The recording.

    Raises
    ------
    InputError
        When it is not audio or damaged, the rate is not plausible, or its format can only be read from a file: MP4
        files whose index is at their end.

    Example
    -------
    >>> import soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros(8000), 16000, format="WAV")
    >>> _ = file.seek(0)
    >>> with open_pipe(file) as pipe:
    ...     pipe.samplerate, sum(map(len, pipe.blocks()))
    (16000, 8000)
    """
    try:
        if samplerate is not None:
            yield AudioPipe(samplerate, 1, _read_raw(_Pipe(b"", file)))
        else:
            with _open_format(file) as pipe:
                yield pipe
    except DamagedError as error:
        raise InputError(f"{name}: {error}") from None


@contextmanager
def _open_format(file: BinaryIO) -> Iterator[AudioPipe]:
    import av  # imported here because it is slow to import

    head = _read_head(file)
    kind = identify(head)
    if not kind and (head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")):
        kind = FileFormat("mp3", "MP3")
    if not kind or not kind.demuxer:
        raise DamagedError(NO_AUDIO if head else "contains no samples")
    try:
        # FFmpeg would otherwise collect seconds of a stream before it decodes the first sample. With these limits it
        # collects up to 70 KB, two seconds of speech at 16 kHz without compression, which then arrive at once.
        options = {"analyzeduration": "100000", "probesize": "32768"}
        with av.open(
            _Pipe(head, file), format=kind.demuxer, container_options=options, buffer_size=BUFFER
        ) as container:
            if not container.streams.audio:
                raise DamagedError(f"this {kind.name} file has no sound")
            frames = container.decode(audio=0)
            first = next(frames, None)
            if first is None:
                raise DamagedError("contains no samples")
            kind_of = (first.sample_rate, first.layout.nb_channels)
            yield AudioPipe(*kind_of, _read_frames(chain([first], frames), kind_of))
    except av.FFmpegError:
        raise DamagedError(
            f"cannot be read: a damaged {kind.name} file, or one that cannot be read from a pipe; save it first"
        ) from None


def _read_raw(pipe: "_Pipe") -> Iterator[np.ndarray]:
    rest = b""
    while part := pipe.read(BUFFER):
        rest += part
        whole = len(rest) // 2 * 2
        yield scale_integers(np.frombuffer(rest[:whole], "<i2"))[:, None]
        rest = rest[whole:]


def _read_frames(frames: Iterator["AudioFrame"], expected: tuple[int, int]) -> Iterator[np.ndarray]:
    for frame in frames:
        if (frame.sample_rate, frame.layout.nb_channels) != expected:
            raise DamagedError(CHANGES)
        yield to_array(frame)


def _read_head(file: BinaryIO) -> bytes:
    """Read the first bytes; a pipe may give fewer at a time."""
    head = b""
    while len(head) < HEAD and (part := file.read(HEAD - len(head))):
        head += part
    return head


class _Pipe(io.RawIOBase):
    """The bytes that were read already, and those that follow, as soon as there are any."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self.head, self.file = head, file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.head:
            part, self.head = self.head[:size], self.head[size:]
            return part
        # a buffered reader's read1 returns what has arrived, its read waits for all
        return getattr(self.file, "read1", self.file.read)(size)
