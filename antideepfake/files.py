"""Writing files so that none is ever seen half-written under its final name, and reading small ones safely."""

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from antideepfake.errors import InputError

# Of temporary files: processes are told apart by their number, and numbers mean something on one computer only.
HOST = re.sub(r"[^\w-]", "_", socket.gethostname())
TEMPORARIES = (".*.part*", ".*.lock")  # patterns of the files of a running or killed program; never to be uploaded
LARGEST_JSON = 4 << 20  # bytes; a parsed JSON can take 100 times as much memory


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
        left as it was. When the process is killed, the next one that writes to the folder removes it.

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
    remove_abandoned(path.parent.absolute())
    temporary = path.with_name(f".{path.stem}.{HOST}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@cache  # once for each folder: some programs write a hundred thousand files into one
def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of :func:`atomic_path` whose process, on this computer, was killed.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> left = folder / f".model.{HOST}.{2**22 + 1}.part.safetensors"  # no process has so high a number
    >>> left.touch()
    >>> remove_abandoned(folder)
    >>> left.exists()
    False
    """
    for path in folder.glob(".*.part*"):
        found = re.fullmatch(rf"\..+\.{re.escape(HOST)}\.(\d+)\.part(\..*)?", path.name)
        if found and not _is_alive(int(found[1])):
            with suppress(OSError):  # another process was faster, or it is not ours to remove
                path.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return True


@contextmanager
def lock_output(path: str | os.PathLike) -> Iterator[None]:
    """Keep other runs from writing the same output. The system releases the lock of a process that is killed.

    Arguments
    ---------
    path : str or Path
        The file or folder to be written. Beside it, a hidden file ``.<name>.lock`` stands while the block runs.

    Raises
    ------
    InputError
        When another run has the lock.

    Example
    -------
    >>> target = getfixture("tmp_path") / "scores.csv"
    >>> with lock_output(target), lock_output(target):  # doctest: +ELLIPSIS
    ...     pass
    Traceback (most recent call last):
    antideepfake.errors.InputError: ...scores.csv: another run is writing it; wait for its end or name another output
    """
    import fcntl  # not on Windows, where the rest of the library can still be imported

    path = Path(os.path.abspath(path))
    lock = path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise InputError(f"{path}: another run is writing it; wait for its end or name another output") from None
        except OSError:  # a file system without locks
            pass
        if os.fstat(file).st_nlink:
            break
        os.close(file)  # the run before ended, and removed the file, between our two calls
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(file)


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read a small JSON file that may come from anywhere.

    Arguments
    ---------
    path : str or Path
        A UTF-8 file that holds an object.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    InputError
        When it is larger than ``LARGEST_JSON``, damaged, nested too deeply, or holds something else.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.json"
    >>> _ = path.write_text('{"a": 1}')
    >>> read_json(path)
    {'a': 1}
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_JSON + 1)
        if len(content) > LARGEST_JSON:
            raise ValueError(f"larger than {LARGEST_JSON >> 20} MB")
        values = json.loads(content.decode("utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"holds a {type(values).__name__}, not an object")
    except RecursionError:
        raise InputError(f"{path}: damaged (nested too deeply)") from None
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error})") from None
    return values


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
