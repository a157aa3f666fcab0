"""Identify a file by its first bytes and check that it is complete, without decoding it."""

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from antideepfake.audio.content import map_content
from antideepfake.audio.segments import DamagedError, Segment

# A sync pattern of raw streams is short and can occur by chance; audio.frames confirms it by the frames that follow.
FORMATS = (  # offset of the identifying bytes, the bytes as a pattern, FFmpeg's demuxer, name of the format
    (0, rb"RIFF....AVI ", "avi", "AVI"),
    (0, rb"RIFF....QLCM", "qcp", "QCP"),
    (0, rb"RIFF....XWMA", "xwma", "xWMA"),
    (0, rb"RIFF|RIFX|RF64|BW64", "wav", "wav"),
    (0, rb"riff\x2e\x91", "w64", "Wave64"),
    (0, rb"fLaC", "flac", "FLAC"),
    (0, rb"OggS", "ogg", "Ogg"),
    (0, rb"caff", "caf", "CAF"),
    (0, rb"FORM....(8SVX|16SV|MAUD)|FRM8", "iff", "IFF or DSD"),
    (0, rb"FORM", "aiff", "AIFF"),
    (0, rb"\.snd", "au", "AU"),
    (0, rb"Creative Voice File", "voc", "VOC"),
    (0, rb"NIST_1A", "nistsphere", "SPHERE"),
    (4, rb"ftyp3g", "mov", "3GPP"),
    (4, rb"ftypqt|moov|wide|mdat|pnot", "mov", "QuickTime"),
    (4, rb"ftyp|styp|moof", "mov", "MP4"),
    (0, rb"\0\0.{2}(free|skip)", "mov", "QuickTime"),
    (0, rb"\x1aE\xdf\xa3", "matroska", "WebM or Matroska"),
    (0, rb"0&\xb2u\x8ef\xcf\x11", "asf", "Windows Media"),
    (0, rb"\xb7\xd8\x00\x20\x37\x49\xda\x11", "wtv", "WTV"),
    (0, rb"FLV\x01", "flv", "Flash video"),
    (0, rb"\x00\x00\x01\xba", "mpeg", "MPEG video"),
    (0, rb"\x00\x00\x01\xb3", "mpegvideo", "MPEG video"),
    (0, rb"G.{187}G.{187}G", "mpegts", "MPEG transport stream"),
    (4, rb"G.{191}G.{191}G", "mpegts", "MPEG transport stream"),
    (0, rb"\x06\x0e\x2b\x34", "mxf", "MXF"),
    (0, rb"nut/multimedia container", "nut", "NUT"),
    (0, rb"\.RMF|\.ra\xfd", "rm", "RealMedia"),
    (0, rb"#!AMR", "amr", "AMR"),
    (0, rb"\xff[\xf0\xf1\xf8\xf9]", "aac", "AAC"),
    (0, rb"\x56[\xe0-\xff]", "loas", "AAC (LOAS)"),
    (0, rb"\x0b\x77...[\x00-\x57]", "ac3", "AC-3"),
    (0, rb"\x0b\x77", "eac3", "E-AC-3"),
    (0, rb"\x7f\xfe\x80\x01", "dts", "DTS"),
    (0, rb"\xfe\x7f\x01\x80|\x1f\xff\xe8\x00|\xff\x1f\x00\xe8", "dts", "DTS"),
    (0, rb"DTSHDHDR", "dtshd", "DTS-HD"),
    (4, rb"\xf8\x72\x6f\xba", "truehd", "TrueHD"),
    (0, rb"MAC ", "ape", "Monkey's Audio"),
    (0, rb"wvpk", "wv", "WavPack"),
    (0, rb"TTA1", "tta", "True Audio"),
    (0, rb"tBaK", "tak", "TAK"),
    (0, rb"ajkg", "shn", "Shorten"),
    (0, rb"MP\+", "mpc", "Musepack"),
    (0, rb"MPCK", "mpc8", "Musepack"),
    (0, rb"DSD ", "dsf", "DSD"),
    (0, rb"EA3", "oma", "ATRAC"),
    (0, rb"qoaf", "qoa", "QOA"),
    (0, rb"\xff[\xe2-\xff]", "mp3", "MPEG audio"),
    (0, rb"\x02?#!SILK", "", "SILK audio"),
    (0, rb"ADIF", "", "AAC audio in ADIF"),
    (0, rb"MThd", "", "MIDI (notes instead of sound)"),
)
SHARED = {"wav", "w64", "flac", "ogg", "caf", "aiff", "au", "voc", "nistsphere", "mp3"}  # libsndfile decodes them, too

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
    b"FRM8": Chunks(">4sQ", 16, 2, b"DSD "),  # DSDIFF
}


class FileFormat(NamedTuple):
    """A file format.

    Arguments
    ---------
    demuxer : str
        FFmpeg's name of the program that reads it; empty if FFmpeg cannot.
    name : str
        Name for messages.
    """

    demuxer: str
    name: str


def identify(head: bytes) -> FileFormat | None:
    """Identify the format of a file by its content.

    Arguments
    ---------
    head : bytes
        The first kilobyte after any ID3v2 tags.

    Returns
    -------
    FileFormat or None
        None for unknown content.

    Example
    -------
    >>> identify(b"#!AMR-WB"), identify(b"some text")
    (FileFormat(demuxer='amr', name='AMR'), None)
    """
    for position, pattern, demuxer, name in FORMATS:
        if re.match(pattern, head[position:], re.DOTALL):
            return FileFormat(demuxer, name)
    return None


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
    """Compare the size that the header declares with the size of the file.

    This covers wav, RF64, W64, AVI, AIFF, CAF, AU, SPHERE and DSDIFF.

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
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        _check_avi(file, size)
        return None
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


def _check_avi(file: BinaryIO, size: int) -> None:
    """Check the sizes of the RIFF chunks of an AVI file. A large file has several."""
    position = 0
    while position + 12 <= size:
        file.seek(position)
        name, length, kind = struct.unpack("<4sI4s", file.read(12))
        if name != b"RIFF" or kind not in (b"AVI ", b"AVIX") or is_placeholder(length):
            return
        position += 8 + length
        _check_end(position, size)
        position += length % 2


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
    with map_content(file) as data:
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


def has_several_streams(file: BinaryIO) -> bool:
    """Check whether the first two pages of an Ogg file begin different streams, such as sound and pictures.

    Arguments
    ---------
    file : file
        A file open for reading bytes.

    Returns
    -------
    bool
        True if libsndfile, which reads one stream, must not decode the file.
    """
    with map_content(file) as data:
        first = data.find(b"OggS")
        segments = data[first + 26]
        second = first + 27 + segments + sum(data[first + 27 : first + 27 + segments])
        return data[second : second + 4] == b"OggS" and bool(data[second + 5] & 2)


def _check_page(page: bytes) -> bool:
    """Check the checksum of a page. It is that of zlib with the bits of every byte reversed."""
    plain = page[:22] + bytes(4) + page[26:]
    total = zlib.crc32(plain.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return total.to_bytes(4, "little").translate(REVERSED) == page[22:26][::-1]
