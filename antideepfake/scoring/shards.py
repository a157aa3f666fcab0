"""A CSV file that several processes write: each appends to its own shard, and the shards are merged at the end."""

import csv
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from glob import escape
from pathlib import Path
from types import TracebackType

import numpy as np

from antideepfake.errors import InputError
from antideepfake.files import atomic_open


class Shards:
    """Shards of a CSV file, which remain on disk until they are merged.

    A process appends to ``<path>.<run>.<rank>.part``, one line per row, with the index of the row in front. All shards
    of a run are read, so that a resumed run may have more or fewer processes. An incomplete last line, which a killed
    process may leave, is ignored.

    Arguments
    ---------
    path : str or Path
        The CSV file.
    run : str
        Identifies the run; its shards are separate from those of other runs. Within a run, an index always means the
        same row.
    rank : int
        Index of this process.

    Example
    -------
    >>> path = getfixture("tmp_path") / "letters.csv"
    >>> for rank, rows in enumerate([{0: "a", 2: "c"}, {1: "b"}]):
    ...     with Shards(path, "run", rank) as shards:
    ...         for index, letter in rows.items():
    ...             shards.write(index, [letter])
    >>> sorted(shards.indices())
    [0, 1, 2]
    >>> shards.merge(["Letter"])
    3
    >>> path.read_text().split()
    ['Letter', 'a', 'b', 'c']
    """

    def __init__(self, path: str | os.PathLike, run: str, rank: int = 0) -> None:
        self.path = Path(path)
        self.own = self.path.with_name(f"{self.path.name}.{run}.{rank}.part")
        self._pattern = escape(f"{self.path.name}.{run}.") + "*.part"

    def __enter__(self) -> "Shards":
        self.own.parent.mkdir(parents=True, exist_ok=True)
        if self.own.exists():
            os.truncate(self.own, sum(len(line) for _, line in _whole_lines(self.own)))
        # Line-buffered, so that complete lines are on disk if the process is killed.
        self._file = open(self.own, "a", buffering=1, encoding="utf-8", errors="backslashreplace", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            os.fsync(self._file.fileno())

    def write(self, index: int, row: Iterable[str]) -> None:
        """Append a row.

        Arguments
        ---------
        index : int
            Index of the row in the CSV file.
        row : iterable of str
            Values of the row, without line breaks.
        """
        self._writer.writerow([index, *row])

    def files(self) -> list[Path]:
        """Return the existing shards."""
        return sorted(self.path.parent.glob(self._pattern))

    def indices(self) -> Iterator[int]:
        """Yield the indices of the rows in all shards, in no particular order."""
        for shard in self.files():
            for _, line in _whole_lines(shard):
                yield _index(line)

    def merge(self, header: Sequence[str], count: int | None = None) -> int:
        """Write the CSV file, with rows in the order of their indices; the shards remain.

        Arguments
        ---------
        header : list of str
            Names of the columns.
        count : int, optional
            Expected number of rows.

        Returns
        -------
        int
            Number of rows.

        Raises
        ------
        InputError
            If the number of rows differs from ``count``; an existing file is not changed.
        """
        with atomic_open(self.path, newline="") as merged:
            csv.writer(merged, lineterminator="\n").writerow(header)
            rows = 0
            for row in self.rows(count):
                merged.write(row.decode())
                rows += 1
        return rows

    def rows(self, count: int | None = None) -> Iterator[bytes]:
        """Yield all rows in the order of their indices, as lines of CSV without the index.

        Arguments
        ---------
        count : int, optional
            Expected number of rows.

        Raises
        ------
        InputError
            If the number of rows differs from ``count``.
        """
        # Keep the offsets of the lines instead of the lines: 24 bytes per row.
        indices, numbers, offsets = array("q"), array("q"), array("q")
        shards = self.files()
        for number, shard in enumerate(shards):
            for offset, line in _whole_lines(shard):
                indices.append(_index(line))
                numbers.append(number)
                offsets.append(offset)
        found, first = np.unique(np.asarray(indices), return_index=True)
        if count not in (None, len(found)):
            raise InputError(
                f"{self.path}: {len(found)} of {count} rows were written; run the command again, once at a time"
            )
        with ExitStack() as stack:
            files = [stack.enter_context(open(shard, "rb")) for shard in shards]
            for row in first:
                file = files[numbers[row]]
                file.seek(offsets[row])
                yield file.readline().partition(b",")[2]

    def remove(self) -> None:
        """Delete all shards."""
        for shard in self.files():
            shard.unlink()


def _whole_lines(shard: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the byte offset and text of every complete line."""
    offset = 0
    with open(shard, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, line
            offset += len(line)


def _index(line: bytes) -> int:
    return int(line.partition(b",")[0])
