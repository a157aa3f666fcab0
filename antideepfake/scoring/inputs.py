"""The inputs to score: files, folders and protocols as one table of utterances."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from antideepfake.corpora.walk import find_audio
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_protocol

PROTOCOLS = (".csv", ".arrow")  # suffixes


def is_protocol(path: str | os.PathLike) -> bool:
    """Return whether a path has the suffix of a protocol.

    Example
    -------
    >>> is_protocol("data/MiniCorpus.csv"), is_protocol("a.wav")
    (True, False)
    """
    return Path(path).suffix.lower() in PROTOCOLS


def read_split(path: str | os.PathLike, split: str = "") -> pd.DataFrame:
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


def find_inputs(inputs: Sequence[str], split: str = "") -> pd.DataFrame:
    """Combine files, folders (searched recursively) and protocols into one table.

    Arguments
    ---------
    inputs : sequence of str
        Paths of files, folders and protocols.
    split : str
        Split of the protocols; empty for all.

    Returns
    -------
    pandas.DataFrame
        Table with at least ID, Label (empty where unknown) and Path.

    Raises
    ------
    InputError
        If an input does not exist, an ID occurs twice or a name contains a line break.

    Example
    -------
    >>> audio = getfixture("tmp_path") / "a.wav"
    >>> audio.touch()
    >>> find_inputs([str(audio)])["Path"].tolist() == [str(audio)]
    True
    """
    if len(inputs) == 1 and is_protocol(inputs[0]):
        return read_split(inputs[0], split)  # already checked; a copy of ten million rows would be slow
    tables = []
    for name in inputs:
        if not name:
            raise InputError("an input is an empty string; pass a file, a folder or a protocol")
        path = Path(name)
        if is_protocol(path):
            tables.append(read_split(path, split).astype(str))
            continue
        if _is_missing(path):
            raise InputError(f"{path}: no such file or folder; check the path")
        names = [file.as_posix() for file in (find_audio(path) if os.path.isdir(path) else [path])]
        rows = {"ID": names, "Label": "", "Path": [os.path.abspath(name) for name in names]}
        tables.append(pd.DataFrame(rows, dtype=object))  # the string type of pandas rejects names that are not UTF-8
    table = pd.concat(tables, ignore_index=True).fillna("-")
    if table["ID"].duplicated().any():
        repeated = table.loc[table["ID"].duplicated(), "ID"].iloc[0]
        raise InputError(f"'{repeated}' is given twice; pass each file once")
    if (broken := table["ID"].str.contains("[\r\n]")).any():
        raise InputError(f"{table.loc[broken, 'ID'].iloc[0]!r}: the name contains a line break; rename the file")
    return table


def _is_missing(path: Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # such as a name that is too long; the file is skipped later with the reason
        return False
    return False
