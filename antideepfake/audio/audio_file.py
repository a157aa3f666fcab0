"""Opening audio files, and reading their headers."""

import hashlib
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import soundfile

from antideepfake.audio.containers import check_size, find_links, name_unsupported
from antideepfake.audio.headers import HIGHEST_RATE, LOWEST_RATE, count_flac
from antideepfake.audio.mpeg import FEW, count_frames
from antideepfake.audio.mute import mute_decoder
from antideepfake.audio.segments import DamagedError, Segment, SegmentReader, skip_id3
from antideepfake.errors import InputError

SHORTEST_FRAME = 8  # bytes of a FLAC frame, at least
RESERVOIR = 10  # MP3 frames before the wanted ones to decode, since a frame may use bits of those before it
BLOCK = 1 << 20  # samples decoded at a time, of all channels
# first bytes -> FFmpeg's name of the format: for files of which libsndfile knows the container and not the codec
FFMPEG_FORMATS = {b"RIFF": "wav", b"RIFX": "wav", b"OggS": "ogg", b"caff": "caf", b"FORM": "aiff", b"fLaC": "flac"}
FFMPEG_ENCODINGS = {"flac": "FLAC", "mp3": "MP3", "mp3float": "MP3", "vorbis": "VORBIS", "opus": "OPUS"}
CHANGES = "its sample rate or number of channels changes; split it where it was joined"
NO_AUDIO = "cannot be read: damaged, truncated, or not wav, flac, mp3, ogg or another supported audio file"

# libsndfile's names of formats and encodings -> those of protocols (torchaudio's)
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
    """A recording that is open for reading, by libsndfile or, where it does not know the codec, by FFmpeg.

    To be used as a context manager. :func:`open_audio` opens one.

    Arguments
    ---------
    path : Path
        The file.

    Attributes
    ----------
    samplerate : int
        Hz.
    channels : int
    encoding : str
        As in protocols: ``PCM_S``, ``FLAC``, ``MP3`` and the like.
    bits : int
        Of a sample; 0 for lossy codecs.
    known_frames : int or None
        Samples of one channel; None where only decoding tells.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known_frames: int | None = None
        self.tolerance = 0  # samples that may be missing at the end
        self.warmup = 0  # samples that a decoder needs before those that are wanted
        self.lead = 0  # samples at the start that are none of the recording's
        self.parts: list[soundfile.SoundFile] = []  # one after the other; none where FFmpeg reads the file
        self.file: BinaryIO = open(path, "rb")  # noqa: SIM115
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "AudioFile":
        """Give the file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        for part in self.parts:
            part.close()
        self.file.close()

    def _open(self) -> None:
        start = skip_id3(self.file)
        self.file.seek(start)
        head = self.file.read(64)
        if unsupported := name_unsupported(head):
            raise DamagedError(f"{unsupported}, which is not supported yet; {_suggest_conversion(self.path)}")
        self.format = FFMPEG_FORMATS.get(head[:4], "")
        try:
            self._open_parts(head, start, os.fstat(self.file.fileno()).st_size)
        except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, which has no header
            if not self.format:
                raise DamagedError(NO_AUDIO) from None
        if not self.parts:
            self.channels = next(self._decode()).shape[1]
            return
        first = self.parts[0]
        self.samplerate, self.channels = first.samplerate, first.channels
        if any((part.samplerate, part.channels) != (self.samplerate, self.channels) for part in self.parts):
            raise DamagedError(CHANGES)
        _check_rate(self.samplerate)
        encoding, self.bits = SUBTYPE_ENCODINGS.get(first.subtype, ("UNKNOWN", 0))
        self.encoding = FORMAT_ENCODINGS.get(first.format, "MP3" if first.subtype.startswith("MPEG") else encoding)
        if self.known_frames is None:
            self.known_frames = sum(part.frames for part in self.parts)

    def _open_parts(self, head: bytes, start: int, size: int) -> None:
        """Open the file with libsndfile, or segments of it where libsndfile would not read all of it."""
        if head[:4] == b"OggS":
            links = find_links(self.file, size)
            if len(links) > 1:
                self.parts = [self._open_segments([link]) for link in links]
                return
        elif head[:4] == b"fLaC":
            field = int.from_bytes(head[21:26], "big")
            promised, counted = field & (1 << 36) - 1, count_flac(self.file, size)
            if not promised and not counted:
                raise DamagedError("cannot be read: damaged or truncated; its last FLAC frame is not whole")
            if promised and counted and promised != counted:
                raise DamagedError(f"damaged; its header promises {promised} samples, its frames hold {counted}")
            if promised // max(int.from_bytes(head[10:12], "big"), 1) > size // SHORTEST_FRAME:
                raise DamagedError(f"damaged; its header promises {promised} samples, which {size} bytes cannot hold")
            self.known_frames = promised or counted
            if not promised:  # written as a stream
                total = (field | counted).to_bytes(5, "big")
                self.parts = [self._open_segments([head[:21] + total, (start + 26, size)])]
                if any(head[26:42]) and _hash_samples(self.parts[0]) != head[26:42]:
                    raise DamagedError("damaged; its samples are not those of its header's MD5 sum")
                return
        elif segments := check_size(self.file, size):
            self.parts = [self._open_segments(segments)]
            return
        with mute_decoder():
            self.parts = [soundfile.SoundFile(self.path)]
        if self.parts[0].format in FORMAT_ENCODINGS and head[:4] != b"fLaC" and (mpeg := count_frames(self.file)):
            self.known_frames = mpeg.total * mpeg.samples
            if mpeg.segments:
                self.parts[0].close()
                self.parts = [self._open_segments(mpeg.segments)]
                self.lead = self.parts[0].frames - self.known_frames
            self.known_frames = min(self.known_frames, self.parts[0].frames)
            self.warmup = RESERVOIR * mpeg.samples
            self.tolerance = (FEW + 2) * mpeg.samples  # with what the decoder takes off at both ends

    def _open_segments(self, segments: list[Segment]) -> soundfile.SoundFile:
        with mute_decoder():
            return soundfile.SoundFile(SegmentReader(self.file, segments))

    def _decode(self) -> Iterator[np.ndarray]:
        """Decode the file with FFmpeg."""
        import av  # here, since it takes its time and few files need it

        kind = None
        # "file:", since FFmpeg takes what is before a colon in a name for a protocol
        with av.open(f"file:{self.path}", format=self.format) as container:
            for frame in container.decode(audio=0):
                kind = kind or (frame.rate, frame.layout.nb_channels)
                if kind != (frame.rate, frame.layout.nb_channels):
                    raise DamagedError(CHANGES)
                _check_rate(frame.rate)
                self.samplerate, self.bits = frame.rate, 0
                self.encoding = FFMPEG_ENCODINGS.get(container.streams.audio[0].codec_context.name, "UNKNOWN")
                samples = frame.to_ndarray()
                samples = samples.T if frame.format.is_planar else samples.reshape(-1, kind[1])
                if samples.dtype.kind in "iu":
                    samples = scale_integers(samples)
                yield samples.astype(np.float32)
        if kind is None:
            raise DamagedError("the file holds no sample")

    def _read(self, start: int) -> Iterator[np.ndarray]:
        """Give all that follows ``start``, some samples at a time."""
        size = max(BLOCK // self.channels, 1)
        if not self.parts:
            for block in self._decode():
                yield block[start:]
                start = max(start - len(block), 0)
        start += max(self.lead, 0)
        for part in self.parts:
            if start < part.frames:
                extra = min(start, self.warmup)
                with mute_decoder():
                    part.seek(start - extra)
                while len(block := self._read_block(part, size)):
                    yield block[extra:]
                    extra = max(extra - len(block), 0)
            start = max(start - part.frames, 0)

    def _read_block(self, part: soundfile.SoundFile, size: int) -> np.ndarray:
        with mute_decoder() if self.encoding == "MP3" else nullcontext():
            return part.read(size, dtype="float32", always_2d=True)

    def blocks(self, start: int = 0, frames: int | None = None) -> Iterator[np.ndarray]:
        """Decode the recording, or a part of it, some samples at a time, so that memory is bounded.

        Arguments
        ---------
        start : int
            Where to begin, in samples of one channel.
        frames : int, optional
            How many; all that follow when not given. Fewer come where the recording ends.

        Yields
        ------
        numpy.ndarray
            Float32 in [-1, 1], shape [time, channels].

        Raises
        ------
        InputError
            When the file is damaged, or ends before its header says.
        """
        left = frames
        if self.known_frames is not None:
            rest = max(self.known_frames - start, 0)
            left = rest if frames is None else min(frames, rest)
        if left == 0:
            return
        with _name_file(self.path):
            for block in self._read(start):
                if not len(block):  # all of it comes before the start
                    continue
                yield block[:left]
                left = None if left is None else left - min(len(block), left)
                if left == 0:
                    return
            if left and self.known_frames is not None and left > self.tolerance:
                raise DamagedError(f"truncated; its header promises {self.known_frames} samples, {left} are missing")

    def count_frames(self) -> int:
        """Give the number of samples of one channel; where only decoding tells it, decode the file."""
        if self.known_frames is None:
            self.known_frames = sum(len(block) for block in self.blocks())
        return self.known_frames


def _hash_samples(file: soundfile.SoundFile) -> bytes:
    """Give the MD5 sum of samples as the header of a FLAC file has it."""
    bits = SUBTYPE_ENCODINGS[file.subtype][1]
    digest = hashlib.md5(usedforsecurity=False)
    while len(block := file.read(BLOCK // file.channels, dtype="int32", always_2d=True)):
        digest.update((block >> (32 - bits)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes())
    return digest.digest()


def scale_integers(samples: np.ndarray) -> np.ndarray:
    """Turn integer samples into float32 in [-1, 1); unsigned ones have their zero in the middle.

    Arguments
    ---------
    samples : numpy.ndarray
        Integers of any width and byte order.

    Returns
    -------
    numpy.ndarray
        Float32, of the same shape.

    Example
    -------
    >>> scale_integers(np.array([-32768, 16384], np.int16)), scale_integers(np.array([0, 192], np.uint8))
    (array([-1. ,  0.5], dtype=float32), array([-1. ,  0.5], dtype=float32))
    """
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return ((samples - (half if samples.dtype.kind == "u" else 0.0)) / half).astype(np.float32)


def _check_rate(rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise DamagedError(f"its header says {rate} Hz, which is not the sample rate of a recording")


def _suggest_conversion(path: Path) -> str:
    target = path.with_suffix(".flac" if path.suffix.lower() == ".wav" else ".wav").name
    return f"convert it to wav or flac, for example with: ffmpeg -i {shlex.quote(path.name)} {shlex.quote(target)}"


@contextmanager
def _name_file(path: Path) -> Iterator[None]:
    """Turn any error of a decoder into an InputError that names the file: the one place where that is done."""
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
        raise InputError(f"{path}: cannot be read: damaged or truncated") from None


def open_audio(path: str | os.PathLike) -> AudioFile:
    """Open an audio file, or say in one sentence why it cannot be opened.

    What a header promises is compared with what is there: the size of wav, RF64, W64, AIFF, CAF and AU files, the last
    frame of a FLAC file, the frames of an MP3 file, the pages of an Ogg file.

    Arguments
    ---------
    path : str or Path
        Any format that libsndfile reads: wav, flac, mp3, ogg and others.

    Returns
    -------
    AudioFile
        To be closed by the caller.

    Raises
    ------
    InputError
        When the file is missing, empty, not audio, of a kind that is not supported, without a sample, or ends before
        its header says.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, np.zeros((8000, 2)), 16000)
    >>> with open_audio(path) as file:
    ...     file.samplerate, file.channels, [block.shape for block in file.blocks(start=7000)]
    (16000, 2, [(1000, 2)])
    """
    if not os.fspath(path):
        raise InputError("'': an empty name instead of that of a file")
    path = Path(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:  # neither a protocol nor a score file could hold it
        raise InputError(f"{os.fsencode(path)!r}: the name of the file is not UTF-8; rename it") from None
    with _name_file(path):
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            os.scandir(path).close()  # says so where the folder may not be read
            raise DamagedError("a folder, not an audio file")
        if not stat.S_ISREG(state.st_mode):
            raise DamagedError("not a regular file")
        if state.st_size == 0:
            raise DamagedError("the file is empty")
        file = AudioFile(path)
    if file.known_frames is not None and file.known_frames <= 0:
        file.close()
        raise InputError(f"{path}: the file holds no sample")
    return file
