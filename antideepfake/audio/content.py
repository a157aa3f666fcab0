"""The bytes of a recording, which is a file or an entry of a tar shard.

``shards/000012.tar#1536+48044`` names an entry: the 48,044 bytes at offset 1536 of an uncompressed tar file. Such a
path takes the place of the path of a file in protocols, and wherever this library reads audio.
"""

import mmap
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from antideepfake.audio.segments import DamagedError, SegmentReader

ENTRY = re.compile(r"(.+\.tar)#(\d+)\+(\d+)", re.DOTALL)

Content = mmap.mmap | bytes
"""The whole content of a recording, for random access."""


class Entry(NamedTuple):
    """An entry of a tar shard.

    Arguments
    ---------
    shard : str
        The tar file.
    offset, length : int
        Where its content begins, and how long it is, in bytes.

    Example
    -------
    >>> str(Entry("000012.tar", 1536, 48044))
    '000012.tar#1536+48044'
    """

    shard: str
    offset: int
    length: int

    def __str__(self) -> str:
        """Return the path of the entry."""
        return f"{self.shard}#{self.offset}+{self.length}"


def parse_entry(path: str | os.PathLike) -> Entry | None:
    """Parse the path of an entry of a tar shard.

    Arguments
    ---------
    path : str or Path
        A path.

    Returns
    -------
    Entry or None
        None for the path of a file.

    Example
    -------
    >>> parse_entry("shards/000012.tar#1536+48044")
    Entry(shard='shards/000012.tar', offset=1536, length=48044)
    >>> parse_entry("a.wav")
    """
    found = ENTRY.fullmatch(os.fspath(path))
    return Entry(found[1], int(found[2]), int(found[3])) if found else None


def find_file(path: str | os.PathLike) -> Path:
    """Return the file on the disk that contains a recording: its shard, or the recording itself.

    Example
    -------
    >>> find_file("000012.tar#1536+48044").name, find_file("a.wav").name
    ('000012.tar', 'a.wav')
    """
    entry = parse_entry(path)
    return Path(entry.shard if entry else path)


class EntryReader(SegmentReader):
    """An entry of a tar shard as a file.

    Arguments
    ---------
    shard : file
        The shard, open for reading bytes. Closing the entry closes it.
    offset, length : int
        As for :class:`Entry`.
    """

    def __init__(self, shard: BinaryIO, offset: int, length: int) -> None:
        super().__init__(shard, [(offset, offset + length)])

    def close(self) -> None:
        """Close the shard."""
        self.file.close()
        super().close()

    @cached_property
    def content(self) -> bytes:
        """The whole entry, read once."""
        self.seek(0)
        return self.read()


def open_content(path: str | os.PathLike) -> tuple[BinaryIO, int]:
    """Open a recording for reading its bytes.

    Arguments
    ---------
    path : str or Path
        A file, or an entry of a tar shard.

    Returns
    -------
    file
        The open file. The caller closes it.
    size : int
        Size in bytes.

    Raises
    ------
    OSError
        When the file or the shard cannot be opened.
    DamagedError
        When the shard has no entry of this length there.

    Example
    -------
    >>> import io
    >>> path = getfixture("tmp_path") / "a.tar"
    >>> with tarfile.open(path, "w") as tar:
    ...     info = tarfile.TarInfo("a.txt")
    ...     info.size = 5
    ...     tar.addfile(info, io.BytesIO(b"hello"))
    >>> file, size = open_content(f"{path}#512+5")
    >>> with file:
    ...     file.read(), size
    (b'hello', 5)
    """
    entry = parse_entry(path)
    file = open(find_file(path), "rb")  # noqa: SIM115
    try:
        size = os.fstat(file.fileno()).st_size
        if not entry:
            return file, size
        _check_entry(file, entry, size)
        return cast(BinaryIO, EntryReader(file, entry.offset, entry.length)), entry.length
    except BaseException:
        file.close()
        raise


def _check_entry(file: BinaryIO, entry: Entry, size: int) -> None:
    """Compare an entry with the header in front of it, so that a protocol of other shards gives no wrong audio."""
    if entry.offset + entry.length > size:
        raise DamagedError("the shard ends before the end of this entry; it is truncated, or the protocol is of others")
    file.seek(max(entry.offset - tarfile.BLOCKSIZE, 0))
    try:
        header = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except tarfile.TarError:
        header = None
    if not header or header.size != entry.length:
        raise DamagedError("the shard has no such entry; the protocol is of other shards")


@contextmanager
def map_content(file: BinaryIO) -> Iterator[Content]:
    """Give random access to all bytes of a recording that :func:`open_content` opened.

    A file is mapped. An entry of a shard is read as a whole, because only whole pages of a file can be mapped.

    Arguments
    ---------
    file : file
        The recording.

    Yields
    ------
    mmap or bytes
        Its content.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> _ = path.write_text("hello")
    >>> with open(path, "rb") as file, map_content(file) as content:
    ...     content[1:3]
    b'el'
    """
    if isinstance(file, EntryReader):
        yield file.content
    else:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
