"""Open audio files and decode them in blocks."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from antideepfake.audio.boxes import read_timing
from antideepfake.audio.containers import SHARED, FileFormat, check_size, find_links, has_several_streams, identify
from antideepfake.audio.content import find_file, open_content, parse_entry
from antideepfake.audio.ffmpeg import BLOCK, CHANGES, FFmpegDecoder
from antideepfake.audio.frames import READERS as FRAMED
from antideepfake.audio.frames import find_frames
from antideepfake.audio.headers import HIGHEST_RATE, LONGEST, LOWEST_RATE, count_flac
from antideepfake.audio.mpeg import FEW, count_frames, find_mpeg
from antideepfake.audio.mute import mute_decoder
from antideepfake.audio.segments import DamagedError, Segment, SegmentReader, skip_id3
from antideepfake.errors import InputError

SHORTEST_FRAME = 8  # minimum size of a FLAC frame in bytes
BUFFER = 1 << 16  # bytes read at once where Python reads for libsndfile, which asks for a few kilobytes at a time
RESERVOIR = 10  # MP3 frames to decode before the requested ones, because a frame may use bits of earlier frames
# formats in which FFmpeg goes on where libsndfile fails; the other decoder of MP3 trims it differently
RESUMED = {"wav", "flac", "ogg"}
TOO_LONG = f"longer than {LONGEST // 3600} hours; cut it into shorter files"
DAMAGED = "cannot be read: damaged or truncated"
NO_AUDIO = "cannot be read: not an audio or video file, by its content"

# libsndfile's names of formats and encodings -> torchaudio's names, which protocols use
FORMAT_ENCODINGS = {"FLAC": "FLAC", "MP3": "MP3", "MPEG": "MP3"}
SUBTYPE_ENCODINGS = {
    "PCM_S8": ("PCM_S", 8),
    "PCM_U8": ("PCM_U", 8),
    "PCM_16": ("PCM_S", 16),
    "PCM_24": ("PCM_S", 24),
    "PCM_32": ("PCM_S", 32),
    "FLOAT": ("PCM_F", 32),
    "DOUBLE": ("PCM_F", 64),
    "ULAW": ("ULAW", 8),
    "ALAW": ("ALAW", 8),
    "VORBIS": ("VORBIS", 0),
    "OPUS": ("OPUS", 0),
    "GSM610": ("GSM", 0),
}


class AudioFile:
    """A recording open for reading.

    libsndfile decodes it, or FFmpeg if libsndfile cannot. Use :func:`open_audio` to open a recording, and use the
    result as a context manager.

    Arguments
    ---------
    path : Path
        The file, or the entry of a tar shard.
    stream : int
        Index among the audio streams of the file.

    Attributes
    ----------
    samplerate : int
        Hz.
    channels : int
        Number of channels.
    encoding : str
        Encoding as named in protocols, such as ``PCM_S``, ``FLAC``, ``MP3`` or ``AAC``.
    bits : int
        Bits per sample; 0 for lossy codecs.
    known_frames : int or None
        Samples per channel; None if only decoding the file can determine it.
    audio_streams : int
        Number of audio streams.
    has_video : bool
        Whether the file is a video. A cover picture does not make it one.
    """

    def __init__(self, path: Path, stream: int = 0) -> None:
        self.path = path
        self.known_frames: int | None = None
        self.tolerance = 0  # samples that may be missing at the end
        self.warmup = 0  # samples that a decoder must decode before the requested ones
        self.lead = 0  # decoder padding at the start, in samples
        self.audio_streams, self.has_video = 1, False
        self.streams: list[soundfile.SoundFile] = []  # in order of time; empty if FFmpeg decodes the file
        self.ffmpeg: FFmpegDecoder | None = None
        self.file, size = open_content(path)
        try:
            self._open(stream, size)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "AudioFile":
        """Return the file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        for stream in self.streams:
            stream.close()
        self.file.close()

    def _open(self, stream: int, size: int) -> None:
        start = skip_id3(self.file)
        self.file.seek(start)
        head = self.file.read(1024)
        self.segments: list[Segment] = [(start, size)]
        self.kind = identify(head)
        if self.kind and self.kind.demuxer in FRAMED:
            self.kind = self._find_frames(self.kind, start)
        elif not self.kind:  # a recording may begin with other bytes
            self.kind = self._find_frames(FileFormat("aac", "AAC"), start)
        if not self.kind and (position := find_mpeg(self.file, start)) is not None:
            self.kind, self.segments = FileFormat("mp3", "MPEG audio"), [(position, size)]
        if self.kind and not self.kind.demuxer:
            raise DamagedError(f"{self.kind.name}, which cannot be decoded; convert it to wav or flac")
        if not self.kind or self.kind.demuxer in SHARED:
            try:
                self._open_streams(head, start, size)
            except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, which has no header
                if not self.kind or (self.kind.demuxer == "mp3" and not count_frames(self.file)):
                    raise DamagedError(NO_AUDIO) from None
        if self.streams:
            self._describe_streams(stream)
        else:
            self._open_ffmpeg(start, size, stream)
        _check_rate(self.samplerate)
        if (self.known_frames or 0) > LONGEST * self.samplerate:
            raise DamagedError(TOO_LONG)

    def _find_frames(self, kind: FileFormat, start: int) -> FileFormat | None:
        """Find the frames of a recording without a container; return its format if there are any."""
        segments = find_frames(self.file, kind.demuxer, start)
        if segments is not None:
            self.segments = segments
        return kind if segments is not None else None

    def _describe_streams(self, stream: int) -> None:
        first = self.streams[0]
        self.samplerate, self.channels = first.samplerate, first.channels
        if any((other.samplerate, other.channels) != (self.samplerate, self.channels) for other in self.streams):
            raise DamagedError(CHANGES)
        if stream != 0:
            raise DamagedError(f"has no audio stream {stream + 1}; it has 1")
        encoding, self.bits = SUBTYPE_ENCODINGS.get(first.subtype, ("UNKNOWN", 0))
        self.encoding = FORMAT_ENCODINGS.get(first.format, "MP3" if first.subtype.startswith("MPEG") else encoding)
        if self.known_frames is None:
            self.known_frames = sum(part.frames for part in self.streams)

    def _open_ffmpeg(self, start: int, size: int, stream: int) -> None:
        """Open the file with FFmpeg."""
        assert self.kind
        if self.kind.demuxer not in SHARED:  # otherwise, the size has been checked
            check_size(self.file, size)
        timing = read_timing(self.file, self.kind.demuxer, size, start, stream)
        self.ffmpeg = FFmpegDecoder(self.file, self.segments, self.kind, stream, timing)
        self.samplerate, self.channels = self.ffmpeg.samplerate, self.ffmpeg.channels
        self.encoding, self.bits = self.ffmpeg.encoding, self.ffmpeg.bits
        self.audio_streams, self.has_video = self.ffmpeg.audio_streams, self.ffmpeg.has_video
        if self.known_frames is None:
            self.known_frames, self.tolerance = self.ffmpeg.known_frames, self.ffmpeg.tolerance

    def _open_streams(self, head: bytes, start: int, size: int) -> None:
        """Open the file with libsndfile; open it as segments if libsndfile would not read all of it."""
        if head[:4] == b"OggS":
            links = find_links(self.file, size)
            if has_several_streams(self.file):
                return
            if len(links) > 1:
                self.streams = [self._open_segments([link]) for link in links]
                return
        elif head[:4] == b"fLaC":
            field = int.from_bytes(head[21:26], "big")
            declared, counted = field & (1 << 36) - 1, count_flac(self.file, size)
            if not declared and not counted:
                raise DamagedError("cannot be read: damaged or truncated; its last FLAC frame is incomplete")
            if declared and counted and declared != counted:
                raise DamagedError(f"damaged; its header declares {declared} samples, its frames contain {counted}")
            if declared // max(int.from_bytes(head[10:12], "big"), 1) > size // SHORTEST_FRAME:
                raise DamagedError(f"damaged; its header declares {declared} samples, too many for {size} bytes")
            self.known_frames = declared or counted
            if not declared:  # written as a stream
                total = (field | counted).to_bytes(5, "big")
                self.segments = [head[:21] + total, (start + 26, size)]
                self.streams = [self._open_segments(self.segments)]
                if any(head[26:42]) and _hash_samples(self.streams[0]) != head[26:42]:
                    raise DamagedError("damaged; its samples do not match the MD5 sum in its header")
                return
        elif segments := check_size(self.file, size):
            self.segments = segments
            self.streams = [self._open_segments(segments)]
            return
        if self.kind and self.segments != [(start, size)]:  # after bytes that are not audio
            self.streams = [self._open_segments(self.segments)]
        elif parse_entry(self.path):
            self.streams = [self._open_segments([(0, size)])]
        else:
            with mute_decoder():
                self.streams = [soundfile.SoundFile(self.path)]
        if self.streams[0].format in FORMAT_ENCODINGS and head[:4] != b"fLaC" and (mpeg := count_frames(self.file)):
            self.known_frames = mpeg.total * mpeg.samples
            if mpeg.segments:
                self.streams[0].close()
                self.streams = [self._open_segments(mpeg.segments)]
                self.lead = self.streams[0].frames - self.known_frames
            self.known_frames = min(self.known_frames, self.streams[0].frames)
            self.warmup = RESERVOIR * mpeg.samples
            self.tolerance = (FEW + 2) * mpeg.samples  # 2: the decoder trims both ends

    def _open_segments(self, segments: list[Segment]) -> soundfile.SoundFile:
        with mute_decoder():
            return soundfile.SoundFile(io.BufferedReader(SegmentReader(self.file, segments), BUFFER))

    def _read(self, start: int, frames: int | None) -> Iterator[np.ndarray]:
        """Yield the samples from ``start`` to the end of the file, or a little more than ``frames``, in blocks."""
        position = start
        if self.streams:
            try:
                for block in self._read_streams(start):
                    position += len(block)
                    yield block
            except soundfile.LibsndfileError:
                if not self.kind or self.kind.demuxer not in RESUMED:
                    raise
            if not self.kind or self.kind.demuxer not in RESUMED or position >= (self.known_frames or 0):
                return
        decoder = self.ffmpeg
        if not decoder:
            assert self.kind
            decoder = FFmpegDecoder(self.file, self.segments, self.kind)
            if (decoder.samplerate, decoder.channels) != (self.samplerate, self.channels):  # Opus is decoded at 48 kHz
                raise DamagedError(DAMAGED)
        yield from decoder.read(position, None if frames is None else frames - (position - start))

    def _read_streams(self, start: int) -> Iterator[np.ndarray]:
        """Yield the samples from ``start`` to the end of the file as libsndfile decodes them."""
        size = max(BLOCK // self.channels, 1)
        start += max(self.lead, 0)
        for stream in self.streams:
            if start < stream.frames:
                extra = min(start, self.warmup)
                with mute_decoder():
                    stream.seek(start - extra)
                while len(block := self._read_block(stream, size)):
                    yield block[extra:]
                    extra = max(extra - len(block), 0)
            start = max(start - stream.frames, 0)

    def _read_block(self, stream: soundfile.SoundFile, size: int) -> np.ndarray:
        with mute_decoder() if self.encoding == "MP3" else nullcontext():
            return stream.read(size, dtype="float32", always_2d=True)

    def blocks(self, start: int = 0, frames: int | None = None) -> Iterator[np.ndarray]:
        """Decode the recording, or a segment of it, in blocks, so that memory is bounded.

        Arguments
        ---------
        start : int
            First sample, counted per channel.
        frames : int, optional
            Number of samples per channel; by default all up to the end. Fewer are returned if the recording ends
            earlier.

        Yields
        ------
        numpy.ndarray
            Float32 in [-1, 1], shape [time, channels].

        Raises
        ------
        InputError
            When the file is damaged or shorter than its header declares.
        """
        left = frames
        if self.known_frames is not None:
            available = max(self.known_frames - start, 0)
            left = available if frames is None else min(frames, available)
        if left == 0:
            return
        with _name_file(self.path):
            read = start
            for block in self._read(start, left):
                read += len(block)
                if read > LONGEST * self.samplerate:
                    raise DamagedError(TOO_LONG)
                if not len(block):  # the whole block lies before the start
                    continue
                yield block[:left]
                left = None if left is None else left - min(len(block), left)
                if left == 0:
                    return
            if left and self.known_frames is not None and left > self.tolerance:
                raise DamagedError(f"truncated; its header declares {self.known_frames} samples, {left} are missing")

    def count_frames(self) -> int:
        """Return the number of samples per channel; decode the file if its header does not say."""
        if self.known_frames is None:
            self.known_frames = sum(len(block) for block in self.blocks())
        return self.known_frames


def _hash_samples(file: soundfile.SoundFile) -> bytes:
    """Compute the MD5 sum of the samples as FLAC defines it for its header."""
    bits = SUBTYPE_ENCODINGS[file.subtype][1]
    digest = hashlib.md5(usedforsecurity=False)
    while len(block := file.read(BLOCK // file.channels, dtype="int32", always_2d=True)):
        digest.update((block >> (32 - bits)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes())
    return digest.digest()


def _check_rate(rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise DamagedError(f"its header declares {rate} Hz, which is not a plausible sample rate")


@contextmanager
def _name_file(path: Path) -> Iterator[None]:
    """Turn any error of a decoder into an InputError that names the file. This is the only place that does so."""
    try:
        yield
    except InputError:
        raise
    except DamagedError as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or 'damaged or truncated'}") from None
    except Exception:
        raise InputError(f"{path}: {DAMAGED}") from None


def open_audio(path: str | os.PathLike, stream: int = 0) -> AudioFile:
    """Open an audio file and check that it is complete.

    The content decides on the format, not the name. The header is compared with the content: the size of wav, RF64,
    W64, AVI, AIFF, CAF, AU and Windows Media files, the last frame of a FLAC file, the frames of MP3, AAC, AMR, AC-3
    and DTS files, the pages of an Ogg file, the elements of MP4, QuickTime, Matroska, WebM and Flash video files, and
    the length that they declare. A file that was cut between two frames or elements, and declares neither size nor
    length, looks like a shorter recording: AAC, AMR, AC-3, DTS, MP4 in fragments, live WebM, and MPEG streams, which
    may be cut anywhere.

    Segments of wav, flac, mp3, ogg, MP4 and QuickTime files are read by seeking; other files are decoded from their
    beginning. The position is exact to the sample. The values of MP3, AAC and Opus may differ slightly from those of
    the whole recording, see :meth:`antideepfake.audio.ffmpeg.FFmpegDecoder.read`.

    Arguments
    ---------
    path : str or Path
        A file in any format that libsndfile or FFmpeg reads: wav, flac, mp3, ogg, m4a, amr, webm, videos and others.
        Or an entry of a tar shard, see :mod:`antideepfake.audio.content`, which is read like a file.
    stream : int
        Index among the audio streams of the file.

    Returns
    -------
    AudioFile
        The open file. The caller closes it.

    Raises
    ------
    InputError
        When the file is missing, empty, not audio, encrypted, in a format that cannot be decoded, without samples or
        sound, without that stream, longer than 24 hours, or shorter than its header declares.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, np.zeros((8000, 2)), 16000)
    >>> with open_audio(path) as file:
    ...     file.samplerate, file.channels, [block.shape for block in file.blocks(start=7000)]
    (16000, 2, [(1000, 2)])
    """
    if not os.fspath(path):
        raise InputError("'': the file name is empty; give the path of an audio file")
    path = Path(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:  # neither a protocol nor a score file could contain it
        raise InputError(f"{os.fsencode(path)!r}: the name of the file is not UTF-8; rename it") from None
    with _name_file(path):
        state = find_file(path).stat()
        if stat.S_ISDIR(state.st_mode):
            os.scandir(find_file(path)).close()  # raises a clearer error if the folder is not readable
            raise DamagedError("a folder, not an audio file")
        if not stat.S_ISREG(state.st_mode):
            raise DamagedError("not a regular file")
        if state.st_size == 0:
            raise DamagedError("the file is empty")
        file = AudioFile(path, stream)
    if file.known_frames is not None and file.known_frames <= 0:
        file.close()
        raise InputError(f"{path}: the file contains no samples")
    return file
