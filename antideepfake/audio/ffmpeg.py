"""Decode recordings with FFmpeg, through PyAV: those that libsndfile does not read."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from antideepfake.audio.boxes import UNKNOWN, DeclaredTiming
from antideepfake.audio.containers import FileFormat
from antideepfake.audio.segments import DamagedError, Segment, SegmentReader

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import InputContainer

MAX_CHANNELS = 64
MAX_SAMPLES = 1 << 21  # in a frame; the largest frames, of Monkey's Audio, have 1.2 million samples
BLOCK = 1 << 20  # samples decoded at a time, counting all channels
WARMUP = 10  # packets to decode before the requested samples, but at least 0.5 s: decoders use earlier packets
FEW = 5  # packets that may be missing at the end, but at least 0.25 s: headers count the delay of encoders differently
CHANGES = "its sample rate or number of channels changes; split it where it was joined"
# formats whose length FFmpeg reads from the header; in others it may estimate it from the bit rate
LENGTH_IN_HEADER = {"ape", "tta", "wv", "tak", "mpc", "mpc8", "dsf", "rm"}
# Unless it is told to verify checksums, FFmpeg conceals damage. Other codecs have none, or encoders write wrong ones.
CHECKED = {"flac", "wavpack", "tta", "ape", "tak"}

# FFmpeg's own decoders of AMR fail at pauses that a telephone did not transmit; this library decodes them
PREFERRED = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}

# FFmpeg's names of codecs -> torchaudio's names, which protocols use; the name of another codec is put in upper case
ENCODINGS = {"amrnb": "AMR_NB", "amrwb": "AMR_WB", "pcm_mulaw": "ULAW", "pcm_alaw": "ALAW", "dca": "DTS"}
ENCODINGS |= {"mp1float": "MP1", "mp2float": "MP2", "mp3float": "MP3", "aac_latm": "AAC", "gsm_ms": "GSM"}
LOSSLESS = {"flac", "alac", "wavpack", "tta", "ape", "tak", "shorten", "truehd", "mlp", "wmalossless", "als", "ralf"}


class FFmpegDecoder:
    """An audio stream of a recording, decoded by FFmpeg.

    Packets follow each other without gaps: time stamps that leave one are ignored. What the file says to drop at the
    start, the delay of the encoder, is dropped.

    Arguments
    ---------
    file : file
        The recording, open for reading bytes.
    segments : sequence of bytes or (int, int)
        What to decode of it, see :class:`SegmentReader`.
    kind : FileFormat
        Its format. FFmpeg is not asked to guess it: some formats, such as playlists, would open other files.
    stream : int
        Index among the audio streams.
    timing : DeclaredTiming
        What the structure of the file says of the stream.

    Attributes
    ----------
    audio_streams : int
        Number of audio streams.
    has_video : bool
        Whether there is a video stream. A cover picture is none.
    samplerate, channels, encoding, bits :
        As in :class:`AudioFile`.
    known_frames : int or None
        Samples per channel; None if only decoding can determine it.
    tolerance : int
        Samples that may be missing at the end.

    Raises
    ------
    DamagedError
        When there is no such stream, or its beginning cannot be decoded.
    """

    def __init__(
        self,
        file: BinaryIO,
        segments: Sequence[Segment],
        kind: FileFormat,
        stream: int = 0,
        timing: DeclaredTiming = UNKNOWN,
    ) -> None:
        from av.stream import Disposition

        self.file, self.segments, self.kind, self.stream, self.timing = file, segments, kind, stream, timing
        self.damaged = f"cannot be read: damaged or truncated {kind.name} file"
        with self._open() as (container, audio):
            self.audio_streams = len(container.streams.audio)
            covers = [video.disposition & Disposition.attached_pic for video in container.streams.video]
            self.has_video = not all(covers)
            seconds = Fraction(timing.length, timing.rate)
            if not seconds and kind.demuxer in LENGTH_IN_HEADER and audio.duration and audio.time_base:
                seconds = audio.duration * audio.time_base
            self.seconds = float(seconds)  # by the header; 0: not declared
            frame = next(self._decode(container, audio), None)
            if frame is None:
                raise DamagedError(self.damaged if seconds else "the file contains no samples")
            codec = audio.codec_context
            self.samplerate, self.channels = frame.sample_rate, frame.layout.nb_channels
            self.encoding = _name_encoding(codec.name)
            self.bits = _count_bits(codec.name, codec.extradata or b"", frame)
            self.first = frame.pts or 0
        counts_samples = bool(timing.step) and timing.rate == self.samplerate
        self.is_seekable = counts_samples and codec.name not in PREFERRED  # whose first frame has another time stamp
        self.known_frames: int | None = None
        if counts_samples and timing.length:
            self.known_frames = max(timing.length - max(self.first, 0), 0)
        self.tolerance = FEW * timing.step

    @contextmanager
    def _open(self) -> Iterator[tuple["InputContainer", "AudioStream"]]:
        import av  # imported here because it is slow to import and few files need it

        try:
            reader = SegmentReader(self.file, self.segments)
            with av.open(reader, format=self.kind.demuxer) as container:
                count = len(container.streams.audio)
                if not count:
                    raise DamagedError(f"has no audio stream: this {self.kind.name} file has no sound")
                if not 0 <= self.stream < count:
                    raise DamagedError(f"has no audio stream {self.stream + 1}; it has {count}")
                audio = container.streams.audio[self.stream]
                if audio.codec_context is None:
                    raise DamagedError(f"the sound of this {self.kind.name} file has an encoding that is unknown")
                yield container, audio
        except av.FFmpegError:
            raise DamagedError(self.damaged) from None

    def _decode(self, container: "InputContainer", audio: "AudioStream") -> Iterator["AudioFrame"]:
        import av

        codec = audio.codec_context
        preferred = PREFERRED.get(codec.name, "")
        if preferred in av.codecs_available:
            codec = av.AudioCodecContext.create(preferred, "r")  # type: ignore[assignment]
        if (self.kind.demuxer, codec.name) == ("caf", "alac"):
            # FFmpeg drops the padding of the last frame, but ALAC, unlike other codecs, does not have it
            codec.flags2 |= av.codec.context.Flags2.skip_manual
        codec.options = {"max_samples": str(MAX_SAMPLES)}
        if codec.name in CHECKED:
            codec.options |= {"err_detect": "crccheck+explode"}
        for packet in container.demux(audio):
            if packet.is_corrupt:
                raise DamagedError(self.damaged)
            for frame in codec.decode(packet):
                if not 0 < frame.layout.nb_channels <= MAX_CHANNELS:
                    raise DamagedError(f"has {frame.layout.nb_channels} channels; at most {MAX_CHANNELS} are decoded")
                yield frame

    def read(self, start: int = 0, frames: int | None = None) -> Iterator[np.ndarray]:
        """Decode the recording, or a segment of it, in blocks.

        In files of the MP4 and QuickTime family whose packets have one length, decoding begins half a second before
        the requested samples. Their position is exact. Their values are those of the whole recording, except that noise
        that the AAC encoder replaced by its power is drawn again, and that samples of Opus differ by up to 0.001. All
        other recordings are decoded from their beginning, which is exact and slower.

        Arguments
        ---------
        start : int
            First sample, counted per channel.
        frames : int, optional
            Samples after which to stop; the last block may have more.

        Yields
        ------
        numpy.ndarray
            Float32, shape [time, channels].

        Raises
        ------
        DamagedError
            When the recording cannot be decoded, ends earlier than its header declares, or changes its sample rate or
            number of channels.
        """
        blocks: list[np.ndarray] = []
        read = held = 0
        for samples in self._read(start):
            blocks.append(samples)
            read, held = read + len(samples), held + len(samples)
            is_enough = frames is not None and read >= frames
            if held * self.channels >= BLOCK or is_enough:
                yield np.concatenate(blocks)
                blocks, held = [], 0
            if is_enough:
                return
        if blocks:
            yield np.concatenate(blocks)

    def _read(self, start: int) -> Iterator[np.ndarray]:
        with self._open() as (container, audio):
            position: int | None = 0
            early = start - max(WARMUP * self.timing.step, self.samplerate // 2)
            is_sought = self.is_seekable and early > 0
            if is_sought:
                container.seek(self.first + early, stream=audio)
                position = None
            largest, end = 0, 0.0
            for frame in self._decode(container, audio):
                if (frame.sample_rate, frame.layout.nb_channels) != (self.samplerate, self.channels):
                    raise DamagedError(CHANGES)
                if frame.pts is not None and frame.time_base:
                    end = float(frame.pts * frame.time_base) + frame.samples / self.samplerate
                    index = frame.pts - self.first
                    position = index if position is None else position
                    # a frame that FFmpeg did not find leaves no other trace than its number
                    if self.kind.demuxer == "flac" and index != position:
                        raise DamagedError("damaged; one of its FLAC frames is missing")
                if position is None or (is_sought and position > start and not largest):
                    raise DamagedError("damaged; its index leads to another place")
                skipped = min(max(start - position, 0), frame.samples)
                if skipped < frame.samples:
                    yield to_array(frame)[skipped:]
                position += frame.samples
                largest = max(largest, frame.samples)
            end = max(end, (position or 0) / self.samplerate)
            if self.seconds - end > max(FEW * largest / self.samplerate, 0.25):
                raise DamagedError(f"truncated; its header declares {self.seconds:.2f} s, it ends after {end:.2f} s")


def scale_integers(samples: np.ndarray) -> np.ndarray:
    """Convert integer samples to float32 in [-1, 1).

    Arguments
    ---------
    samples : numpy.ndarray
        Integers of any width and byte order. Unsigned samples represent zero by the middle of their range.

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


def to_array(frame: "AudioFrame") -> np.ndarray:
    """Return the samples of a frame: float32, shape [time, channels]."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    return scale_integers(samples) if samples.dtype.kind in "iu" else samples.astype(np.float32)


def _name_encoding(codec: str) -> str:
    if match := re.match(r"pcm_([suf])\d", codec):
        return f"PCM_{match[1].upper()}"
    return ENCODINGS.get(codec, codec.upper())


def _count_bits(codec: str, extradata: bytes, frame: "AudioFrame") -> int:
    """Return the bits per sample; 0 for lossy codecs. Some codecs do not tell 24 bits from 32."""
    if match := re.match(r"pcm_[suf](\d+)", codec):
        return int(match[1])
    if codec in ("pcm_mulaw", "pcm_alaw"):
        return 8
    if codec == "flac" and len(extradata) >= 18:
        return (int.from_bytes(extradata[10:18], "big") >> 36 & 31) + 1
    if codec == "alac" and len(extradata) >= 18:
        return extradata[17]
    return 8 * frame.format.bytes if codec in LOSSLESS else 0
