"""The protocol: one table of utterances, the same for every corpus.

Twelve columns in a fixed order (those of the released AntiDeepfake protocols, so files can be exchanged); ``$ROOT`` in
Path stands for the data folder.
"""

import codecs
import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.protocol.arrow import SUFFIX, read_arrow, write_arrow

COLUMNS = (
    "ID",
    "Label",
    "Duration",
    "SampleRate",
    "Path",
    "Attack",
    "Speaker",
    "Proportion",
    "AudioChannel",
    "AudioEncoding",
    "AudioBitSample",
    "Language",
)
LABELS = ("fake", "real")  # the index of a label is its class: 0 = fake, 1 = real
SPLITS = ("train", "valid", "test")
NUMBERS = {"Duration": "float64", "SampleRate": "int64", "AudioChannel": "int64", "AudioBitSample": "int64"}
WEIGHT = "Weight"  # a column that may follow: how often training draws an utterance, on average once
CHUNK_ROWS = 500_000  # rows of a large protocol that are held at a time


def read_protocol(path: str | os.PathLike) -> pd.DataFrame:
    """Read and check a protocol.

    Arguments
    ---------
    path : str or Path
        A CSV file with at least the columns of ``COLUMNS``, in any order; or an ``.arrow`` file that
        :func:`write_protocol` or the merge wrote, which another process checks and this one does not read before it is
        looked at.

    Returns
    -------
    pandas.DataFrame
        One row an utterance, in the order of the file. Duration is in seconds, SampleRate in Hz, Weight, where there is
        one, is a factor; the columns that are not numbers are strings, ``-`` where unknown.

    Raises
    ------
    InputError
        When the file is missing, empty, lacks a column, repeats an ID, or holds a label other than real or fake or a
        malformed number. The message names the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "protocol.csv"
    >>> row = ["a", "real", 1.5, 16000, "$ROOT/a.wav", "-", "-", "test", 1, "PCM_S", 16, "EN"]
    >>> write_protocol(pd.DataFrame([row], columns=COLUMNS), path)
    >>> read_protocol(path)[["ID", "Label", "Duration"]].values.tolist()
    [['a', 'real', 1.5]]
    """
    if Path(path).suffix == SUFFIX:
        return _read_arrow(path)
    table = read_lines(path)
    _check(table, path)
    return _as_numbers(table.reset_index(drop=True))


def _read_arrow(path: str | os.PathLike) -> pd.DataFrame:
    table = read_arrow(path, LABELS, [*NUMBERS, WEIGHT])
    _check_columns(table, path)
    return table


def iterate_protocol(path: str | os.PathLike) -> Iterator[pd.DataFrame]:
    """Read and check a protocol of any length, a part at a time.

    Arguments
    ---------
    path : str or Path
        As :func:`read_protocol`.

    Yields
    ------
    pandas.DataFrame
        At most ``PART`` rows, as :func:`read_protocol` gives them. Whether an ID stands twice is left to the caller.

    Raises
    ------
    InputError
        As :func:`read_protocol`.
    """
    if Path(path).suffix == SUFFIX:
        table = _read_arrow(path)
        yield from (table.iloc[start : start + CHUNK_ROWS] for start in range(0, len(table), CHUNK_ROWS))
        return
    number = 0
    for number, lines in enumerate(_iterate_lines(path, CHUNK_ROWS), 1):
        if number == 1 or len(lines):  # later parts may be nothing but blank lines
            _check(lines, path, unique=False)
            yield _as_numbers(lines.reset_index(drop=True))


def _as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the text of the columns that are numbers, which was checked, into numbers."""
    # by way of float, which reads a number to its last digit, and 16000.0 too
    return table.assign(**{name: table[name].map(float).astype(kind) for name, kind in _numbers(table).items()})


def _numbers(table: pd.DataFrame) -> dict[str, str]:
    return NUMBERS | ({WEIGHT: "float64"} if WEIGHT in table else {})


def read_lines(path: str | os.PathLike) -> pd.DataFrame:
    """Read a CSV file as text.

    Arguments
    ---------
    path : str or Path
        A UTF-8 or UTF-16 file with a header line, with or without a byte-order mark.

    Returns
    -------
    pandas.DataFrame
        Strings; the index is the line of the file. Blank lines are left out.

    Raises
    ------
    InputError
        When the file is missing or empty, or a row has too many values, or one that is too long or has a line end.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("ID,Label\\na,real\\n\\nb,fake\\n")
    >>> read_lines(path).index.tolist()
    [2, 4]
    """
    return pd.concat(_iterate_lines(path, 10**12))


def _iterate_lines(path: str | os.PathLike, rows: int) -> Iterator[pd.DataFrame]:
    """As :func:`read_lines`, some rows at a time; the first part may be empty."""
    try:
        with pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            chunksize=rows,
            encoding=text_encoding(path),
        ) as reader:
            for table in reader:
                yield _check_lines(table, path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except (ValueError, IsADirectoryError) as error:
        raise InputError(
            f"{path}: not a CSV file of a header and rows as long. {' '.join(str(error).split())}"
        ) from None


def _check_lines(table: pd.DataFrame, path: str | os.PathLike) -> pd.DataFrame:
    """Number the lines as an editor does, leave out blank ones, and refuse what cannot be a row."""
    if not isinstance(table.index, pd.RangeIndex):  # pandas' view of rows that are all longer than the header
        raise InputError(f"{path}: not a CSV file of a header and rows as long; the rows have a value too many")
    table.index += 2
    blank = table.iloc[:, 0] == ""
    blank[blank] = (table[blank] == "").all(axis=1)
    table = table[~blank]
    for column in table:
        broken = table[column].str.contains("[\r\n]")
        if broken.any():
            raise InputError(f"{path}, line {broken.idxmax()}: the {column} has a line end in it; take it out")
        long = table[column].str.len() > csv.field_size_limit()  # what Python's csv module reads of what we write
        if long.any():
            line, limit = long.idxmax(), csv.field_size_limit()
            raise InputError(f"{path}, line {line}: the {column} is longer than {limit:,} characters; shorten it")
    return table


def text_encoding(path: str | os.PathLike) -> str:
    """Tell the encoding of a text file: UTF-16 where it begins like that, as editors of Windows write it, else UTF-8.

    Arguments
    ---------
    path : str or Path
        The file. A byte-order mark is not part of the text in the encoding returned.

    Returns
    -------
    str
        As ``open`` takes it.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("ID,Label", encoding="utf-16")
    >>> text_encoding(path)
    'utf-16'
    """
    with open(path, "rb") as file:
        start = file.read(4)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if start[:3] == codecs.BOM_UTF8:
        return "utf-8-sig"
    # without a mark: the first character of a table is Latin, so one of its two bytes is zero
    if len(start) > 1 and 0 in start[:2]:
        return "utf-16-le" if start[1] == 0 else "utf-16-be"
    return "utf-8"


def check_protocol(table: pd.DataFrame, name: str | os.PathLike, first_line: int = 2) -> None:
    """Check columns, identifiers, labels and numbers of a protocol.

    Arguments
    ---------
    table : pandas.DataFrame
        The protocol.
    name : str or Path
        What to call it in a message: its file.
    first_line : int
        Line of the file that the first row has; the header is line 1.

    Raises
    ------
    InputError
        At the first fault, with its line.

    Example
    -------
    >>> row = ["a", "genuine", 1.5, 16000, "$ROOT/a.wav", "-", "-", "test", 1, "PCM_S", 16, "EN"]
    >>> check_protocol(pd.DataFrame([row], columns=COLUMNS), "p.csv")
    Traceback (most recent call last):
    antideepfake.errors.InputError: p.csv, line 2: the Label is 'genuine'; it must be real or fake
    """
    for column in table.select_dtypes(exclude="number"):
        if table[column].astype(str).str.contains("[\r\n]").any():
            raise InputError(f"{name}: a {column} has a line end in it; take it out")
    _check(table.set_axis(range(first_line, first_line + len(table))), name)


def _check(table: pd.DataFrame, name: str | os.PathLike, unique: bool = True) -> None:
    """Check a protocol whose index is the line of the file; with ``unique``, that no ID stands twice."""
    _check_columns(table, name)

    def fail(faulty: pd.Series, fault: str) -> None:
        if faulty.any():
            line = faulty.idxmax()
            raise InputError(f"{name}, line {line}: " + fault.format(**table.loc[line].to_dict()))

    fail(table["ID"].astype(str).str.strip() == "", "the ID is empty; give every utterance one")
    if unique:
        fail(table["ID"].duplicated(), "the ID '{ID}' stands a second time; give every utterance an ID of its own")
    fail(~table["Label"].isin(LABELS), "the Label is '{Label}'; it must be real or fake")
    above_0 = {"Duration": "a number of seconds above 0", WEIGHT: "a number above 0"}
    for column in _numbers(table):
        values = pd.to_numeric(table[column], errors="coerce")
        wants = above_0.get(column, "a whole number of 0 or more")
        wrong = ~(values > 0) if column in above_0 else ~((values >= 0) & (values % 1 == 0))
        fail(wrong | (values > 1e12), f"{column} is '{{{column}}}'; it must be {wants}")


def _check_columns(table: pd.DataFrame, name: str | os.PathLike) -> None:
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise InputError(
            f"{name}, line 1: no column {', '.join(missing)}; a protocol has the columns {', '.join(COLUMNS)}"
        )
    if table.empty:
        raise InputError(f"{name}: holds no utterance; add rows below the header")


def split_protocol(table: pd.DataFrame, name: str | os.PathLike) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Divide a protocol by its Proportion.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol with train, valid and test.
    name : str or Path
        Its file, for the message.

    Returns
    -------
    tuple of pandas.DataFrame
        train, valid and test.

    Raises
    ------
    InputError
        When one of them lacks a label.

    Example
    -------
    >>> rows = [(split, label) for split in SPLITS for label in LABELS]
    >>> train, valid, test = split_protocol(pd.DataFrame(rows, columns=["Proportion", "Label"]), "p.csv")
    >>> len(train), set(test["Proportion"])
    (2, {'test'})
    """
    train, valid, test = (table[table["Proportion"] == split] for split in SPLITS)
    for split, rows in zip(SPLITS, (train, valid, test), strict=True):
        for label in LABELS:
            if not (rows["Label"] == label).any():
                raise InputError(
                    f"{name}: no {label} utterance has the Proportion {split}; each of the three needs both"
                )
    return train, valid, test


def write_protocol(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Check and write a protocol; the file appears whole or not at all.

    Arguments
    ---------
    table : pandas.DataFrame
        The protocol; further columns follow the twelve.
    path : str or Path
        Where to: a ``.csv`` file, or an ``.arrow`` file for a protocol of millions of rows.

    Raises
    ------
    InputError
        As :func:`check_protocol`.
    """
    check_protocol(table, path)
    write_chunks([_as_numbers(table) if Path(path).suffix == SUFFIX else table], path)


def write_chunks(parts: Iterable[pd.DataFrame], path: str | os.PathLike) -> None:
    """Write a checked protocol that comes in parts; the file appears whole or not at all.

    Arguments
    ---------
    parts : iterable of pandas.DataFrame
        Rows with the same columns, at least one part; further columns follow the twelve.
    path : str or Path
        As :func:`write_protocol`.
    """
    ordered = (part[[*COLUMNS, *(column for column in part if column not in COLUMNS)]] for part in parts)
    with atomic_path(path) as temporary:
        if temporary.suffix == SUFFIX:
            write_arrow(ordered, temporary)
        else:
            with open(temporary, "w", encoding="utf-8", newline="") as file:
                for number, part in enumerate(ordered):
                    part.to_csv(file, header=number == 0, index=False, lineterminator="\n")


def resolve_path(path: str, data_folder: str | os.PathLike) -> Path:
    """Put the data folder in the place of ``$ROOT``.

    Arguments
    ---------
    path : str
        Path column of a protocol.
    data_folder : str or Path
        What ``$ROOT`` stands for.

    Returns
    -------
    Path
        A path that can be opened.

    Example
    -------
    >>> resolve_path("$ROOT/LJSpeech/wavs/LJ001-0001.wav", "/data").as_posix()
    '/data/LJSpeech/wavs/LJ001-0001.wav'
    """
    if not path.startswith("$ROOT/"):
        return Path(path)
    return Path(data_folder, path.removeprefix("$ROOT").lstrip("/"))


def relative_path(path: str | os.PathLike, data_folder: str | os.PathLike) -> str:
    """Put ``$ROOT`` in the place of the data folder; a path outside of it stays as it is.

    Arguments
    ---------
    path : str or Path
        A file, absolute or relative to the data folder.
    data_folder : str or Path
        What ``$ROOT`` stands for.

    Returns
    -------
    str
        Path column of a protocol.

    Example
    -------
    >>> relative_path("/data/LJSpeech/wavs/LJ001-0001.wav", "/data")
    '$ROOT/LJSpeech/wavs/LJ001-0001.wav'
    """
    root = os.path.join(Path(data_folder).absolute(), "")
    path = os.path.join(root, path)
    if "//" in path or "/./" in path:  # pathlib would mend every path, but is slow
        path = str(Path(path))
    path = f"$ROOT/{path.removeprefix(root)}" if path.startswith(root) else path
    return path.replace(os.sep, "/")


def format_counts(table: pd.DataFrame) -> str:
    """Lay out utterances and hours by split and label for a terminal.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol.

    Returns
    -------
    str
        A line a split.

    Example
    -------
    >>> rows = [("train", "real", 3600.0), ("train", "fake", 1800.0)]
    >>> table = pd.DataFrame(rows, columns=["Proportion", "Label", "Duration"])
    >>> print(format_counts(table))
    split           real               fake
    train             1    1.00 h        1    0.50 h
    """
    return format_totals(count_utterances(table))


def count_utterances(
    table: pd.DataFrame, counts: dict[str, dict[str, list[float]]] | None = None
) -> dict[str, dict[str, list[float]]]:
    """Count utterances and seconds by split and label.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol, or a part of one.
    counts : dict, optional
        Counts of other parts, to which these are added.

    Returns
    -------
    dict
        Split -> label -> [utterances, seconds].

    Example
    -------
    >>> rows = [("train", "real", 2.5), ("train", "real", 1.5)]
    >>> count_utterances(pd.DataFrame(rows, columns=["Proportion", "Label", "Duration"]))
    {'train': {'real': [2, 4.0]}}
    """
    counts = {} if counts is None else counts
    for split, label, seconds in zip(table["Proportion"], table["Label"], table["Duration"], strict=True):
        count = counts.setdefault(split, {}).setdefault(label, [0, 0.0])
        count[0] += 1
        count[1] += seconds
    return counts


def format_totals(counts: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Lay out what :func:`count_utterances` gives for a terminal.

    Arguments
    ---------
    counts : dict
        Split -> label -> [utterances, seconds].

    Returns
    -------
    str
        A line a split.

    Example
    -------
    >>> print(format_totals({"-": {"fake": [3, 1800.0]}}))
    split           real               fake
    -                 0    0.00 h        3    0.50 h
    """
    lines = [f"{'split':<10}{'real':>10}{'':<9}{'fake':>10}"]
    for split in sorted(counts, key=_split_order):
        line = f"{split:<10}"
        for label in reversed(LABELS):
            utterances, seconds = counts[split].get(label, (0, 0.0))
            line += f"{utterances:>9} {seconds / 3600:>7.2f} h"
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)


def _split_order(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)
