"""The score file: ``ID,Score,Label`` and the other columns of the protocol, one line per utterance.

Score is ``[fake_logit, real_logit]``. Label is 1 for real, 0 for fake, and empty where unknown. The released evaluation
code reads the same format.
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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.metrics.costs import AsvScores
from antideepfake.protocol.table import LABELS, iterate_lines, read_lines
from antideepfake.scoring.shards import Shards

if TYPE_CHECKING:
    import pandas as pd

OOD = "OOD"  # column: whether a recording is out of distribution, if the model folder has an OOD detector
WINDOWS = "Windows"  # column: number of windows that the score was combined from; 1 for an utterance
SPEECH = "Speech"  # column: seconds of speech; "-" if it was not measured
NO_SPEECH = "0.00"
OLD_OOD = "Far"  # its name in version 0.1


class SkippedFile(NamedTuple):
    """A file without a score, and the reason."""

    path: str
    error: str


class ScoreWriter:
    """Write a score file line by line, from one or several processes; an interrupted run can be resumed.

    Lines are appended to shards (:class:`antideepfake.scoring.shards.Shards`), which :meth:`merge` combines. A writer
    opened again for the same run keeps the existing lines.

    Arguments
    ---------
    path : str or Path
        The score file. ``<path>.skipped.csv`` lists the files without a score, if there are any.
    metadata : list of str
        Names of the columns after ID, Score and Label.
    run : bytes
        Identifies the run by its model and utterances, to distinguish it from other runs with the same output.
    rank : int
        Index of this process.

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
        if repeated := [name for index, name in enumerate(self.columns) if name in self.columns[:index]]:
            raise InputError(f"the protocol has a column {repeated[0]}, which is reserved in score files; rename it")
        digest = hashlib.blake2b(run + "\0".join(metadata).encode(), digest_size=4).hexdigest()
        self._scored = Shards(self.path, digest, rank)
        self._skipped = Shards(f"{os.fspath(path)}.skipped.csv", digest, rank)

    def done(self, count: int) -> NDArray[np.bool_]:
        """Return which utterances already have a score; skipped ones have none.

        Arguments
        ---------
        count : int
            Number of utterances.

        Returns
        -------
        array of bool
            Shape [count].
        """
        done = np.zeros(count, bool)
        for index in self._scored.indices():
            done[index] = True
        return done

    def forget_skipped(self) -> None:
        """Delete the list of files that earlier runs skipped, so that this run tries them again."""
        self._skipped.remove()

    def forget(self) -> None:
        """Delete what an earlier run left, so that this one starts from the beginning."""
        self._scored.remove()
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
        index: int,
        utterance: str,
        logits: Sequence[float],
        label: str | None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Append a line; it is on disk immediately.

        Arguments
        ---------
        index : int
            Index of the utterance.
        utterance : str
            ID of the utterance.
        logits : pair of float
            Logits of fake and of real.
        label : str, optional
            ``fake`` or ``real``; None if unknown.
        metadata : mapping, optional
            Values of the further columns.

        Raises
        ------
        InputError
            If a value contains a line break.
        """
        pair = json.dumps([float(logit) for logit in logits])
        values = [(metadata or {}).get(column, "-") for column in self.columns[3:]]
        row = [utterance, pair, "" if label is None else str(LABELS.index(label)), *map(str, values)]
        if any(end in value for value in row for end in "\r\n"):
            raise InputError(
                f"{utterance!r}: a name or path contains a line break, which score files do not support; rename it"
            )
        self._scored.write(index, row)

    def skip(self, index: int, path: str, error: str) -> None:
        """Record a file that has no score.

        Arguments
        ---------
        index : int
            Index of the utterance.
        path, error : str
            The file, and the reason.
        """
        self._skipped.write(index, [re.sub(r"[\r\n]+", " ", value) for value in (path, error)])

    def merge(self, count: int) -> list[SkippedFile]:
        """Merge the shards into the score file and the list of skipped files, and delete the shards.

        One process calls this after all have finished.

        Arguments
        ---------
        count : int
            Number of utterances.

        Returns
        -------
        list of SkippedFile
            Skipped files, in the order of the utterances.

        Raises
        ------
        InputError
            If some utterances were neither scored nor skipped.
        """
        n_skipped = self._skipped.merge(["Path", "Reason"])
        with open(self._skipped.path, encoding="utf-8", newline="") as file:
            skipped = [SkippedFile(*row) for row in islice(csv.reader(file), 1, None)]
        if not skipped:
            self._skipped.path.unlink()
        # The score file is written last, so that its existence means a complete run.
        self._scored.merge(self.columns, count - n_skipped)
        self._scored.remove()
        self._skipped.remove()
        return skipped


def read_scores(path: str | os.PathLike) -> "pd.DataFrame":
    """Read a score file.

    Arguments
    ---------
    path : str or Path
        A score file of this package or of the released code, with at least ID, Score and Label.

    Returns
    -------
    pandas.DataFrame
        The columns of the file. Score is the float64 difference real - fake of the logits; Label is ``real``, ``fake``
        or, where unknown, an empty string.

    Raises
    ------
    InputError
        If the file is missing or lacks a column, or a Score or Label is malformed; the message names the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.csv"
    >>> with ScoreWriter(path) as writer:
    ...     writer.write(0, "a", (-1.5, 2.0), "real")
    >>> _ = writer.merge(1)
    >>> read_scores(path).values.tolist()
    [['a', 3.5, 'real']]
    """
    import pandas as pd  # slow to import, and writing scores does without

    # Chunk by chunk, so that the text of the scores is never in memory as a whole.
    return pd.concat([_convert_lines(lines, path) for lines in iterate_lines(path)], ignore_index=True)


def _convert_lines(lines: "pd.DataFrame", path: str | os.PathLike) -> "pd.DataFrame":
    """Convert the text of a score file, indexed by line numbers, to scores and labels."""
    lines = lines.rename(columns={OLD_OOD: OOD})
    missing = [column for column in ("ID", "Score", "Label") if column not in lines.columns]
    if missing:
        raise InputError(
            f"{path}:1: no column {', '.join(missing)}; a score file needs the columns ID, Score and Label"
        )
    names = {str(index): label for index, label in enumerate(LABELS)} | {"": ""}
    wrong = ~lines["Label"].isin(list(names))
    if wrong.any():
        line = wrong.idxmax()
        label = lines.loc[line, "Label"]
        raise InputError(f"{path}:{line}: the Label is '{label[:80]}'; it must be 1 (real) or 0 (fake)")
    logits = _parse_pairs(lines["Score"], path)
    return lines.assign(Score=logits[:, 1] - logits[:, 0], Label=lines["Label"].map(names))


def read_columns(path: str | os.PathLike, ids: Sequence[str], columns: Sequence[str]) -> "pd.DataFrame":
    """Read columns of the given utterances from a score file.

    Arguments
    ---------
    path : str or Path
        The score file.
    ids : sequence of str
        Identifiers of the utterances.
    columns : sequence of str
        Names of the columns.

    Returns
    -------
    pandas.DataFrame
        The columns, with rows in the order of ``ids``.

    Raises
    ------
    InputError
        If a column or an utterance is missing.

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
        raise InputError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    if unknown := [name for name in ids if name not in table.index]:
        raise InputError(
            f"{path}: lacks {len(unknown)} of the utterances, such as '{unknown[0]}'; use that of the same run"
        )
    return table.loc[list(ids), list(columns)].reset_index(drop=True)


def _parse_pairs(pairs: "pd.Series", path: str | os.PathLike) -> NDArray[np.float64]:
    """Parse pairs of logits, shape [lines, 2], all at once, or one by one if that fails, to find the malformed line."""
    import pyarrow.csv  # slow to import, and writing scores does without

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
                f"{path}:{line}: the Score is '{pair[:80]}'; it must be [fake_logit, real_logit]"
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
        Scores by type of trial.

    Raises
    ------
    InputError
        If a column or a type of trial is missing, or a value is malformed; the message names the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "asv.csv"
    >>> _ = path.write_text("Key,Score\\ntarget,2.5\\nnontarget,-1\\nspoof,0.5\\n")
    >>> read_asv_scores(path).target.tolist()
    [2.5]
    """
    import pandas as pd

    table = read_lines(path)
    missing = [column for column in ("Key", "Score") if column not in table]
    if missing:
        raise InputError(f"{path}:1: no column {', '.join(missing)}; it needs Key and Score")
    scores = pd.to_numeric(table["Score"], errors="coerce")
    wrong = ~np.isfinite(scores) | ~table["Key"].isin(AsvScores._fields)
    if wrong.any():
        line = wrong.idxmax()
        raise InputError(f"{path}:{line}: Key must be target, nontarget or spoof, and Score a number")
    kinds = [scores[table["Key"] == kind].to_numpy() for kind in AsvScores._fields]
    for kind, values in zip(AsvScores._fields, kinds, strict=True):
        if not len(values):
            raise InputError(f"{path}: no {kind} trial; the file needs target, nontarget and spoof trials")
    return AsvScores(*kinds)


def iterate_scores(path: str | os.PathLike) -> Iterator[tuple[str, float, bool]]:
    """Iterate over the lines of a score file of this package, without loading the whole file.

    Arguments
    ---------
    path : str or Path
        The score file.

    Yields
    ------
    tuple of str, float and bool
        ID; the difference real - fake of the logits; whether the decision is ``unsure``: the recording is out of
        distribution (column OOD) or has no speech (column Speech).

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
            is_unsure = row.get(OOD, row.get(OLD_OOD)) == "yes" or row.get(SPEECH) == NO_SPEECH
            yield row["ID"], real - fake, is_unsure
