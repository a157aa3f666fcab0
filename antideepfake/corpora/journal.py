"""What an interrupted run has read of a corpus, so that the next run need not read it again."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from antideepfake.errors import InputError


class Journal:
    """A file that notes the header of one audio file after the other, in the order of the corpus.

    The next run asks for the files in the same order, and is told what was noted as long as the two agree: the same
    file, of the same size and time. From the first that differs the journal is cut off and written anew. Nothing of
    it is held in memory. It is removed when its block ends well, or with an InputError; another exception leaves it
    for the next run.

    Arguments
    ---------
    path : str or Path
        The file.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> try:
    ...     with Journal(root / "journal") as journal:
    ...         journal.note("a.wav", {"Duration": 1.5})
    ...         raise KeyboardInterrupt
    ... except KeyboardInterrupt:
    ...     pass
    >>> with Journal(root / "journal") as journal:
    ...     journal.recall("a.wav"), journal.recall("b.wav")
    ({'Duration': 1.5}, None)
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def __enter__(self) -> "Journal":
        """Open the file, or begin one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "a+b")
        self.file.seek(0)
        self.agreed = 0  # bytes that agree with this run
        self.reading = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, and remove it unless the run was interrupted."""
        self.file.close()
        if kind is None or issubclass(kind, InputError):
            self.path.unlink(missing_ok=True)

    def recall(self, path: str) -> Any:
        """Give what was noted of the next file, or None: it is to be read and noted.

        Arguments
        ---------
        path : str
            The file.

        Returns
        -------
        object or None
            As handed to :meth:`note`.
        """
        if not self.reading:
            return None
        line = self.file.readline()
        try:
            signature, noted = json.loads(line)
        except ValueError:  # the end, or a line that was cut short
            signature, noted = None, None
        if signature == _signature(path):
            self.agreed += len(line)
            return noted
        self.file.truncate(self.agreed)
        self.reading = False
        return None

    def note(self, path: str, noted: Any) -> None:
        """Write down what was read of a file.

        Arguments
        ---------
        path : str
            The file.
        noted : object
            Anything that JSON can hold, but None.
        """
        self.file.write(json.dumps([_signature(path), noted]).encode() + b"\n")

    def flush(self) -> None:
        """Hand everything to the system."""
        self.file.flush()


def _signature(path: str) -> list:
    """Tell a file from another of its name: a list, as JSON gives it back."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return [path, None, None]
    return [path, state.st_size, state.st_mtime_ns]
