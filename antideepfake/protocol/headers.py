"""Headers of plain wav and flac files, read without a decoder.

A decoder takes its time for the header and the last sample of a flac file; a corpus may have ten million of them. What
leaves no doubt is answered here, from the first and the last kilobytes of a file. Whatever is unusual or damaged is
not: then :func:`antideepfake.protocol.probe` asks libsndfile, which has the last word.
"""

import os
import struct
from typing import BinaryIO, NamedTuple

import numpy as np

HEAD = 4096  # bytes read at the start of a file
PCM, FLOAT = 1, 3  # format tags of wav
UNKNOWN_LENGTH = 0xFFFFFFFF  # what a program writes that streams a wav and cannot go back to its header

POLYNOMIAL = 0x8005  # of the check sum of flac's frames: 16 bits, most significant first, starting from 0
BLOCK = 256  # bytes that go through the check sum at once


class Header(NamedTuple):
    """What a header says.

    Arguments
    ---------
    frames : int
        Samples of one channel.
    sample_rate : int
        Hz.
    channels : int
    encoding : str
        ``PCM_S``, ``PCM_U``, ``PCM_F`` or ``FLAC``.
    bits : int
        Of a sample.
    """

    frames: int
    sample_rate: int
    channels: int
    encoding: str
    bits: int


def read_header(path: str | os.PathLike) -> Header | None:
    """Read the header of a wav or flac file whose end is there.

    Arguments
    ---------
    path : str or Path
        Any file.

    Returns
    -------
    Header or None
        None where there is any doubt: no such file, another format, an unusual header, an end that is missing or
        damaged. The end of a wav is there when the file is as long as its header says; that of a flac file when its
        last frame has the number that the header asks for and a right check sum.

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
        str(path).encode()  # a protocol could not hold a name that is not UTF-8
        with open(path, "rb", buffering=0) as file:
            head, size = file.read(HEAD), os.fstat(file.fileno()).st_size
            if head[:4] == b"fLaC":
                return _read_flac(head, file, size)
            return _read_wav(head, size) if head[:4] == b"RIFF" and head[8:12] == b"WAVE" else None
    except (OSError, UnicodeEncodeError):  # no such file, a folder, a failing disk
        return None


def _read_wav(head: bytes, size: int) -> Header | None:
    """As in Microsoft's and IBM's `Multimedia Programming Interface and Data Specifications 1.0`, 1991."""
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
            whole = header and length != UNKNOWN_LENGTH and position + 8 + length <= size and length >= step
            return Header(length // step, *header) if header and whole else None
        position += 8 + length + length % 2
    return None


def _read_flac(head: bytes, file: BinaryIO, size: int) -> Header | None:
    """As in RFC 9639, sections 8.2 (the first metadata block, streaminfo) and 9 (frames)."""
    if len(head) < 42 or head[4] & 0x7F:
        return None
    shortest, longest = struct.unpack_from(">HH", head, 8)
    frame_bytes = int.from_bytes(head[15:18], "big")
    packed = int.from_bytes(head[18:26], "big")
    rate, channels, bits, total = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & (1 << 36) - 1
    # files made as a stream do not know their length, nor the size of their largest frame
    fixed = shortest == longest > 0
    if not (rate and total and frame_bytes and fixed and bits in (8, 16, 24)) or (total - 1) // longest > 0x10FFFF:
        return None
    number = chr((total - 1) // longest).encode("utf-8", "surrogatepass")  # flac numbers its frames in UTF-8
    file.seek(max(size - frame_bytes, 0))
    end = file.read(frame_bytes)
    start = end.rfind(b"\xff\xf8")  # how each frame begins
    while start >= 0:
        if end.startswith(number, start + 4) and _check_sum(end[start:]) == 0:
            return Header(total, rate, channels, "FLAC", bits)
        start = end.rfind(b"\xff\xf8", 0, start + 1)
    return None


def _make_tables() -> np.ndarray:
    """What a byte adds to the check sum when 0, 1, ..., ``BLOCK - 1`` bytes follow it; shape [BLOCK, 256]."""
    single = np.arange(256) << 8
    for _ in range(8):
        single = (single << 1) ^ np.where(single & 0x8000, 0x10000 | POLYNOMIAL, 0)
    tables = [single]
    for _ in range(BLOCK - 1):
        tables.append((tables[-1] << 8 & 0xFFFF) ^ single[tables[-1] >> 8])
    return np.stack(tables).astype(np.uint16)


TABLES = _make_tables()
FLAT = TABLES[::-1].ravel()  # the first byte of a block is followed by the most
OFFSETS = 256 * np.arange(BLOCK)
HIGH, LOW = TABLES[-1].tolist(), TABLES[-2].tolist()  # the sum so far goes into the first two bytes of the next block


def _check_sum(frame: bytes) -> int:
    """Compute the check sum of a frame that ends with its own: 0 when it is right."""
    padded = frame.rjust(-(-len(frame) // BLOCK) * BLOCK, b"\0")  # zeros in front change nothing
    blocks = np.frombuffer(padded, np.uint8).reshape(-1, BLOCK)
    total = 0
    for part in np.bitwise_xor.reduce(FLAT.take(blocks + OFFSETS), axis=1).tolist():
        total = HIGH[total >> 8] ^ LOW[total & 0xFF] ^ part
    return total
