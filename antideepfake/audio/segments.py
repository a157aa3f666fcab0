"""Reading a file as another that consists of segments of it, so that a decoder gets a header that is right."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

Segment = bytes | tuple[int, int]
"""Bytes, or from where to where in the file."""


class DamagedError(Exception):
    """What is wrong with a file: a sentence without the name of the file."""


class SegmentReader(io.RawIOBase):
    """A file that consists of segments of another.

    Arguments
    ---------
    file : file
        The other, open for reading bytes.
    segments : sequence of bytes or (int, int)
        Bytes, or from where to where in ``file``.

    Example
    -------
    >>> SegmentReader(io.BytesIO(b"abcdefgh"), [b"123", (2, 4), (6, 8)]).read()
    b'123cdgh'
    """

    def __init__(self, file: BinaryIO, segments: Sequence[Segment]) -> None:
        self.file = file
        self.segments = segments
        sizes = (len(segment) if isinstance(segment, bytes) else segment[1] - segment[0] for segment in segments)
        self.starts = [0, *accumulate(sizes)]
        self.position = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Give the position of the next byte."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.starts[-1]}[whence]
        return self.position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Fill ``buffer`` from one segment or several; give how many bytes there were."""
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view) and 0 <= self.position < self.starts[-1]:
            index = bisect_right(self.starts, self.position) - 1
            segment, skipped = self.segments[index], self.position - self.starts[index]
            size = min(self.starts[index + 1] - self.position, len(view) - filled)
            if isinstance(segment, bytes):
                part = segment[skipped : skipped + size]
            else:
                self.file.seek(segment[0] + skipped)
                part = self.file.read(size)
            if not part:  # the file has become shorter
                break
            view[filled : filled + len(part)] = part
            filled += len(part)
            self.position += len(part)
        return filled


def skip_id3(file: BinaryIO, position: int = 0) -> int:
    """Give where what follows the ID3v2 tags at a position begins: the position itself where there is none."""
    while True:
        file.seek(position)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) > 0x7F:
            return position
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        position += 10 + size + (10 if head[5] & 0x10 else 0)
