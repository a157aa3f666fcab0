"""A log of the headers that were read, from which an interrupted preparation resumes."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from antideepfake.errors import InputError


class Journal:
    """Headers of audio files, one line each, in the order of the corpus.

    A resumed run reads the files in the same order. It takes their headers from the journal as long as path, size and
    time of change agree; at the first file that differs, the rest of the journal is discarded. Nothing is kept in
    memory. The journal is removed when its block ends normally or with an InputError; any other exception keeps it for
    the next run.

    Arguments
    ---------
    path : str or Path
        The journal.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> try:
    ...     with Journal(root / "journal") as journal:
    ...         journal.write("a.wav", {"Duration": 1.5})
    ...         raise KeyboardInterrupt
    ... except KeyboardInterrupt:
    ...     pass
    >>> with Journal(root / "journal") as journal:
    ...     journal.read("a.wav"), journal.read("b.wav")
    ({'Duration': 1.5}, None)
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def __enter__(self) -> "Journal":
        """Open or create the journal."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "a+b")
        self.file.seek(0)
        self.valid = 0  # bytes that agree with this run
        self.resuming = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the journal, and remove it unless the run was interrupted."""
        self.file.close()
        if kind is None or issubclass(kind, InputError):
            self.path.unlink(missing_ok=True)

    def read(self, path: str) -> Any:
        """Return what an earlier run wrote for the next file, or None: then its header must be read and written.

        Arguments
        ---------
        path : str
            The audio file.

        Returns
        -------
        object or None
            As given to :meth:`write`.
        """
        if not self.resuming:
            return None
        line = self.file.readline()
        try:
            signature, header = json.loads(line)
        except ValueError:  # the end, or a truncated line
            signature, header = None, None
        if signature == _signature(path):
            self.valid += len(line)
            return header
        self.file.truncate(self.valid)
        self.resuming = False
        return None

    def write(self, path: str, header: Any) -> None:
        """Append the header of a file.

        Arguments
        ---------
        path : str
            The audio file.
        header : object
            Anything that JSON can represent, except None.
        """
        self.file.write(json.dumps([_signature(path), header]).encode() + b"\n")

    def flush(self) -> None:
        """Pass everything to the operating system, so that it survives this process."""
        self.file.flush()


def _signature(path: str) -> list:
    """Return what distinguishes a file from a later one with its name, as JSON returns it."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return [path, None, None]
    return [path, state.st_size, state.st_mtime_ns]
