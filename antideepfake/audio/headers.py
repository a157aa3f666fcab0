"""Read the headers of plain wav and flac files without a decoder.

A corpus may contain ten million files, and a decoder is slow to read the header and the last sample of each. This
module reads only the first and the last kilobytes of a file. It returns nothing for a file that is unusual or damaged;
:mod:`antideepfake.audio.audio_file` then opens that file with libsndfile.
"""

import os
import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from antideepfake.audio.containers import is_placeholder
from antideepfake.audio.segments import skip_id3

HEAD = 4096  # bytes read at the start of a file
PCM, FLOAT = 1, 3  # format tags of wav
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; a rate outside this range comes from a damaged header
LONGEST = 24 * 3600  # seconds; a small file that decodes to more was made to fill memory

POLYNOMIAL = 0x8005  # of the checksum of flac frames: 16 bits, most significant bit first, initial value 0
LONGEST_FRAME = 1 << 21  # bytes; in practice the largest flac frame: 65,535 samples of eight 32-bit channels
BLOCK = 256  # bytes that the checksum processes at once


class Header(NamedTuple):
    """Format and length of a recording, as its header declares them.

    Arguments
    ---------
    frames : int
        Samples per channel.
    sample_rate : int
        Hz.
    channels : int
        Number of channels.
    encoding : str
        ``PCM_S``, ``PCM_U``, ``PCM_F`` or ``FLAC``.
    bits : int
        Bits per sample.
    """

    frames: int
    sample_rate: int
    channels: int
    encoding: str
    bits: int


def read_header(path: str | os.PathLike) -> Header | None:
    """Read the header of a complete wav or flac file.

    A wav file is complete if it is as long as its header declares. A flac file is complete if its last frame has the
    expected number and a correct checksum.

    Arguments
    ---------
    path : str or Path
        Any file.

    Returns
    -------
    Header or None
        None in case of doubt: a missing file, another format, an unusual header, or an end that is missing or damaged.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.flac"
    >>> soundfile.write(path, [0.0] * 8000, 16000)
    >>> read_header(path)
    Header(frames=8000, sample_rate=16000, channels=1, encoding='FLAC', bits=16)
    >>> _ = path.write_bytes(path.read_bytes()[:-1])
    >>> read_header(path) is None
    True
    """
    try:
        str(path).encode()  # a protocol cannot contain a name that is not UTF-8
        if not os.path.isfile(path):  # a folder, or a named pipe, which would block
            return None
        with open(path, "rb", buffering=0) as file:
            head, size = file.read(HEAD), os.fstat(file.fileno()).st_size
            if head[:4] == b"fLaC":
                header = _read_flac(head, file, size)
            else:
                header = _read_wav(head, file, size) if head[:4] == b"RIFF" and head[8:12] == b"WAVE" else None
            if not header or not LOWEST_RATE <= header.sample_rate <= HIGHEST_RATE:
                return None
            return header if header.frames <= LONGEST * header.sample_rate else None
    except (OSError, ValueError):  # an invalid name or a failing disk
        return None


def _read_wav(head: bytes, file: BinaryIO, size: int) -> Header | None:
    """Parse wav: Microsoft and IBM, `Multimedia Programming Interface and Data Specifications 1.0`, 1991."""
    position, header = 12, None
    while position + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, position)
        if name == b"fmt " and position + 24 <= len(head):
            tag, channels, rate, _, step, bits = struct.unpack_from("<HHIIHH", head, position + 8)
            plain = (tag, bits) in ((PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64))
            if not plain or step == 0 or step * 8 != channels * bits or rate == 0:
                return None
            encoding = "PCM_F" if tag == FLOAT else "PCM_U" if bits == 8 else "PCM_S"
            header = (rate, channels, encoding, bits)
        if name == b"data":
            end = position + 8 + length
            is_whole = header and step <= length <= size - position - 8 and not is_placeholder(length)
            if not header or not is_whole or _is_followed(file, end + length % 2, size):
                return None
            return Header(length // step, *header)
        position += 8 + length + length % 2
    return None


def _is_followed(file: BinaryIO, end: int, size: int) -> bool:
    """Check whether another wav file follows in the same file."""
    if end + 12 > size:
        return False
    file.seek(end)
    return file.read(4) == b"RIFF"


def _read_flac(head: bytes, file: BinaryIO, size: int) -> Header | None:
    """Parse flac: RFC 9639, sections 8.2 (the first metadata block, streaminfo) and 9 (frames)."""
    if len(head) < 42 or head[4] & 0x7F:
        return None
    shortest, longest = struct.unpack_from(">HH", head, 8)
    frame_bytes = int.from_bytes(head[15:18], "big")
    packed = int.from_bytes(head[18:26], "big")
    rate, channels, bits, total = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & (1 << 36) - 1
    # files written as a stream declare neither their length nor the size of their largest frame
    fixed = shortest == longest > 0
    if not (rate and total and frame_bytes and fixed and bits in (8, 16, 24)) or (total - 1) // longest > 0x10FFFF:
        return None
    number = chr((total - 1) // longest).encode("utf-8", "surrogatepass")  # flac numbers its frames in UTF-8
    file.seek(max(size - frame_bytes, 0))
    end = file.read(frame_bytes)
    start = end.rfind(b"\xff\xf8")  # the first bytes of each frame
    while start >= 0:
        if end.startswith(number, start + 4) and _check_sum(end[start:]) == 0:
            return Header(total, rate, channels, "FLAC", bits)
        start = end.rfind(b"\xff\xf8", 0, start + 1)
    return None


def count_flac(file: BinaryIO, size: int) -> int:
    """Count the samples of a flac file from the header of its last frame, which has the number and size of the frame.

    Arguments
    ---------
    file : file
        A file open for reading bytes.
    size : int
        Size of the file in bytes.

    Returns
    -------
    int
        Samples per channel; 0 if the file does not end with a complete frame.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.flac"
    >>> soundfile.write(path, [0.0] * 8000, 16000)
    >>> with open(path, "rb") as file:
    ...     count_flac(file, path.stat().st_size)
    8000
    """
    file.seek(skip_id3(file) + 10)
    block = int.from_bytes(file.read(2), "big")
    file.seek(max(size - 128, 0))
    if file.read(3) == b"TAG":  # ID3v1
        size -= 128
    start = max(size - LONGEST_FRAME, 0)
    file.seek(start)
    end = file.read(size - start)
    index = len(end)
    while (index := max(end.rfind(b"\xff\xf8", 0, index + 1), end.rfind(b"\xff\xf9", 0, index + 1))) >= 0:
        count = _read_frame(end[index : index + 32], block)
        if count and _check_sum(end[index:]) == 0:
            return count
    return 0


def _read_frame(frame: bytes, block: int) -> int:
    """Return the number of samples up to the end of a frame, by its header (RFC 9639, section 9.1).

    ``block`` is the number of samples in every frame except the last. The result is 0 if the header is not valid.
    """
    code = frame[2] >> 4 if len(frame) > 6 else 0
    width = 8 - (frame[4] ^ 0xFF).bit_length() if code else 0  # leading ones: bytes of the frame number, 0 means 1
    if not code or width in (1, 8):
        return 0
    tail = 4 + max(width, 1)
    number = frame[4] & (0x7F >> width)
    for byte in frame[5:tail]:
        number = number << 6 | byte & 0x3F
    if code == 6:
        samples = frame[tail] + 1
    elif code == 7:
        samples = int.from_bytes(frame[tail : tail + 2], "big") + 1
    else:
        samples = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    # with blocks of one size, the header has the number of the frame; otherwise the number of its first sample
    return (number if frame[1] & 1 else number * block) + samples


def _make_tables() -> np.ndarray:
    """Compute what a byte adds to the checksum when 0, 1, ..., ``BLOCK - 1`` bytes follow it; shape [BLOCK, 256]."""
    single = np.arange(256) << 8
    for _ in range(8):
        single = (single << 1) ^ np.where(single & 0x8000, 0x10000 | POLYNOMIAL, 0)
    tables = [single]
    for _ in range(BLOCK - 1):
        tables.append((tables[-1] << 8 & 0xFFFF) ^ single[tables[-1] >> 8])
    return np.stack(tables).astype(np.uint16)


TABLES = _make_tables()
FLAT = TABLES[::-1].ravel()  # in reverse, because BLOCK - 1 bytes follow the first byte of a block
OFFSETS = 256 * np.arange(BLOCK)
HIGH, LOW = TABLES[-1].tolist(), TABLES[-2].tolist()  # the sum so far is added to the first two bytes of the next block


def _check_sum(frame: bytes) -> int:
    """Compute the checksum over a frame and the checksum at its end; the result is 0 if they match."""
    padded = frame.rjust(-(-len(frame) // BLOCK) * BLOCK, b"\0")  # zeros in front change nothing
    blocks = np.frombuffer(padded, np.uint8).reshape(-1, BLOCK)
    total = 0
    for value in np.bitwise_xor.reduce(FLAT.take(blocks + OFFSETS), axis=1).tolist():
        total = HIGH[total >> 8] ^ LOW[total & 0xFF] ^ value
    return total
