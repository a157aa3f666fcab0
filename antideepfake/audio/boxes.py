"""Read the structure of media files, without decoding: MP4 and QuickTime, Matroska and WebM, ASF, Flash video.

These files consist of nested elements that declare their sizes. A file that ends within an element is truncated. The
structure also says which streams are encrypted, and how long the recording is.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from antideepfake.audio.content import Content, map_content
from antideepfake.audio.segments import DamagedError

ENCRYPTED = "encrypted; it cannot be decoded without its key, so save it without encryption"
TOP_BOXES = frozenset(b"ftyp moov mdat moof free skip wide styp sidx uuid meta mfra pnot emsg ssix prft udta".split())
NESTED_BOXES = (b"edts", b"mdia", b"minf", b"stbl", b"traf")
# boxes with a table, and where in their content the number of its rows is
COUNTS = dict.fromkeys((b"stts", b"ctts", b"stsc", b"stco", b"co64", b"stss", b"elst", b"trun"), 4)
COUNTS |= {b"stsz": 8, b"stz2": 8}
ENCRYPTED_ENTRIES = (b"enca", b"drms", b"aavd")  # Common Encryption, FairPlay, Audible
DENSEST = 8  # samples of a track per byte of the file, more than in any codec; more entries come from a damaged index

# identifiers of elements of Matroska
SEGMENT, INFO, TRACKS, TRACK, CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675
TICKS, LENGTH, KIND, ENCODINGS, ENCRYPTION = 0x2AD7B1, 0x4489, 0x83, 0x6D80, 0x5035
VIDEO, AUDIO = 1, 2  # kinds of tracks
MATROSKA = {  # all elements at the top, in a segment and in a cluster
    *(SEGMENT, INFO, TRACKS, CLUSTER, 0x1A45DFA3, 0x114D9B74, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770),
    *(0xEC, 0xBF, 0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0xAF, 0x5854),
}

ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
ASF_ENCRYPTION = {
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
    bytes.fromhex("338505438169e6499b74ad12cb86d58c"),
}


class DeclaredTiming(NamedTuple):
    """How long a stream is and how its packets follow each other, as the structure of the file declares.

    Arguments
    ---------
    length : int
        Length in ticks of the stream's clock, after the samples that the file says to drop; 0 if it is not declared.
    rate : int
        Ticks per second.
    step : int
        Ticks in each packet but the last; 0 if the packets differ or the file does not say.
    """

    length: int = 0
    rate: int = 1
    step: int = 0


UNKNOWN = DeclaredTiming()


def read_timing(file: BinaryIO, demuxer: str, size: int, start: int, stream: int) -> DeclaredTiming:
    """Check that a media file is complete and not encrypted; read how long a stream is.

    A file that is cut between two elements and declares neither its size nor its length is accepted: MP4 in fragments,
    Matroska and Flash video written as a stream.

    Arguments
    ---------
    file : file
        A file open for reading bytes.
    demuxer : str
        FFmpeg's name of the format. Formats other than mov, matroska, asf and flv have an unknown timing.
    size : int
        Size of the file in bytes.
    start : int
        Where the recording begins in the file.
    stream : int
        Index among the audio streams.

    Returns
    -------
    DeclaredTiming
        Timing of the stream.

    Raises
    ------
    DamagedError
        When the file is truncated or the stream is encrypted.
    """
    readers = {"mov": _read_mov, "matroska": _read_matroska, "asf": _read_asf, "flv": _read_flv}
    if demuxer not in readers:
        return UNKNOWN
    with map_content(file) as data:
        try:
            return readers[demuxer](data, start, size, stream)
        except (struct.error, IndexError):  # an element is too short for what it should contain
            return UNKNOWN


def _check_end(end: int, size: int) -> None:
    if end > size:
        raise DamagedError(f"truncated; {end - size} bytes are missing at its end")


def _walk_boxes(data: Content, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the content of each box of an MP4 file (ISO/IEC 14496-12, section 4.2)."""
    while position + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, position)
        content = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, content)
            content += 8
        after = position + length if length else end
        if after < content:
            return
        yield name, content, after
        position = after


def _read_mov(data: Content, position: int, size: int, stream: int) -> DeclaredTiming:
    """Check a file of the MP4 and QuickTime family; read the timing of a stream from its tables."""
    moov, names = None, set()
    for name, start, end in _walk_boxes(data, position, size):
        if end > size and name not in TOP_BOXES:  # data after the end of the recording
            break
        _check_end(end, size)
        names.add(name)
        if name == b"moov":
            moov = start, end
        elif name == b"moof":
            _check_index(data, start, end, size)
    if not moov:
        if b"meta" in names:  # a picture
            return UNKNOWN
        raise DamagedError("truncated; its index (the box 'moov') is missing")
    _check_index(data, *moov, size)
    scale, tracks, is_fragmented = 0, [], False
    for name, start, end in _walk_boxes(data, *moov):
        if name == b"mvhd":
            scale = _read_scale(data, start)
        elif name == b"trak":
            tracks.append(_find_boxes(data, start, end))
        is_fragmented |= name == b"mvex"
    audio = [boxes for boxes in tracks if b"hdlr" in boxes and _read_name(data, boxes[b"hdlr"][0] + 8) == b"soun"]
    if stream >= len(audio):
        return UNKNOWN
    boxes = audio[stream]
    if b"stsd" in boxes and _read_name(data, boxes[b"stsd"][0] + 12) in ENCRYPTED_ENTRIES:
        raise DamagedError(ENCRYPTED)
    if is_fragmented or b"stts" not in boxes or b"mdhd" not in boxes:
        return UNKNOWN
    return _read_track(data, boxes, scale)


def _find_boxes(data: Content, start: int, end: int) -> dict[bytes, tuple[int, int]]:
    """Return start and end of the content of the boxes in a box, and in those of ``NESTED_BOXES``, by name."""
    direct = [(name, inner, min(after, end)) for name, inner, after in _walk_boxes(data, start, end)]
    found = {name: (inner, after) for name, inner, after in reversed(direct)}  # of several, the first
    for name, inner, after in direct:
        if name in NESTED_BOXES:
            found = _find_boxes(data, inner, after) | found
    return found


def _check_index(data: Content, start: int, end: int, size: int) -> None:
    """Refuse an index with impossible numbers: FFmpeg would allocate memory for them, or never end."""
    for name, inner, after in _walk_boxes(data, start, end):
        if name in (b"trak", *NESTED_BOXES):
            _check_index(data, inner, min(after, end), size)
        elif name in COUNTS:
            (count,) = struct.unpack_from(">I", data, inner + COUNTS[name])
            if count > DENSEST * size:
                raise DamagedError(f"damaged; its index declares {count} samples, too many for {size} bytes")
        elif name == b"tkhd":
            (number,) = struct.unpack_from(">I", data, inner + (20 if data[inner] else 12))
            if not 0 < number < 1 << 31:
                raise DamagedError(f"damaged; its index has a track with the number {number}")


def _read_name(data: Content, position: int) -> bytes:
    return data[position : position + 4]


def _read_scale(data: Content, start: int) -> int:
    """Return the ticks per second from the content of the box 'mvhd' or 'mdhd'."""
    return struct.unpack_from(">I", data, start + (20 if data[start] else 12))[0]


def _read_track(data: Content, boxes: dict[bytes, tuple[int, int]], scale: int) -> DeclaredTiming:
    """Read the timing of a track. Its edit list says what to drop, such as the delay of the encoder."""
    rate = _read_scale(data, boxes[b"mdhd"][0])
    start, end = boxes[b"stts"]
    count = min(struct.unpack_from(">I", data, start + 4)[0], (end - start - 8) // 8)
    runs = [struct.unpack_from(">II", data, start + 8 + 8 * index) for index in range(count)]
    total = sum(number * ticks for number, ticks in runs)
    is_even = len({ticks for _, ticks in runs[:-1]} | {ticks for number, ticks in runs[-1:] if number > 1}) == 1
    step = runs[0][1] if is_even else 0
    edits = []
    if b"elst" in boxes:
        start, end = boxes[b"elst"]
        entry = struct.Struct(">Qqi" if data[start] else ">Iii")
        count = min(struct.unpack_from(">I", data, start + 4)[0], (end - start - 8) // entry.size)
        edits = [entry.unpack_from(data, start + 8 + entry.size * index) for index in range(count)]
    if not edits:
        return DeclaredTiming(total, rate, step)
    if len(edits) > 1 or edits[0][1] < 0 or edits[0][2] != 1 << 16 or not scale:  # recordings that were cut, or delayed
        return UNKNOWN
    length, skipped, _ = edits[0]
    whole = total - skipped
    if length:  # it is often rounded down to milliseconds
        whole = min(whole, (length + (scale < rate)) * rate // scale)
    return DeclaredTiming(whole, rate, step)


def _read_number(data: Content, position: int, keeps_marker: bool) -> tuple[int, int]:
    """Return a number of variable width (RFC 8794, section 4) and the position after it; -1: an unknown size."""
    width = 9 - data[position].bit_length()
    if width > 8 or position + width > len(data):
        raise IndexError
    value = int.from_bytes(data[position : position + width], "big")
    if keeps_marker:
        return value, position + width
    value &= (1 << 7 * width) - 1
    return (-1 if value == (1 << 7 * width) - 1 else value), position + width


def _read_element(data: Content, position: int) -> tuple[int, int, int]:
    """Return identifier, start and end of an element's content in Matroska; the end is -1 if it is not declared."""
    name, position = _read_number(data, position, keeps_marker=True)
    size, position = _read_number(data, position, keeps_marker=False)
    return name, position, position + size if size >= 0 else -1


def _find_elements(data: Content, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield identifier, start and end of the content of the elements in an element."""
    while start < end:
        name, content, after = _read_element(data, start)
        if after < content or after > end:
            return
        yield name, content, after
        start = after


def _read_matroska(data: Content, position: int, size: int, stream: int) -> DeclaredTiming:
    """Check a Matroska or WebM file (RFC 9559); read the length if the file has no other stream."""
    limit, timing = size, UNKNOWN
    ticks, length, kinds = 1_000_000, 0.0, []  # ns per unit of the length; its default
    while position < limit:
        name, start, end = _read_element(data, position)
        if name not in MATROSKA:  # data after the end of the recording
            break
        if name == SEGMENT and end >= 0:
            _check_end(end, size)
            limit = end
        if name == SEGMENT or end < 0:  # the elements inside follow
            position = start
            continue
        _check_end(end, size)
        if name == CLUSTER:
            _check_cluster(data, start, end)
        elif name == INFO:
            for inner, first, last in _find_elements(data, start, end):
                if inner == TICKS:
                    ticks = int.from_bytes(data[first:last], "big")
                elif inner == LENGTH:
                    (length,) = struct.unpack(">d" if last - first == 8 else ">f", data[first:last])
        elif name == TRACKS:
            for inner, first, last in _find_elements(data, start, end):
                if inner == TRACK:
                    kinds.append(_read_kind(data, first, last))
        position = end
    audio = [is_encrypted for kind, is_encrypted in kinds if kind == AUDIO]
    if stream < len(audio) and audio[stream]:
        raise DamagedError(ENCRYPTED)
    if len([kind for kind, _ in kinds if kind in (AUDIO, VIDEO)]) == 1 and 0 < length * ticks < 1 << 62:
        timing = DeclaredTiming(int(length * ticks), 1_000_000_000)
    return timing


def _check_cluster(data: Content, position: int, end: int) -> None:
    """Check that the elements of a cluster fill it: after a wrong size, FFmpeg skips to the next cluster in silence."""
    while position < end:
        name, _, position = _read_element(data, position)
        if name not in MATROSKA or not 0 <= position <= end:
            raise DamagedError("damaged; a cluster of its packets contains something else")


def _read_kind(data: Content, start: int, end: int) -> tuple[int, bool]:
    """Return the kind of a track, and whether it is encrypted."""
    kind, is_encrypted = 0, False
    for name, first, last in _find_elements(data, start, end):
        if name == KIND:
            kind = int.from_bytes(data[first:last], "big")
        elif name == ENCODINGS:
            for _, inner, after in _find_elements(data, first, last):
                is_encrypted |= any(name == ENCRYPTION for name, _, _ in _find_elements(data, inner, after))
    return kind, is_encrypted


def _read_asf(data: Content, position: int, size: int, stream: int) -> DeclaredTiming:
    """Check a Windows Media file (Advanced Systems Format, revision 01.20.06); read the length as for Matroska."""
    (length,) = struct.unpack_from("<Q", data, position + 16)
    end = position + length
    _check_end(end, size)
    streams, milliseconds, is_broadcast = 0, 0, True
    inner = position + 30
    while inner + 24 <= end:
        name, (length,) = data[inner : inner + 16], struct.unpack_from("<Q", data, inner + 16)
        if name in ASF_ENCRYPTION:
            raise DamagedError(ENCRYPTED)
        streams += name == ASF_STREAM
        if name == ASF_FILE:
            duration, _, preroll, flags = struct.unpack_from("<QQQI", data, inner + 64)
            is_broadcast, milliseconds = bool(flags & 1), duration // 10_000 - preroll
        if length < 24:
            break
        inner += length
    name, length = data[end : end + 16], data[end + 16 : end + 24]
    if not is_broadcast and name == ASF_DATA:
        _check_end(end + int.from_bytes(length, "little"), size)
    return DeclaredTiming(milliseconds, 1000) if streams == 1 and not is_broadcast and milliseconds > 0 else UNKNOWN


def _read_flv(data: Content, position: int, size: int, stream: int) -> DeclaredTiming:
    """Check a Flash video file (Adobe Flash Video File Format Specification 10.1, annex E)."""
    position += struct.unpack_from(">I", data, position + 5)[0] + 4
    head, last = data[position : position + 1024], 0  # the last time in milliseconds
    while position + 11 <= size and data[position] & 0x1F in (8, 9, 18):  # sound, pictures, text
        last = data[position + 7] << 24 | int.from_bytes(data[position + 4 : position + 7], "big")
        position += 11 + int.from_bytes(data[position + 1 : position + 4], "big")
        _check_end(position, size)
        position += 4
    if (field := head.find(b"\0\x08duration\0")) >= 0:
        (seconds,) = struct.unpack_from(">d", head, field + 11)
        if seconds > last / 1000 + 1:
            raise DamagedError(f"truncated; its header declares {seconds:.2f} s, it ends after {last / 1000:.2f} s")
    return UNKNOWN
