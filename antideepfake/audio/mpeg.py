"""Count the frames of an MP3 file.

An MP3 file is a sequence of frames, each with a header of four bytes (ISO/IEC 11172-3 and 13818-3, section 2.4.2.3).
Only an optional first frame, called Xing, Info or VBRI, declares their number. Without it, a decoder estimates the
number from the size of the file and the bit rate of the first frame. The estimate is wrong if the bit rate varies or if
several files were joined. Therefore this module counts the frames.
"""

import re
from functools import cache
from typing import BinaryIO, NamedTuple

from antideepfake.audio.content import Content, map_content
from antideepfake.audio.segments import DamagedError, Segment, skip_id3

FEW = 4  # declared frames that may be missing, 26 ms each: encoders count their padding differently
ZEROS = re.compile(rb"\0+")
CONFIRM = 3  # consecutive frames that confirm that a header was not found by chance

RATES = (44100, 48000, 32000)  # Hz, for version 1; half of these in version 2, a quarter in version 2.5
V1_BITRATES = {  # kbit/s, by layer and index
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
V2_BITRATES = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class FrameHeader(NamedTuple):
    """Parsed header of a frame."""

    version: int  # 1, 2, or 3 for version 2.5
    layer: int
    rate: int  # Hz
    size: int  # bytes, including the header
    samples: int  # per channel
    mono: bool


class MpegFrames(NamedTuple):
    """The frames of an MP3 file.

    Arguments
    ---------
    total : int
        Number of frames that contain audio.
    samples : int
        Samples per channel in a frame.
    segments : list or None
        Segments to decode instead of the file, so that the decoder uses the correct number of frames: a Xing frame, a
        silent frame and the counted frames. None to decode the file itself.
    """

    total: int
    samples: int
    segments: list[Segment] | None


@cache
def _parse(second: int, third: int, fourth: int) -> FrameHeader | None:
    """Parse the second and third byte of a header and the two highest bits of its fourth byte."""
    version = {3: 1, 2: 2, 0: 3}.get(second >> 3 & 3)
    layer = 4 - (second >> 1 & 3)
    bitrate, rate = third >> 4, third >> 2 & 3
    if second < 0xE0 or not version or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    hertz = RATES[rate] // (1, 2, 4)[version - 1]
    bits = 1000 * (V1_BITRATES if version == 1 else V2_BITRATES)[layer][bitrate - 1]
    samples = 384 if layer == 1 else 576 if layer == 3 and version > 1 else 1152
    padding = third >> 1 & 1
    size = (12 * bits // hertz + padding) * 4 if layer == 1 else samples // 8 * bits // hertz + padding
    return FrameHeader(version, layer, hertz, size, samples, fourth >> 6 == 3)


def _header(data: Content, position: int) -> FrameHeader | None:
    if position + 4 > len(data) or data[position] != 0xFF:
        return None
    return _parse(data[position + 1], data[position + 2], data[position + 3] & 0xC0)


def _is_frame(data: Content, position: int) -> bool:
    """Check whether consecutive frames of the same kind begin here, or whether one ends at the end of the file."""
    first = _header(data, position)
    for _ in range(CONFIRM):
        header = _header(data, position)
        if not first or not header or header[:3] != first[:3]:
            return False
        position += header.size
        if position >= len(data):
            return position == len(data)
    return True


def _find_frame(data: Content, position: int) -> int:
    """Return the position of the next frame; the length of the file if no frame follows."""
    while (position := data.find(b"\xff", position)) >= 0:
        if _is_frame(data, position):
            return position
        position += 1
    return len(data)


def find_mpeg(file: BinaryIO, start: int) -> int | None:
    """Return where the first MPEG frame begins, at most 64 KB after ``start``; None if there is none."""
    with map_content(file) as data:
        position = _find_frame(data, start)
        return position if position < min(start + (1 << 16), len(data)) else None


def _side_info(header: FrameHeader) -> int:
    """Return the number of bytes between the header and a Xing or Info tag."""
    return (17 if header.mono else 32) if header.version == 1 else (9 if header.mono else 17)


def _read_declared(data: Content, position: int, header: FrameHeader) -> int | None:
    """Return the number of frames that a Xing, Info or VBRI frame declares (0 if unknown); None for other frames."""
    start = position + 4 + _side_info(header)
    if data[start : start + 4] in (b"Xing", b"Info"):
        return int.from_bytes(data[start + 8 : start + 12], "big") if data[start + 7] & 1 else 0
    if data[position + 36 : position + 40] == b"VBRI":
        return int.from_bytes(data[position + 50 : position + 54], "big")
    return None


def _make_xing(header: FrameHeader, count: int) -> tuple[bytes, bytes]:
    """Make a Xing frame that declares ``count`` frames, and a silent frame that decoders trim instead of audio."""
    rate = RATES.index(header.rate * (1, 2, 4)[header.version - 1])
    fields = (0xE0 | (3, 2, 0)[header.version - 1] << 3 | 0b011, 0x90 | rate << 2, 0xC0 if header.mono else 0)
    made = _parse(*fields)
    assert made
    start = bytes((0xFF, *fields)) + bytes(_side_info(header))
    tag = b"Xing" + (1).to_bytes(4, "big") + (count + 1).to_bytes(4, "big")
    return (start + tag).ljust(made.size, b"\0"), start.ljust(made.size, b"\0")


def count_frames(file: BinaryIO) -> MpegFrames | None:
    """Count the frames of an MP3 file.

    Arguments
    ---------
    file : file
        A file open for reading bytes.

    Returns
    -------
    MpegFrames or None
        None if no frame of known size is found; a decoder may still be able to read the file.

    Raises
    ------
    DamagedError
        When there are fewer frames than a Xing, Info or VBRI frame declares, when many bytes belong to no frame, or
        when the sample rate or the number of channels changes within the file.

    Example
    -------
    >>> import numpy as np, soundfile
    >>> path = getfixture("tmp_path") / "a.mp3"
    >>> soundfile.write(path, 0.1 * np.sin(np.arange(16000)), 16000)
    >>> with open(path, "rb") as file:
    ...     frames = count_frames(file)
    >>> 16000 <= frames.total * frames.samples < 16000 + 4 * 576
    True
    """
    with map_content(file) as data:
        start = position = _find_frame(data, skip_id3(file))
        first = _header(data, position)
        if not first:
            return None
        kind = first[:3], first.mono
        count, declared, tags = 0, 0, 0  # tags: Xing, Info and VBRI frames
        foreign = position - skip_tags(file, data, 0)  # bytes between the frames that belong to no tag
        spans: list[tuple[int, int]] = []
        while header := _header(data, position):
            if (header[:3], header.mono) != kind and _is_frame(data, position):
                raise DamagedError("its sample rate or number of channels changes; split it where it was joined")
            after = position + header.size
            if after > len(data):  # the file ends within a frame
                break
            frames = _read_declared(data, position, header)
            if frames is None:
                count += 1
            else:
                tags += 1
                declared += frames
                spans.append((start, position))
                start = after
            position = after
            if not _header(data, position):
                spans.append((start, position))
                after = skip_tags(file, data, position)
                start = position = _find_frame(data, after)
                foreign += position - after if position < len(data) else 0
        spans.append((start, position))
    spans = [span for span in spans if span[0] < span[1]]
    if foreign > min(FEW * first.size, (foreign + sum(end - start for start, end in spans)) // 10):
        raise DamagedError(f"damaged; {foreign} bytes before or between its MPEG frames are not audio")
    if declared > count + FEW * tags:
        raise DamagedError(f"truncated; its header declares {declared} MPEG frames, it contains {count}")
    if first.layer != 3 or (tags == 1 and len(spans) == 1 and declared >= count):
        return MpegFrames(count, first.samples, None)
    return MpegFrames(count, first.samples, [*_make_xing(first, count), *spans])


def skip_tags(file: BinaryIO, data: Content, position: int) -> int:
    """Return the position after any zeros and ID3v1, ID3v2 and APE tags."""
    while True:
        start = position
        position = skip_id3(file, position)
        if zeros := ZEROS.match(data, position):
            position = zeros.end()
        if data[position : position + 3] == b"TAG":
            position += 128
        if data[position : position + 8] == b"APETAGEX":
            # The size includes the footer but not the header. A footer without a header has the same field.
            has_content = data[position + 23] & 0x20
            position += 32 + (int.from_bytes(data[position + 12 : position + 16], "little") if has_content else 0)
        if position == start:
            return min(position, len(data))
