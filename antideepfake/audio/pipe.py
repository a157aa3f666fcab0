"""Decode a recording from a pipe, such as standard input, while it is written."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from antideepfake.audio.audio_file import NO_AUDIO
from antideepfake.audio.containers import FileFormat, identify
from antideepfake.audio.ffmpeg import CHANGES, MAX_CHANNELS, to_array
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

    def __init__(self, frames: Iterator["AudioFrame"]) -> None:
        self._frames = frames
        self._first = next(frames, None)
        if self._first is None:
            raise DamagedError("contains no samples")
        self.samplerate, self.channels = self._first.sample_rate, self._first.layout.nb_channels
        if not LOWEST_RATE <= self.samplerate <= HIGHEST_RATE or self.channels > MAX_CHANNELS:
            raise DamagedError(f"declares {self.samplerate} Hz and {self.channels} channels, which is not plausible")

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples as they arrive: float32, shape [time, channels]."""
        frame = self._first
        while frame is not None:
            if (frame.sample_rate, frame.layout.nb_channels) != (self.samplerate, self.channels):
                raise DamagedError(CHANGES)
            yield to_array(frame)
            frame = next(self._frames, None)


@contextmanager
def open_pipe(file: BinaryIO, name: str = "standard input") -> Iterator[AudioPipe]:
    """Open a recording that arrives through a pipe.

    Arguments
    ---------
    file : file
        Open for reading bytes; it is not sought.
    name : str
        Name of the recording, for error messages.

    Yields
    ------
    AudioPipe
        The recording.

    Raises
    ------
    InputError
        When it is not audio or damaged, or its format can only be read from a file: MP4 files whose index is at their
        end.

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
    import av

    head = _read_head(file)
    kind = identify(head)
    if not kind and (head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")):
        kind = FileFormat("mp3", "MP3")
    if not kind or not kind.demuxer:
        raise InputError(f"{name}: {NO_AUDIO}" if head else f"{name}: contains no samples")
    try:
        # FFmpeg would otherwise collect seconds of a stream before it decodes the first sample
        options = {"analyzeduration": "100000"}
        with av.open(
            _Pipe(head, file), format=kind.demuxer, container_options=options, buffer_size=BUFFER
        ) as container:
            if not container.streams.audio:
                raise DamagedError(f"this {kind.name} file has no sound")
            yield AudioPipe(container.decode(audio=0))
    except DamagedError as error:
        raise InputError(f"{name}: {error}") from None
    except av.FFmpegError:
        raise InputError(
            f"{name}: cannot be read: a damaged {kind.name} file, or one that cannot be read from a pipe; save it first"
        ) from None


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
