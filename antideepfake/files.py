"""Write files atomically, so that no incomplete file has its final name, and read small files safely."""

import hashlib
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from antideepfake.errors import InputError

# Part of the names of temporary files. Process numbers distinguish processes on one computer only, so the name of the
# computer is needed too.
HOST = re.sub(r"[^\w-]", "_", socket.gethostname())
TEMPORARIES = (".*.part*", ".*.lock")  # patterns of the files of a running or killed program; do not upload them
LARGEST_JSON = 4 << 20  # bytes; parsed JSON can need 100 times as much memory

PROBE_SIZE = 1 << 20  # bytes; more than the last write that failed can have left free


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path, and rename the file to ``path`` when the block ends without an error.

    Arguments
    ---------
    path : str or Path
        Final path. Its folder is created.

    Yields
    ------
    Path
        A temporary path in the same folder with the same suffix. If the block raises an error, the temporary file is
        removed and a file at the final path is unchanged. If the process is killed, the next process that writes to the
        folder removes the temporary file.

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


@contextmanager
def explain_write_errors(folder: str | os.PathLike[str], hidden: type[Exception]) -> Iterator[None]:
    """Raise the ``OSError`` of the system, such as that of a full disk, where a library replaces it by its own error.

    Arguments
    ---------
    folder : str or Path
        Where the block writes.
    hidden : type of exception
        What the library raises, whatever the reason.

    Raises
    ------
    OSError
        When the block raises ``hidden`` and Python cannot write a file to the folder either.

    Example
    -------
    >>> with explain_write_errors(getfixture("tmp_path"), RuntimeError):
    ...     raise RuntimeError("another reason")
    Traceback (most recent call last):
    RuntimeError: another reason
    """
    try:
        yield
    except hidden:
        with tempfile.TemporaryFile(dir=os.fspath(folder)) as probe:
            probe.write(bytes(PROBE_SIZE))
            probe.flush()
            os.fsync(probe.fileno())
        raise


@cache  # once per folder, because some programs write a hundred thousand files into one folder
def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed processes of this computer left behind in :func:`atomic_path`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> left = folder / f".model.{HOST}.{2**22 + 1}.part.safetensors"  # no process has such a high number
    >>> left.touch()
    >>> remove_abandoned(folder)
    >>> left.exists()
    False
    """
    for path in folder.glob(".*.part*"):
        found = re.fullmatch(rf"\..+\.{re.escape(HOST)}\.(\d+)\.part(\..*)?", path.name)
        if found and not _is_alive(int(found[1])):
            with suppress(OSError):  # another process removed the file first, or this one lacks the permission
                path.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # the process belongs to another user
        pass
    return True


@contextmanager
def lock_output(path: str | os.PathLike) -> Iterator[None]:
    """Prevent other runs from writing the same output.

    The operating system releases the lock if the process is killed.

    Arguments
    ---------
    path : str or Path
        The file or folder to write. A hidden file ``.<name>.lock`` exists beside it while the block runs.

    Raises
    ------
    InputError
        When another run has locked the output.

    Example
    -------
    >>> target = getfixture("tmp_path") / "scores.csv"
    >>> with lock_output(target), lock_output(target):  # doctest: +ELLIPSIS
    ...     pass
    Traceback (most recent call last):
    antideepfake.errors.InputError: ...scores.csv: another run is writing it; wait until it ends or use another output
    """
    import fcntl  # imported here because Windows lacks it, and the rest of the library works there

    path = Path(os.path.abspath(path))
    lock = path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise InputError(f"{path}: another run is writing it; wait until it ends or use another output") from None
        except OSError:  # the file system does not support locks
            pass
        if os.fstat(file).st_nlink:
            break
        os.close(file)  # the previous run ended and removed the file after it was opened here; try again
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(file)


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read a small JSON file from an untrusted source.

    Arguments
    ---------
    path : str or Path
        A UTF-8 file that contains a JSON object.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    InputError
        When the file is larger than ``LARGEST_JSON``, damaged, nested too deeply, or does not contain an object.

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
            raise ValueError(f"contains a {type(values).__name__} instead of an object")
    except RecursionError:
        raise InputError(f"{path}: damaged (nested too deeply)") from None
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error})") from None
    return values


@contextmanager
def atomic_open(path: str | os.PathLike, mode: str = "w", **options: Any) -> Iterator[Any]:
    """Open a file for atomic writing, see :func:`atomic_path`.

    Arguments
    ---------
    path : str or Path
        Final path.
    mode : str
        A writing mode of ``open``. The default encoding of text is UTF-8.
    **options
        Further arguments of ``open``.

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
    """Compute the SHA-256 digest, in hexadecimal, of the concatenated contents of files.

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
            while chunk := file.read(1 << 24):
                digest.update(chunk)
    return digest.hexdigest()
