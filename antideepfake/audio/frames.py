"""Find the frames of recordings that consist of nothing else: AAC (ADTS and LOAS), AMR, AC-3 and DTS.

Each frame begins with a header that has the size of the frame. No header declares how many frames there are. A file
that ends within a frame is truncated; a file that was cut between two frames looks like a shorter recording.
"""

from collections.abc import Callable
from typing import BinaryIO

from antideepfake.audio.content import Content, map_content
from antideepfake.audio.mpeg import skip_tags
from antideepfake.audio.segments import DamagedError, Segment

CONFIRM = 4  # consecutive frames that confirm that a header was not found by chance
REACH = 1 << 16  # bytes before the first frame in which to look for it
FEW = 4  # frames of the largest size; as many bytes may lie before, between and after the frames

AMR_SIZES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)  # bytes of a frame by its type; 0: no such type
AMR_WB_SIZES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
AC3_BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)  # kbit/s

SizeReader = Callable[[bytes], int]
"""Takes the first bytes of a frame; returns its size in bytes, or 0 if they are not the header of a frame."""


def _read_adts(head: bytes) -> int:
    """Parse the header of an AAC frame: ISO/IEC 13818-7, section 6.2."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size >= 7 else 0


def _read_loas(head: bytes) -> int:
    """Parse the header of an AAC frame in a LOAS stream: ISO/IEC 14496-3, section 1.7.2."""
    return 3 + ((head[1] & 0x1F) << 8 | head[2]) if len(head) >= 3 and head[0] == 0x56 and head[1] >> 5 == 7 else 0


def _read_amr(head: bytes) -> int:
    """Parse the header of an AMR frame: RFC 4867, section 5.3."""
    return 0 if head[0] & 0x83 else AMR_SIZES[head[0] >> 3]


def _read_amr_wb(head: bytes) -> int:
    return 0 if head[0] & 0x83 else AMR_WB_SIZES[head[0] >> 3]


def _read_ac3(head: bytes) -> int:
    """Parse the header of an AC-3 or E-AC-3 frame: ETSI TS 102 366, sections 4.3.1 and E.1.2."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0
    if head[5] >> 3 > 10:  # E-AC-3
        return 2 * ((head[2] & 7) << 8 | head[3]) + 2
    rate, code = head[4] >> 6, head[4] & 0x3F
    if rate == 3 or code // 2 >= len(AC3_BITRATES):
        return 0
    bits = AC3_BITRATES[code // 2] * 1000 * 1536 // (48000, 44100, 32000)[rate]
    return 2 * (bits // 16 + (code & 1 if rate == 1 else 0))


def _read_dts(head: bytes) -> int:
    """Parse the header of a DTS core frame: ETSI TS 102 114, section 5.3."""
    is_frame = len(head) >= 8 and head[:4] == b"\x7f\xfe\x80\x01"
    return ((head[5] & 3) << 12 | head[6] << 4 | head[7] >> 4) + 1 if is_frame else 0


READERS: dict[str, SizeReader] = {
    "aac": _read_adts,
    "loas": _read_loas,
    "amr": _read_amr,
    "ac3": _read_ac3,
    "eac3": _read_ac3,
    "dts": _read_dts,
}


def find_frames(file: BinaryIO, demuxer: str, start: int) -> list[Segment] | None:
    """Find the frames of a recording, so that a decoder receives nothing else.

    Arguments
    ---------
    file : file
        A file open for reading bytes.
    demuxer : str
        FFmpeg's name of the format: a key of ``READERS``.
    start : int
        Where the recording begins, after any ID3v2 tags. Up to 64 KB that are not audio may follow.

    Returns
    -------
    list or None
        Start and end offset of each run of frames; None if the file contains none. Rare variants of AMR and DTS, which
        this module does not know, are one run.

    Raises
    ------
    DamagedError
        When the file ends within a frame, or many bytes belong to no frame and no tag.
    """
    with map_content(file) as data:
        read, position, foreign, longest = READERS[demuxer], start, 0, 0
        head = data[start : start + 9]
        if demuxer == "dts" and head[:1] != b"\x7f":  # 14 of 16 bits used, or bytes swapped
            return [(start, len(data))]
        if demuxer == "amr":
            if head[:6] != b"#!AMR\n" and head != b"#!AMR-WB\n":  # several channels
                return [(start, len(data))]
            read, position = (_read_amr_wb, start + 9) if head[5:6] == b"-" else (_read_amr, start + 6)
        else:
            found = _find_frame(data, start, read)
            if found is None:
                return None
            foreign += found - start
            start = position = found
        segments: list[Segment] = []
        while True:
            while position < len(data) and (size := read(data[position : position + 8])):
                position, longest = position + size, max(longest, size)
            if 0 < len(data) - position < 8 and data[start : start + 2].startswith(data[position : position + 2]):
                position += longest  # the file ends within a header
            if position > len(data):
                raise DamagedError(f"truncated; {position - len(data)} bytes of its last frame are missing")
            segments.append((start, position))
            after = skip_tags(file, data, position)
            following = None if demuxer == "amr" else _find_frame(data, after, read)
            foreign += (len(data) if following is None else following) - after
            if following is None:
                break
            start = position = following
        if foreign > FEW * longest:
            raise DamagedError(f"damaged; {foreign} bytes before, between or after its frames are not audio")
        return segments


def _find_frame(data: Content, position: int, read: SizeReader) -> int | None:
    """Return where several consecutive frames begin, or one that ends at the end of the file."""
    for start in range(position, min(position + REACH, len(data))):
        if not read(data[start : start + 8]):
            continue
        after, count = start, 0
        while after < len(data) and count < CONFIRM and (size := read(data[after : after + 8])):
            after += size
            count += 1
        if count == CONFIRM or (count and after == len(data)) or (count > 1 and after > len(data)):
            return start
    return None
