"""Writing files so that none is ever seen half-written under its final name."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path``; what was written there takes the final name when the block ends well.

    Arguments
    ---------
    path : str or Path
        Final path. Its folder is created.

    Yields
    ------
    Path
        A path in the same folder with the same suffix. When the block raises, this file is removed and the final one is
        left as it was.

    Example
    -------
    >>> target = getfixture("tmp_path") / "a" / "note.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("done")
    >>> target.read_text()
    'done'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_open(path: str | os.PathLike, mode: str = "w", **options: Any) -> Iterator[Any]:
    """As ``open`` for writing, with the promise of :func:`atomic_path`.

    Arguments
    ---------
    path : str or Path
        Final path.
    mode : str
        A writing mode. Text is UTF-8 unless told otherwise.
    **options
        Passed to ``open``.

    Yields
    ------
    file
        The open temporary file.

    Example
    -------
    >>> target = getfixture("tmp_path") / "note.txt"
    >>> with atomic_open(target) as file:
    ...     _ = file.write("done")
    >>> target.read_text()
    'done'
    """
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    with atomic_path(path) as temporary, open(temporary, mode, **options) as file:
        yield file


def sha256(paths: Iterable[str | os.PathLike]) -> str:
    """Give the SHA-256 of the content of files, one after the other, in hexadecimal.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> _ = path.write_text("abc")
    >>> sha256([path])[:16]
    'ba7816bf8f01cfea'
    """
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()
