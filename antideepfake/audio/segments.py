"""Read selected segments of a file as if they were a file, so that a decoder receives a correct header."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

Segment = bytes | tuple[int, int]
"""Literal bytes, or the start and end offset of a segment of the file."""


class DamagedError(Exception):
    """A damaged file. The message says what is wrong, without the name of the file."""


class SegmentReader(io.RawIOBase):
    """A file object that concatenates segments of another file.

    Arguments
    ---------
    file : file
        The other file, open for reading bytes.
    segments : sequence of bytes or (int, int)
        Literal bytes, or the start and end offset of a segment of ``file``.

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
        """Return True: the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: the file can be read from any position."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it."""
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.starts[-1]}[whence]
        return self.position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Fill ``buffer`` from one or more segments; return the number of bytes read."""
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view) and 0 <= self.position < self.starts[-1]:
            index = bisect_right(self.starts, self.position) - 1
            segment, skipped = self.segments[index], self.position - self.starts[index]
            size = min(self.starts[index + 1] - self.position, len(view) - filled)
            if isinstance(segment, bytes):
                content = segment[skipped : skipped + size]
            else:
                self.file.seek(segment[0] + skipped)
                content = self.file.read(size)
            if not content:  # the file was truncated after it was opened
                break
            view[filled : filled + len(content)] = content
            filled += len(content)
            self.position += len(content)
        return filled


def skip_id3(file: BinaryIO, position: int = 0) -> int:
    """Return the position after any ID3v2 tags at ``position``; ``position`` itself if no tag begins there."""
    while True:
        file.seek(position)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) > 0x7F:
            return position
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        position += 10 + size + (10 if head[5] & 0x10 else 0)
