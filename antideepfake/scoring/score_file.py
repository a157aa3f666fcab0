"""The score file: ``ID,Score,Label`` and the protocol's other columns, one line an utterance.

Score is ``[fake_logit, real_logit]`` and Label 1 for real, 0 for fake, empty where unknown, as the released evaluation
code reads it.
"""

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.metrics.costs import AsvScores
from antideepfake.protocol.table import LABELS, read_lines
from antideepfake.scoring.shards import Shards

OOD = "OOD"  # column: whether a recording is out of distribution, where the model folder can tell
OLD_OOD = "Far"  # its name in version 0.1


class SkippedFile(NamedTuple):
    """A file without a score, and why."""

    path: str
    error: str


class ScoreWriter:
    """Write a score file line by line, by one process or several, so that a run that dies goes on where it stopped.

    Lines go to parts (:class:`antideepfake.scoring.shards.Shards`), of which :meth:`merge` makes the score file. Opened
    again for the same run, the writer keeps what is there.

    Arguments
    ---------
    path : str or Path
        The score file. Beside it, ``<path>.skipped.csv`` lists the files without a score, if there are any.
    metadata : list of str
        Names of the columns after ID, Score and Label.
    run : bytes
        What tells this run from others that would write the same file: of what model and utterances it is.
    rank : int
        Which of the processes that write together this is.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.csv"
    >>> with ScoreWriter(path, ["Attack"]) as writer:
    ...     writer.write(0, "a", (-1.5, 2.0), "real", {"Attack": "-"})
    >>> writer.merge(1)
    []
    >>> print(path.read_text(), end="")
    ID,Score,Label,Attack
    a,"[-1.5, 2.0]",1,-
    """

    def __init__(self, path: str | os.PathLike, metadata: Sequence[str] = (), run: bytes = b"", rank: int = 0) -> None:
        self.path = Path(path)
        self.columns = ["ID", "Score", "Label", *metadata]
        if repeated := [name for place, name in enumerate(self.columns) if name in self.columns[:place]]:
            raise InputError(f"the protocol has a column {repeated[0]}, which a score file writes itself; rename it")
        digest = hashlib.blake2b(run + "\0".join(metadata).encode(), digest_size=4).hexdigest()
        self._scored = Shards(self.path, digest, rank)
        self._skipped = Shards(f"{os.fspath(path)}.skipped.csv", digest, rank)

    def done(self, count: int) -> NDArray[np.bool_]:
        """Which utterances have a score already; those that were skipped have none.

        Arguments
        ---------
        count : int
            How many utterances there are.

        Returns
        -------
        numpy.ndarray
            Shape [count].
        """
        done = np.zeros(count, bool)
        for place in self._scored.indices():
            done[place] = True
        return done

    def forget_skipped(self) -> None:
        """Drop what earlier runs skipped, which is tried again."""
        self._skipped.remove()

    def __enter__(self) -> "ScoreWriter":
        with ExitStack() as stack:
            stack.enter_context(self._scored)
            stack.enter_context(self._skipped)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(
        self,
        place: int,
        utterance: str,
        logits: Sequence[float],
        label: str | None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Append a line, which outlives this process.

        Arguments
        ---------
        place : int
            Of the utterance among all.
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
        self._scored.write(place, row)

    def skip(self, place: int, path: str, error: str) -> None:
        """Remember a file that has no score.

        Arguments
        ---------
        place : int
            Of the utterance among all.
        path, error : str
            The file, and why.
        """
        self._skipped.write(place, [re.sub(r"[\r\n]+", " ", value) for value in (path, error)])

    def merge(self, count: int) -> list[SkippedFile]:
        """Make the score file and the list of skipped files of all parts, which go; for one process, at the end.

        Arguments
        ---------
        count : int
            How many utterances there are.

        Returns
        -------
        list of SkippedFile
            In the order of the utterances.

        Raises
        ------
        InputError
            When some utterances were neither scored nor skipped.
        """
        missing = self._skipped.merge(["Path", "Reason"])
        with open(self._skipped.path, encoding="utf-8", newline="") as file:
            skipped = [SkippedFile(*row) for row in islice(csv.reader(file), 1, None)]
        if not skipped:
            self._skipped.path.unlink()
        # The score file comes last: where it is, all is.
        self._scored.merge(self.columns, count - missing)
        self._scored.remove()
        self._skipped.remove()
        return skipped


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
    ...     writer.write(0, "a", (-1.5, 2.0), "real")
    >>> _ = writer.merge(1)
    >>> read_scores(path).values.tolist()
    [['a', 3.5, 'real']]
    """
    table = read_lines(path).rename(columns={OLD_OOD: OOD})
    missing = [column for column in ("ID", "Score", "Label") if column not in table.columns]
    if missing:
        raise InputError(f"{path}, line 1: no column {', '.join(missing)}; a score file begins with ID,Score,Label")
    names = {str(index): label for index, label in enumerate(LABELS)} | {"": ""}
    wrong = ~table["Label"].isin(list(names))
    if wrong.any():
        line = wrong.idxmax()
        label = table.loc[line, "Label"]
        raise InputError(f"{path}, line {line}: the Label is '{label[:80]}'; it must be 1 (real) or 0 (fake)")
    logits = _parse_pairs(table["Score"], path)
    labels = table["Label"].map(names)
    return table.assign(Score=logits[:, 1] - logits[:, 0], Label=labels).reset_index(drop=True)


def read_columns(path: str | os.PathLike, ids: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of some utterances from their score file.

    Arguments
    ---------
    path : str or Path
        The score file.
    ids : sequence of str
        Identifiers of the utterances.
    columns : sequence of str
        Names of columns.

    Returns
    -------
    pandas.DataFrame
        The columns, rows in the order of ``ids``.

    Raises
    ------
    InputError
        When a column or an utterance is missing.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.csv"
    >>> with ScoreWriter(path, ["Speaker"]) as writer:
    ...     writer.write(0, "a", (-1.5, 2.0), "real", {"Speaker": "ann"})
    >>> _ = writer.merge(1)
    >>> read_columns(path, ["a"], ["Speaker"])["Speaker"].tolist()
    ['ann']
    """
    table = read_scores(path).set_index("ID")
    if missing := [column for column in columns if column not in table]:
        raise InputError(f"{path}: no column {', '.join(missing)}")
    if unknown := [name for name in ids if name not in table.index]:
        raise InputError(f"{path}: lacks {len(unknown)} of the utterances, such as '{unknown[0]}'")
    return table.loc[list(ids), list(columns)].reset_index(drop=True)


def _parse_pairs(pairs: pd.Series, path: str | os.PathLike) -> NDArray[np.float64]:
    """Read pairs of logits: all at once, and one by one only where that fails."""
    lines = ",".join(pairs.tolist()).replace("],[", "\n")
    options = {
        "read_options": pyarrow.csv.ReadOptions(column_names=["fake", "real"]),
        "convert_options": pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(["fake", "real"], pyarrow.float64())),
    }
    try:
        table = pyarrow.csv.read_csv(io.BytesIO(lines[1:-1].encode()), **options)
        if len(table) == len(pairs) and lines.startswith("[") and lines.endswith("]"):
            return np.stack([column.to_numpy() for column in table.columns], axis=1)
    except pyarrow.ArrowInvalid:
        pass
    logits = np.empty((len(pairs), 2))
    for position, (line, pair) in enumerate(pairs.items()):
        try:
            fake, real = json.loads(pair)
            logits[position] = float(fake), float(real)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise InputError(
                f"{path}, line {line}: the Score is '{pair[:80]}'; it must be [fake_logit, real_logit]"
            ) from None
    return logits


def read_asv_scores(path: str | os.PathLike) -> AsvScores:
    """Read the scores of a speaker-verification system.

    Arguments
    ---------
    path : str or Path
        A CSV file with the columns Key (``target``, ``nontarget`` or ``spoof``) and Score.

    Returns
    -------
    AsvScores
        Of each kind.

    Raises
    ------
    InputError
        When a column or a kind is missing, or a value is malformed; names the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "asv.csv"
    >>> _ = path.write_text("Key,Score\\ntarget,2.5\\nnontarget,-1\\nspoof,0.5\\n")
    >>> read_asv_scores(path).target.tolist()
    [2.5]
    """
    table = read_lines(path)
    missing = [column for column in ("Key", "Score") if column not in table]
    if missing:
        raise InputError(f"{path}, line 1: no column {', '.join(missing)}; it needs Key and Score")
    scores = pd.to_numeric(table["Score"], errors="coerce")
    wrong = ~np.isfinite(scores) | ~table["Key"].isin(AsvScores._fields)
    if wrong.any():
        line = wrong.idxmax()
        raise InputError(f"{path}, line {line}: Key is target, nontarget or spoof, and Score a number")
    kinds = [scores[table["Key"] == kind].to_numpy() for kind in AsvScores._fields]
    for kind, values in zip(AsvScores._fields, kinds, strict=True):
        if not len(values):
            raise InputError(f"{path}: no {kind} trial is in it; it needs target, nontarget and spoof")
    return AsvScores(*kinds)


def iterate_scores(path: str | os.PathLike) -> Iterator[tuple[str, float, bool]]:
    """Go through a score file that this project wrote, of any length, line by line.

    Arguments
    ---------
    path : str or Path
        The file.

    Yields
    ------
    tuple of str, float and bool
        ID; the difference real - fake of the logits; whether the recording is out of distribution (column OOD).

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.csv"
    >>> with ScoreWriter(path) as writer:
    ...     writer.write(0, "a", (-1.5, 2.0), "real")
    >>> _ = writer.merge(1)
    >>> list(iterate_scores(path))
    [('a', 3.5, False)]
    """
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            fake, real = json.loads(row["Score"])
            yield row["ID"], real - fake, row.get(OOD, row.get(OLD_OOD)) == "yes"
