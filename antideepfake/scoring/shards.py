"""A CSV file that several processes write, each a shard of its own, until the shards are merged."""

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
    """Rows of a CSV file, each with its index, in files that outlive their processes until they are merged.

    A process appends to ``<path>.<run>.<rank>.part``, one line a row, with the index of the row in front. All shards
    of a run count, whoever wrote them: the next run may have more processes or fewer. An incomplete last line, which a
    killed process may leave, does not.

    Arguments
    ---------
    path : str or Path
        The CSV file.
    run : str
        Distinguishes the shards of this run from those of others; within a run, an index always means the same row.
    rank : int
        Which of the processes this is.

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
        # Line-buffered: a complete line survives this process.
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
            Of the row in the CSV file.
        row : iterable of str
            Its values, without line ends.
        """
        self._writer.writerow([index, *row])

    def files(self) -> list[Path]:
        """Give the existing shards."""
        return sorted(self.path.parent.glob(self._pattern))

    def indices(self) -> Iterator[int]:
        """Give the indices of the rows in all shards, in no order."""
        for shard in self.files():
            for _, line in _whole_lines(shard):
                yield _index(line)

    def merge(self, header: Sequence[str], count: int | None = None) -> int:
        """Write the CSV file, rows in the order of their indices; the shards stay.

        Arguments
        ---------
        header : list of str
            Names of the columns.
        count : int, optional
            How many rows there must be.

        Returns
        -------
        int
            How many rows there are.

        Raises
        ------
        InputError
            When there are fewer or more; an existing file stays as it was.
        """
        with atomic_open(self.path, newline="") as merged:
            csv.writer(merged, lineterminator="\n").writerow(header)
            rows = 0
            for row in self.rows(count):
                merged.write(row.decode())
                rows += 1
        return rows

    def rows(self, count: int | None = None) -> Iterator[bytes]:
        """Give all rows in the order of their indices: lines of CSV, without the index.

        Arguments
        ---------
        count : int, optional
            How many rows there must be.
        """
        # Keep where each line begins, not the lines: 24 bytes a row.
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
                f"{self.path}: {len(found)} of {count} rows were written; run this command again, one at a time"
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
    """Give the byte offset and text of every complete line."""
    offset = 0
    with open(shard, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, line
            offset += len(line)


def _index(line: bytes) -> int:
    return int(line.partition(b",")[0])
