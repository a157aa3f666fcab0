"""The score file: ``ID,Score,Label`` and the protocol's other columns, one line an utterance.

Score is ``[fake_logit, real_logit]`` and Label 1 for real, 0 for fake, empty where unknown, as the released evaluation
code reads it.
"""

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from antideepfake.errors import InputError
from antideepfake.protocol import LABELS, read_lines


class ScoreWriter:
    """Write a score file line by line, so that a run that dies goes on where it stopped.

    Lines go to ``<path>.<run>.part``, which takes the final name when the block ends well. Opened again for the same
    run, the writer keeps the whole lines of what is there and drops a torn last one.

    Arguments
    ---------
    path : str or Path
        The score file.
    metadata : list of str
        Names of the columns after ID, Score and Label.
    run : bytes
        What tells this run from others that would write the same file: of what model and utterances it is.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.csv"
    >>> with ScoreWriter(path, ["Attack"]) as writer:
    ...     writer.write("a", (-1.5, 2.0), "real", {"Attack": "-"})
    >>> print(path.read_text(), end="")
    ID,Score,Label,Attack
    a,"[-1.5, 2.0]",1,-
    """

    def __init__(self, path: str | os.PathLike, metadata: Sequence[str] = (), run: bytes = b"") -> None:
        self.path = Path(path)
        digest = hashlib.blake2b(run + "\0".join(metadata).encode(), digest_size=4).hexdigest()
        self.part = self.path.with_name(f"{self.path.name}.{digest}.part")
        self.columns = ["ID", "Score", "Label", *metadata]
        self.done: set[str] = set()
        """Identifiers that an earlier run has written."""

    def __enter__(self) -> "ScoreWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = _whole_lines(self.part)
        self.done = {row[0] for row in list(csv.reader(whole))[1:]}
        self._file = open(self.part, "r+" if whole else "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        if whole:
            self._file.seek(sum(len(line.encode()) for line in whole))
            self._file.truncate()
        else:
            self._writer.writerow(self.columns)
        return self

    def write(
        self, utterance: str, logits: Sequence[float], label: str | None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Append a line.

        Arguments
        ---------
        utterance : str
            ID.
        logits : pair of float
            Of fake and of real.
        label : str, optional
            ``fake`` or ``real``; None where unknown.
        metadata : mapping, optional
            Values of the further columns.
        """
        pair = json.dumps([float(logit) for logit in logits])
        values = [(metadata or {}).get(column, "-") for column in self.columns[3:]]
        row = [utterance, pair, "" if label is None else str(LABELS.index(label)), *map(str, values)]
        if any(end in value for value in row for end in "\r\n"):
            raise InputError(f"{utterance!r}: a line end in a name or path, which a score file cannot hold; rename it")
        self._writer.writerow(row)

    def flush(self) -> None:
        """Hand what was written to the system, so that it outlives this process."""
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            os.replace(self.part, self.path)


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file that ends in the middle of one, without that one."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="", errors="replace") as file:
        return [line for line in file if line.endswith("\n")]


def read_scores(path: str | os.PathLike) -> pd.DataFrame:
    """Read a score file.

    Arguments
    ---------
    path : str or Path
        A file of this project's or of the released code's: at least ID, Score and Label.

    Returns
    -------
    pandas.DataFrame
        The file's columns, with Score as the float64 difference real - fake of the logits, and Label as ``real``,
        ``fake`` or, where unknown, an empty string.

    Raises
    ------
    InputError
        When the file is missing, lacks a column, or a Score or Label is malformed; names the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.csv"
    >>> with ScoreWriter(path) as writer:
    ...     writer.write("a", (-1.5, 2.0), "real")
    >>> read_scores(path).values.tolist()
    [['a', 3.5, 'real']]
    """
    table = read_lines(path)
    missing = [column for column in ("ID", "Score", "Label") if column not in table.columns]
    if missing:
        raise InputError(f"{path}, line 1: no column {', '.join(missing)}; a score file begins with ID,Score,Label")
    names = {str(index): label for index, label in enumerate(LABELS)} | {"": ""}
    scores = np.empty(len(table))
    rows = zip(table.index, table["Score"], table["Label"], strict=True)
    for position, (line, pair, label) in enumerate(rows):
        try:
            fake, real = json.loads(pair)
            scores[position] = float(real) - float(fake)
        except (ValueError, TypeError):
            raise InputError(
                f"{path}, line {line}: the Score is '{pair}'; it must be [fake_logit, real_logit]"
            ) from None
        if label not in names:
            raise InputError(f"{path}, line {line}: the Label is '{label}'; it must be 1 (real) or 0 (fake)")
    return table.assign(Score=scores, Label=table["Label"].map(names)).reset_index(drop=True)
