"""A CSV file in the making: what several processes have written of it, each in a part of its own."""

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
    """Rows of a CSV file, each with its place, in files that outlive their processes until they are merged.

    A process appends to ``<path>.<run>.<rank>.part``, a line a row, the row's place in front. All parts of a run count,
    whoever wrote them: the next run may have more processes or fewer. A last line that a kill has torn does not.

    Arguments
    ---------
    path : str or Path
        The CSV file.
    run : str
        What tells this run's parts from those of others; no place may mean another row within a run.
    rank : int
        Which of the processes this is.

    Example
    -------
    >>> path = getfixture("tmp_path") / "letters.csv"
    >>> for rank, rows in enumerate([{0: "a", 2: "c"}, {1: "b"}]):
    ...     with Shards(path, "run", rank) as parts:
    ...         for place, letter in rows.items():
    ...             parts.write(place, [letter])
    >>> sorted(parts.places())
    [0, 1, 2]
    >>> parts.merge(["Letter"])
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
        # A line goes to the system as soon as it is whole, and outlives this process.
        self._file = open(self.own, "a", buffering=1, encoding="utf-8", errors="backslashreplace", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            os.fsync(self._file.fileno())

    def write(self, place: int, row: Iterable[str]) -> None:
        """Append a row.

        Arguments
        ---------
        place : int
            Where it belongs among the rows of all parts.
        row : iterable of str
            Its values, without line ends.
        """
        self._writer.writerow([place, *row])

    def files(self) -> list[Path]:
        """The parts that are there."""
        return sorted(self.path.parent.glob(self._pattern))

    def places(self) -> Iterator[int]:
        """The places of the rows in all parts, in no order."""
        for part in self.files():
            for _, line in _whole_lines(part):
                yield _place(line)

    def merge(self, header: Sequence[str], count: int | None = None) -> int:
        """Write the CSV file, rows in the order of their places; the parts stay.

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
            When they are not as many as there must be; a file that is there stays as it was.
        """
        with atomic_open(self.path, newline="") as merged:
            csv.writer(merged, lineterminator="\n").writerow(header)
            rows = 0
            for row in self.rows(count):
                merged.write(row.decode())
                rows += 1
        return rows

    def rows(self, count: int | None = None) -> Iterator[bytes]:
        """Give all rows in the order of their places: lines of CSV, without the place.

        Arguments
        ---------
        count : int, optional
            How many rows there must be.
        """
        # Where each line begins is kept, not the lines: 24 bytes a row.
        places, numbers, offsets = array("q"), array("q"), array("q")
        parts = self.files()
        for number, part in enumerate(parts):
            for offset, line in _whole_lines(part):
                places.append(_place(line))
                numbers.append(number)
                offsets.append(offset)
        found, first = np.unique(np.asarray(places), return_index=True)
        if count not in (None, len(found)):
            raise InputError(
                f"{self.path}: {len(found)} of {count} rows are there; run one such command at a time, this one again"
            )
        with ExitStack() as stack:
            files = [stack.enter_context(open(part, "rb")) for part in parts]
            for index in first:
                file = files[numbers[index]]
                file.seek(offsets[index])
                yield file.readline().partition(b",")[2]

    def remove(self) -> None:
        """Delete all parts."""
        for part in self.files():
            part.unlink()


def _whole_lines(part: Path) -> Iterator[tuple[int, bytes]]:
    """Byte offset and text of every line but a torn last one."""
    offset = 0
    with open(part, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, line
            offset += len(line)


def _place(line: bytes) -> int:
    return int(line.partition(b",")[0])
