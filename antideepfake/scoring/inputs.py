"""From files, folders and protocols to one table of utterances to score."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from antideepfake.corpora.walk import find_audio
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_protocol

PROTOCOLS = (".csv", ".arrow")  # suffixes


def is_protocol(path: str | os.PathLike) -> bool:
    """Tell whether a path has the suffix of a protocol.

    Example
    -------
    >>> is_protocol("data/MiniCorpus.csv"), is_protocol("a.wav")
    (True, False)
    """
    return Path(path).suffix.lower() in PROTOCOLS


def read_split(path: str | os.PathLike, split: str = "") -> pd.DataFrame:
    """Read one split of a protocol, or all of it.

    Arguments
    ---------
    path : str or Path
        The protocol.
    split : str
        A value of Proportion; empty: all.

    Raises
    ------
    InputError
        When the protocol is malformed or has no such split.
    """
    protocol = read_protocol(path)
    if not split:
        return protocol
    if not (protocol["Proportion"] == split).any():
        raise InputError(f"{path}: no utterance of the split '{split}'; see the column Proportion")
    return protocol[protocol["Proportion"] == split]


def find_inputs(inputs: Sequence[str], split: str = "") -> pd.DataFrame:
    """Gather files, folders (searched at any depth) and protocols into one table.

    Arguments
    ---------
    inputs : sequence of str
        Paths.
    split : str
        Split of the protocols among them; empty: all.

    Returns
    -------
    pandas.DataFrame
        At least ID, Label (empty where unknown) and Path.

    Raises
    ------
    InputError
        When an input does not exist, an ID occurs twice or a name holds a line end.

    Example
    -------
    >>> audio = getfixture("tmp_path") / "a.wav"
    >>> audio.touch()
    >>> find_inputs([str(audio)])["Path"].tolist() == [str(audio)]
    True
    """
    if len(inputs) == 1 and is_protocol(inputs[0]):
        return read_split(inputs[0], split)  # checked, and not copied: it may have ten million rows
    tables = []
    for name in inputs:
        if not name:
            raise InputError("an input is an empty text; name a file, a folder or a protocol")
        path = Path(name)
        if is_protocol(path):
            tables.append(read_split(path, split).astype(str))
            continue
        if _is_missing(path):
            raise InputError(f"{path}: no such file or folder")
        names = [file.as_posix() for file in (find_audio(path) if os.path.isdir(path) else [path])]
        rows = {"ID": names, "Label": "", "Path": [os.path.abspath(name) for name in names]}
        tables.append(pd.DataFrame(rows, dtype=object))  # pandas' strings cannot hold a name that is not UTF-8
    table = pd.concat(tables, ignore_index=True).fillna("-")
    if table["ID"].duplicated().any():
        repeated = table.loc[table["ID"].duplicated(), "ID"].iloc[0]
        raise InputError(f"'{repeated}' is given twice; name every file once")
    if (broken := table["ID"].str.contains("[\r\n]")).any():
        raise InputError(f"{table.loc[broken, 'ID'].iloc[0]!r}: a line end in a name; rename the file")
    return table


def _is_missing(path: Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # such as a name that is too long: skipped later, with the reason
        return False
    return False
