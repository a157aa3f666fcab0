"""Identify a file by its first bytes and check that it is complete, without decoding it."""

import mmap
import re
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from antideepfake.audio.segments import DamagedError, Segment

UNSUPPORTED = (  # offset of the identifying bytes, the bytes as a pattern, name of the format
    (4, rb"ftyp(M4A|M4B|mp4|isom|iso2|dash|avc1|MSNV)", "AAC/MP4 audio"),
    (4, rb"ftyp3g", "3GPP audio"),
    (4, rb"ftypqt|moov|wide", "QuickTime audio"),
    (4, rb"ftyp", "MP4 audio"),
    (0, rb"#!AMR", "AMR audio"),
    (0, rb"\x1aE\xdf\xa3", "WebM or Matroska audio"),
    (0, rb"0&\xb2u\x8ef\xcf\x11", "Windows Media audio"),
    (0, rb"\xff[\xf0\xf1\xf8\xf9]", "AAC audio"),
    (0, rb"ADIF", "AAC audio"),
    (0, rb"RIFF....AVI ", "an AVI video"),
    (0, rb"FLV\x01", "a Flash video"),
    (0, rb"\x00\x00\x01[\xba\xb3]", "an MPEG video"),
    (0, rb"\.RMF|\.ra\xfd", "RealAudio"),
    (0, rb"\x02?#!SILK", "SILK audio"),
    (0, rb"MAC ", "Monkey's Audio"),
    (0, rb"wvpk", "WavPack audio"),
    (0, rb"TTA[12]", "True Audio"),
    (0, rb"MP\+|MPCK", "Musepack audio"),
    (0, rb"DSD |FRM8", "DSD audio"),
    (0, rb"\x0b\x77", "AC-3 audio"),
    (0, rb"MThd", "MIDI, which contains notes instead of sound"),
)


REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # every byte with its bits in reverse order


class Chunks(NamedTuple):
    """Chunk layout of a format. A chunk consists of its name, its size and that many bytes."""

    header: str  # struct format of a chunk's header
    start: int  # offset of the first chunk in bytes
    align: int  # chunks begin at multiples of this many bytes
    data: bytes  # name of the chunk that contains the samples
    counts_header: bool = False  # whether the size of a chunk includes its header


CHUNKS = {
    b"RIFF": Chunks("<4sI", 12, 2, b"data"),
    b"RIFX": Chunks(">4sI", 12, 2, b"data"),
    b"RF64": Chunks("<4sI", 12, 2, b"data"),
    b"BW64": Chunks("<4sI", 12, 2, b"data"),
    b"FORM": Chunks(">4sI", 12, 2, b"SSND"),
    b"riff": Chunks("<16sQ", 40, 8, b"data", counts_header=True),  # Sony Wave64
    b"caff": Chunks(">4sQ", 8, 1, b"data"),
}


def name_unsupported(head: bytes) -> str:
    """Name the format of a file that this library cannot decode.

    Arguments
    ---------
    head : bytes
        The first bytes after any ID3v2 tags.

    Returns
    -------
    str
        Name of the unsupported format; empty if the format is supported or unknown.

    Example
    -------
    >>> name_unsupported(b"#!AMR-WB"), name_unsupported(b"fLaC")
    ('AMR audio', '')
    """
    for position, pattern, name in UNSUPPORTED:
        if re.match(pattern, head[position:], re.DOTALL):
            return name
    return ""


def is_placeholder(size: int, bits: int = 32) -> bool:
    """Check whether a size is a placeholder.

    A program that writes into a pipe does not know the size and writes a placeholder. 32-bit placeholders are 0, values
    near 2^31 and 2^32 (often minus a header, or rounded), 0x7F000000 (SoX) and multiples of a billion. A truncated
    recording of such a size looks like a stream, but would last hours.

    Arguments
    ---------
    size : int
        Size in the header, in bytes.
    bits : int
        Width of the size field in the header, 32 or 64.

    Returns
    -------
    bool
        True for a placeholder.

    Example
    -------
    >>> [is_placeholder(size) for size in (0, 0x7FFFF000, 0xFFFFFFFF - 36, 2_000_000_000, 64_000)]
    [True, True, True, True, False]
    """
    if bits == 64:
        return size == 0 or size >= 1 << 62
    near = any(abs(size - value) <= 1 << 16 for value in (0x7F000000, 1 << 31, 1 << 32))
    return near or size % 1_000_000_000 == 0


def check_size(file: BinaryIO, size: int) -> list[Segment] | None:
    """Compare the size that the header declares with the size of the file: wav, RF64, W64, AIFF, CAF, AU, SPHERE.

    Arguments
    ---------
    file : file
        A file open for reading bytes.
    size : int
        Size of the file in bytes.

    Returns
    -------
    list or None
        Segments to decode instead of the file if its header does not declare the size; None to decode the file itself.

    Raises
    ------
    DamagedError
        When bytes are missing or another recording follows.
    """
    file.seek(0)
    head = file.read(1024)
    layout = CHUNKS.get(head[:4])
    if not layout or (head[:4] == b"FORM" and head[8:12] not in (b"AIFF", b"AIFC")):
        _check_end(_find_end(head), size)
        return None
    is_long = layout.header.endswith("Q")
    long_sizes = None  # offset of the 64-bit data size in the ds64 chunk of RF64
    for name, position, length in _walk_chunks(file, size, layout):
        if name == b"ds64":
            long_sizes = position + 8
        elif name == layout.data:
            field = position - 4
            if long_sizes and length == 0xFFFFFFFF:
                file.seek(long_sizes)
                (length,), is_long, field = struct.unpack("<Q", file.read(8)), True, long_sizes
            if is_placeholder(length, 64 if is_long else 32):
                return _set_size(file, field, position, size, layout) if head[:2] in (b"RI", b"RF", b"BW") else None
            _check_end(position + length, size)
            file.seek(position + length + length % 2)
            if file.read(4) == head[:4]:
                raise DamagedError("contains several recordings one after the other; split it")
            return None
    return None


def _walk_chunks(file: BinaryIO, size: int, layout: Chunks) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk, the offset of its content and the length in its header."""
    width = struct.calcsize(layout.header)
    position = layout.start
    while position + width <= size:
        file.seek(position)
        name, length = struct.unpack(layout.header, file.read(width))
        length = max(length - width, 0) if layout.counts_header else length
        position += width
        yield name[:4], position, length
        position += -(-length // layout.align) * layout.align


def _find_end(head: bytes) -> int:
    """Return the offset at which the samples of an AU or NIST SPHERE file end, by its header; 0 if unknown."""
    if head[:4] == b".snd" and len(head) >= 12:
        start, length = struct.unpack(">II", head[4:12])
        return 0 if is_placeholder(length) else start + length
    if head[:7] == b"NIST_1A":
        fields = dict(re.findall(rb"(\w+) -i (\d{1,12})\b", head))
        names = (b"sample_count", b"channel_count", b"sample_n_bytes")
        if b"shorten" not in head and all(name in fields for name in names):
            count, channels, width = (int(fields[name]) for name in names)
            return int(head[8:16]) + count * channels * width
    return 0


def _check_end(end: int, size: int) -> None:
    if end > size:
        raise DamagedError(f"truncated; {end - size} bytes are missing at its end")


def _set_size(file: BinaryIO, field: int, start: int, size: int, layout: Chunks) -> list[Segment]:
    """Return the segments of a wav or RF64 file after correcting the size in its header."""
    file.seek(0)
    header = bytearray(file.read(start))
    if field == start - 4:
        struct.pack_into(layout.header[0] + "I", header, field, min(size - start, 0xFFFFFFFF))
    else:
        struct.pack_into("<Q", header, field, size - start)
    return [bytes(header), (start, size)]


def find_links(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """Find the links of an Ogg file, which may chain several recordings (RFC 3533, section 4).

    Arguments
    ---------
    file : file
        A file open for reading bytes.
    size : int
        Size of the file in bytes.

    Returns
    -------
    list of (int, int)
        Start and end offset of each link.

    Raises
    ------
    DamagedError
        When a stream does not end, which means that the file is truncated, or the checksum of a page is wrong.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.ogg"
    >>> soundfile.write(path, [0.1] * 8000, 16000)
    >>> once = path.read_bytes()
    >>> _ = path.write_bytes(2 * once)
    >>> with open(path, "rb") as file:
    ...     find_links(file, 2 * len(once)) == [(0, len(once)), (len(once), 2 * len(once))]
    True
    """
    links: list[int] = []
    unfinished: set[bytes] = set()  # serial numbers of streams that have begun but not ended
    begun = False  # whether the previous page began a stream
    position = end = 0
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while (position := data.find(b"OggS", position)) >= 0 and position + 27 <= size:
            flags, serial, segments = data[position + 5], data[position + 14 : position + 18], data[position + 26]
            begins = bool(flags & 2)
            if begins and not begun:
                if unfinished:
                    break
                links.append(position)
            begun = begins
            if begins:
                unfinished.add(serial)
            if flags & 4:
                unfinished.discard(serial)
            end = position + 27 + segments
            end += sum(data[end - segments : end])
            if end <= size and not _check_page(data[position:end]):
                raise DamagedError("damaged; a page of its Ogg stream has a wrong checksum")
            position = end
    if unfinished or end > size:
        raise DamagedError("truncated; the end of its Ogg stream is missing")
    return list(pairwise([*links, end]))


def _check_page(page: bytes) -> bool:
    """Check the checksum of a page. It is that of zlib with the bits of every byte reversed."""
    plain = page[:22] + bytes(4) + page[26:]
    total = zlib.crc32(plain.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return total.to_bytes(4, "little").translate(REVERSED) == page[22:26][::-1]
