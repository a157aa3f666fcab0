"""Read, check and write protocols: tables of utterances with the same columns for every corpus.

A protocol has twelve columns in a fixed order. They are those of the released AntiDeepfake protocols, so that the files
are interchangeable. ``$ROOT`` in the column Path stands for the data folder.
"""

import codecs
import csv
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.protocol.arrow import SUFFIX, read_arrow, write_arrow

if TYPE_CHECKING:
    import pandas as pd

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
LABELS = ("fake", "real")  # the index of a label is its class index: 0 = fake, 1 = real
SPLITS = ("train", "valid", "test")
NUMBERS = {"Duration": "float64", "SampleRate": "int64", "AudioChannel": "int64", "AudioBitSample": "int64"}
WEIGHT = "Weight"  # optional column: how often training samples an utterance, relative to the others
CHUNK_ROWS = 200_000  # rows of a large protocol that are in memory at a time
BLOCK_BYTES = 1 << 24  # of a CSV file that are parsed at once


def read_protocol(path: str | os.PathLike) -> "pd.DataFrame":
    """Read and check a protocol.

    Arguments
    ---------
    path : str or Path
        A CSV file with at least the columns of ``COLUMNS``, in any order, or an ``.arrow`` file that
        :func:`write_protocol` or the merge wrote. A separate process checks an ``.arrow`` file; its rows are read when
        they are accessed.

    Returns
    -------
    pandas.DataFrame
        One row per utterance, in the order of the file. Duration is in seconds, SampleRate in Hz. Weight, if present,
        is a factor. All other columns are strings, ``-`` if unknown.

    Raises
    ------
    InputError
        When the file is missing or empty, lacks a column, repeats an ID, or contains an unknown label or a malformed
        number. The message names the line.

    Example
    -------
    >>> import pandas as pd
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


def _read_arrow(path: str | os.PathLike) -> "pd.DataFrame":
    table = read_arrow(path, LABELS, [*NUMBERS, WEIGHT])
    _check_columns(table, path)
    return table


def iterate_protocol(path: str | os.PathLike) -> "Iterator[pd.DataFrame]":
    """Read and check a protocol of any length in chunks.

    Arguments
    ---------
    path : str or Path
        A protocol, see :func:`read_protocol`.

    Yields
    ------
    pandas.DataFrame
        At most ``CHUNK_ROWS`` rows, in the form of :func:`read_protocol`. Duplicate IDs are not detected.

    Raises
    ------
    InputError
        In the cases of :func:`read_protocol`, except for duplicate IDs.
    """
    if Path(path).suffix == SUFFIX:
        table = _read_arrow(path)
        yield from (table.iloc[start : start + CHUNK_ROWS] for start in range(0, len(table), CHUNK_ROWS))
        return
    number = 0
    for number, lines in enumerate(iterate_lines(path), 1):
        if number == 1 or len(lines):  # a later chunk may consist of blank lines
            _check(lines, path, unique=False)
            yield _as_numbers(lines.reset_index(drop=True))


def _as_numbers(table: "pd.DataFrame") -> "pd.DataFrame":
    """Convert the numeric columns of a checked table from text to numbers."""
    # Convert through float: it is exact to the last digit, and accepts 16000.0 for an integer.
    return table.assign(**{name: _parse_numbers(table[name]).astype(kind) for name, kind in _numbers(table).items()})


def _parse_numbers(column: "pd.Series") -> "pd.Series":
    """Convert text to numbers, NaN where this is not possible; correctly rounded."""
    import pandas as pd
    import pyarrow as pa

    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    try:
        return pd.Series(pa.array(column, pa.large_string()).cast(pa.float64()).to_numpy(False), column.index)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # spaces, not numbers, or not text
        numbers = pd.to_numeric(column, errors="coerce")
        is_number = numbers.notna()
        return numbers.astype(float).mask(is_number, column[is_number].map(float))


def _numbers(table: "pd.DataFrame") -> dict[str, str]:
    return NUMBERS | ({WEIGHT: "float64"} if WEIGHT in table else {})


def read_lines(path: str | os.PathLike) -> "pd.DataFrame":
    """Read a CSV file as text.

    Arguments
    ---------
    path : str or Path
        A UTF-8 or UTF-16 file with a header line, with or without a byte-order mark.

    Returns
    -------
    pandas.DataFrame
        Strings, indexed by the line number in the file. Blank lines are omitted.

    Raises
    ------
    InputError
        When the file is missing or empty, a row has too many values, or a value is too long or contains a line break.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("ID,Label\\na,real\\n\\nb,fake\\n")
    >>> read_lines(path).index.tolist()
    [2, 4]
    """
    import pandas as pd  # slow to import, and one recording is scored without

    return pd.concat(iterate_lines(path))


def iterate_lines(path: str | os.PathLike) -> "Iterator[pd.DataFrame]":
    """Read a CSV file as :func:`read_lines` does, but in chunks; the first chunk may be empty."""
    rest = yield from _iterate_with_arrow(path)
    if rest is not None:
        for lines in _iterate_with_pandas(path):
            yield lines[lines.index > rest]


def _iterate_with_arrow(path: str | os.PathLike) -> "Generator[pd.DataFrame, None, int | None]":
    """Read a CSV file several times as fast as pandas does, up to the first peculiarity.

    Returns
    -------
    int or None
        The number of the last line that was read; None if it was the last of the file.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    line = 1
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header = next(csv.reader(file), [])
        with open(path, "rb") as file:
            quotes = sum(part.count(b'"') for part in iter(partial(file.read, 1 << 20), b""))
        if quotes % 2 or len(set(header)) < max(len(header), 2) or "" in header or header[0].startswith("\ufeff"):
            return line
        reader = pa_csv.open_csv(
            path,
            pa_csv.ReadOptions(block_size=BLOCK_BYTES),
            pa_csv.ParseOptions(ignore_empty_lines=False),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.large_string()), strings_can_be_null=False),
        )
        if reader.schema.names != header:
            return line
        text = pd.StringDtype(na_value=np.nan)  # as pandas reads it
        for batch in reader:
            lines = batch.to_pandas(types_mapper={pa.large_string(): text}.get)
            if quotes and any(lines[column].str.contains('"', regex=False).any() for column in lines):
                return line  # with a quote inside a value, or one that is not closed, pandas and Arrow differ
            lines.index += line - 1
            line += len(lines)
            checked = _check_lines(lines, path)
            yield from (checked[start : start + CHUNK_ROWS] for start in range(0, max(len(checked), 1), CHUNK_ROWS))
    except InputError:
        raise
    except (OSError, ValueError, csv.Error):  # pyarrow's error is a ValueError; pandas says what is wrong
        return line
    return None if line > 1 else line


def _iterate_with_pandas(path: str | os.PathLike) -> "Iterator[pd.DataFrame]":
    """Read any CSV file as :func:`read_lines` does, but in chunks; the first chunk may be empty."""
    import pandas as pd

    try:
        with pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            chunksize=CHUNK_ROWS,
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
            f"{path}: not a CSV file whose rows have as many values as its header; {' '.join(str(error).split())}"
        ) from None


def _check_lines(table: "pd.DataFrame", path: str | os.PathLike) -> "pd.DataFrame":
    """Number the lines as an editor does, remove blank lines, and reject invalid rows."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(table.index, pd.RangeIndex):  # pandas makes an index if all rows are longer than the header
        raise InputError(f"{path}: not a CSV file whose rows have as many values as its header; they have one too many")
    table.index += 2
    blank = table.iloc[:, 0] == ""
    blank[blank] = (table[blank] == "").all(axis=1)
    table = table[~blank]
    limit = csv.field_size_limit()  # Python's csv module could not read longer values
    for column in table:
        values = pa.array(table[column], pa.large_string())
        broken = pc.or_(pc.match_substring(values, "\n"), pc.match_substring(values, "\r")).to_numpy(False)
        if broken.any():
            line = table.index[broken.argmax()]
            raise InputError(f"{path}:{line}: the {column} contains a line break; remove it")
        if len(values) and pc.max(pc.binary_length(values)).as_py() > limit:
            long = pc.greater(pc.utf8_length(values), limit).to_numpy(False)
            if long.any():
                line = table.index[long.argmax()]
                raise InputError(f"{path}:{line}: the {column} is longer than {limit:,} characters; shorten it")
    return table


def text_encoding(path: str | os.PathLike) -> str:
    """Detect the encoding of a text file: UTF-16, which Windows editors may write, or UTF-8.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    str
        Name of the encoding for ``open``. Decoding with it removes a byte-order mark.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("ID,Label", encoding="utf-16")
    >>> text_encoding(path)
    'utf-16'
    """
    with open(path, "rb") as file:
        start = file.read(3)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if start == codecs.BOM_UTF8:
        return "utf-8-sig"
    # Without a mark: the first character of a table is Latin, so one of its two bytes is zero in UTF-16.
    if len(start) > 1 and 0 in start[:2]:
        return "utf-16-le" if start[1] == 0 else "utf-16-be"
    return "utf-8"


def check_protocol(table: "pd.DataFrame", name: str | os.PathLike, first_line: int = 2) -> None:
    """Check columns, identifiers, labels and numbers of a protocol.

    Arguments
    ---------
    table : pandas.DataFrame
        The protocol.
    name : str or Path
        File of the protocol, for error messages.
    first_line : int
        Line number of the first row in the file; the header is line 1.

    Raises
    ------
    InputError
        When the table has a fault. The message names the line of the first one.

    Example
    -------
    >>> import pandas as pd
    >>> row = ["a", "genuine", 1.5, 16000, "$ROOT/a.wav", "-", "-", "test", 1, "PCM_S", 16, "EN"]
    >>> check_protocol(pd.DataFrame([row], columns=COLUMNS), "p.csv")
    Traceback (most recent call last):
    antideepfake.errors.InputError: p.csv:2: label 'genuine' is unknown; use 'real' or 'fake'
    """
    for column in table.select_dtypes(exclude="number"):
        if table[column].astype(str).str.contains("[\r\n]").any():
            raise InputError(f"{name}: a value of {column} contains a line break; remove it")
    _check(table.set_axis(range(first_line, first_line + len(table))), name)


def _check(table: "pd.DataFrame", name: str | os.PathLike, unique: bool = True) -> None:
    """Check a protocol indexed by line number; with ``unique``, also check for duplicate IDs."""

    _check_columns(table, name)

    def fail(faulty: "pd.Series", fault: str) -> None:
        if faulty.any():
            line = faulty.idxmax()
            raise InputError(f"{name}:{line}: " + fault.format(**table.loc[line].to_dict()))

    fail(table["ID"].astype(str).str.strip() == "", "the ID is empty; give every utterance an ID")
    if unique:
        fail(table["ID"].duplicated(), "the ID '{ID}' is a duplicate; give every utterance a unique ID")
    fail(~table["Label"].isin(LABELS), "label '{Label}' is unknown; use 'real' or 'fake'")
    above_0 = {"Duration": "a number of seconds above 0", WEIGHT: "a number above 0"}
    for column in _numbers(table):
        values = _parse_numbers(table[column])
        expected = above_0.get(column, "a whole number of 0 or more")
        wrong = ~(values > 0) if column in above_0 else ~((values >= 0) & (values % 1 == 0))
        fail(wrong | (values > 1e12), f"{column} is '{{{column}}}'; it must be {expected}")


def find_repeated(identifiers: "pd.Series") -> NDArray[np.bool_]:
    """Find the rows that repeat the identifier of an earlier row.

    As ``pandas.Series.duplicated``, but with less memory: it compares hashes, and texts only where hashes are equal.

    Arguments
    ---------
    identifiers : pandas.Series
        Strings.

    Returns
    -------
    array of bool
        Shape [rows].

    Example
    -------
    >>> import pandas as pd
    >>> find_repeated(pd.Series(["a", "b", "a", "a"])).tolist()
    [False, False, True, True]
    """
    starts = range(0, max(len(identifiers), 1), CHUNK_ROWS)
    hashes = np.concatenate([hash_identifiers(identifiers.iloc[start : start + CHUNK_ROWS]) for start in starts])
    ascending = np.sort(hashes)
    suspects = np.isin(hashes, ascending[1:][ascending[1:] == ascending[:-1]])
    suspects[suspects] = identifiers[suspects].duplicated()
    return suspects


def hash_identifiers(identifiers: "pd.Series") -> NDArray[np.uint64]:
    """Hash identifiers, 64 bits each; the same in every process and on every machine.

    Example
    -------
    >>> import pandas as pd
    >>> hash_identifiers(pd.Series(["a"])).tolist()
    [13950350942979735504]
    """
    import pandas as pd

    # They are distinct: pandas would first look for equal ones, which takes five times as long.
    return pd.util.hash_array(identifiers.to_numpy(object), categorize=False)


def _check_columns(table: "pd.DataFrame", name: str | os.PathLike) -> None:
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise InputError(f"{name}:1: no column {', '.join(missing)}; a protocol has the columns {', '.join(COLUMNS)}")
    if table.empty:
        raise InputError(f"{name}: contains no utterances; add rows below the header")


def read_split(path: str | os.PathLike, split: str = "") -> "pd.DataFrame":
    """Read one split of a protocol, or all splits.

    Arguments
    ---------
    path : str or Path
        The protocol.
    split : str
        Value of the column Proportion; empty for all.

    Raises
    ------
    InputError
        If the protocol is malformed or has no such split.
    """
    protocol = read_protocol(path)
    if not split:
        return protocol
    if not (protocol["Proportion"] == split).any():
        raise InputError(f"{path}: no utterance has the split '{split}'; choose one from the column Proportion")
    return protocol[protocol["Proportion"] == split]


def split_protocol(table: "pd.DataFrame", name: str | os.PathLike) -> "tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]":
    """Split a protocol by its column Proportion.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol with the splits train, valid and test.
    name : str or Path
        File of the protocol, for error messages.

    Returns
    -------
    tuple of pandas.DataFrame
        The rows of train, valid and test.

    Raises
    ------
    InputError
        When a split lacks a label.

    Example
    -------
    >>> import pandas as pd
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
                    f"{name}: no {label} utterance has the Proportion {split}; "
                    "train, valid and test need utterances of both labels"
                )
    return train, valid, test


def write_protocol(table: "pd.DataFrame", path: str | os.PathLike) -> None:
    """Check a protocol and write it. The file is written completely or not at all.

    Arguments
    ---------
    table : pandas.DataFrame
        The protocol. Additional columns are written after the twelve of ``COLUMNS``.
    path : str or Path
        File to write: ``.csv``, or ``.arrow`` for a protocol of millions of rows.

    Raises
    ------
    InputError
        When the table has a fault, see :func:`check_protocol`.
    """
    check_protocol(table, path)
    write_chunks([_as_numbers(table) if Path(path).suffix == SUFFIX else table], path)


def write_chunks(chunks: "Iterable[pd.DataFrame]", path: str | os.PathLike) -> None:
    """Write the chunks of a checked protocol. The file is written completely or not at all.

    Arguments
    ---------
    chunks : iterable of pandas.DataFrame
        At least one chunk of rows, all with the same columns. Additional columns are written after the twelve.
    path : str or Path
        File to write, see :func:`write_protocol`.
    """
    ordered = (chunk[[*COLUMNS, *(column for column in chunk if column not in COLUMNS)]] for chunk in chunks)
    with atomic_path(path) as temporary:
        if temporary.suffix == SUFFIX:
            write_arrow(ordered, temporary)
        else:
            with open(temporary, "w", encoding="utf-8", newline="") as file:
                for number, chunk in enumerate(ordered):
                    chunk.to_csv(file, header=number == 0, index=False, lineterminator="\n")


def resolve_path(path: str, data_folder: str | os.PathLike) -> Path:
    """Replace ``$ROOT`` in a path by the data folder.

    Arguments
    ---------
    path : str
        Path of an utterance, as in a protocol.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.

    Returns
    -------
    Path
        Path of the file.

    Example
    -------
    >>> resolve_path("$ROOT/LJSpeech/wavs/LJ001-0001.wav", "/data").as_posix()
    '/data/LJSpeech/wavs/LJ001-0001.wav'
    """
    if not path.startswith("$ROOT/"):
        return Path(path)
    return Path(data_folder, path.removeprefix("$ROOT").lstrip("/"))


def relative_path(path: str | os.PathLike, data_folder: str | os.PathLike) -> str:
    """Replace the data folder in a path by ``$ROOT``; leave a path outside the data folder unchanged.

    Arguments
    ---------
    path : str or Path
        A file, absolute or relative to the data folder.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.

    Returns
    -------
    str
        Path of an utterance, as in a protocol.

    Example
    -------
    >>> relative_path("/data/LJSpeech/wavs/LJ001-0001.wav", "/data")
    '$ROOT/LJSpeech/wavs/LJ001-0001.wav'
    """
    root = os.path.join(Path(data_folder).absolute(), "")
    path = os.path.join(root, path)
    if "//" in path or "/./" in path:  # pathlib is slow, so only paths that need it are cleaned up
        path = str(Path(path))
    path = f"$ROOT/{path.removeprefix(root)}" if path.startswith(root) else path
    return path.replace(os.sep, "/")


def format_counts(table: "pd.DataFrame") -> str:
    """Format the number of utterances and hours by split and label as a table for a terminal.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol.

    Returns
    -------
    str
        A header and one line per split.

    Example
    -------
    >>> import pandas as pd
    >>> rows = [("train", "real", 3600.0), ("train", "fake", 1800.0)]
    >>> table = pd.DataFrame(rows, columns=["Proportion", "Label", "Duration"])
    >>> print(format_counts(table))
    split           real               fake
    train             1    1.00 h        1    0.50 h
    """
    return format_totals(count_utterances(table))


def count_utterances(
    table: "pd.DataFrame", counts: dict[str, dict[str, list[float]]] | None = None
) -> dict[str, dict[str, list[float]]]:
    """Count utterances and seconds by split and label.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol, or a chunk of one.
    counts : dict, optional
        Counts of earlier chunks; the counts of this one are added to them.

    Returns
    -------
    dict
        Split -> label -> [utterances, seconds].

    Example
    -------
    >>> import pandas as pd
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
    """Format the result of :func:`count_utterances` as a table for a terminal.

    Arguments
    ---------
    counts : dict
        Split -> label -> [utterances, seconds].

    Returns
    -------
    str
        A header and one line per split.

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
