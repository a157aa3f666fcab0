"""The inputs to score: files, folders and protocols as one table of utterances."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.content import find_file
from antideepfake.corpora.walk import find_audio
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_split, resolve_path

if TYPE_CHECKING:
    import pandas as pd

PROTOCOLS = (".csv", ".arrow")  # suffixes


def is_protocol(path: str | os.PathLike) -> bool:
    """Return whether a path has the suffix of a protocol.

    Example
    -------
    >>> is_protocol("data/MiniCorpus.csv"), is_protocol("a.wav")
    (True, False)
    """
    return Path(path).suffix.lower() in PROTOCOLS


def find_inputs(inputs: Sequence[str], split: str = "") -> "pd.DataFrame":
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
    import pandas as pd  # slow to import, and one recording is scored without

    if len(inputs) == 1 and is_protocol(inputs[0]):
        return read_split(inputs[0], split)  # already checked; a copy of ten million rows would be slow
    tables = []
    for name in inputs:
        if is_protocol(name):
            tables.append(read_split(name, split).astype(str))
            continue
        names = list_files(name)
        rows = {"ID": names, "Label": "", "Path": [os.path.abspath(name) for name in names]}
        tables.append(pd.DataFrame(rows, dtype=object))  # the string type of pandas rejects names that are not UTF-8
    table = pd.concat(tables, ignore_index=True).fillna("-")
    if table["ID"].duplicated().any():
        repeated = table.loc[table["ID"].duplicated(), "ID"].iloc[0]
        raise InputError(f"'{repeated}' is given twice; pass each file once")
    return table


def list_files(name: str) -> list[str]:
    """List a file, or the audio files of a folder, searched recursively.

    Raises
    ------
    InputError
        If the file or folder does not exist, or a name contains a line break.

    Example
    -------
    >>> audio = getfixture("tmp_path") / "a.wav"
    >>> audio.touch()
    >>> list_files(str(audio)) == [str(audio)]
    True
    """
    if not name:
        raise InputError("an input is an empty string; pass a file, a folder or a protocol")
    path = Path(name)
    if _is_missing(path):
        raise InputError(f"{path}: no such file or folder; check the path")
    names = [file.as_posix() for file in (find_audio(path) if os.path.isdir(path) else [path])]
    if broken := next((name for name in names if "\r" in name or "\n" in name), ""):
        raise InputError(f"{broken!r}: the name contains a line break; rename the file")
    return names


def choose_channels(
    table: "pd.DataFrame", channels: str, data_folder: str | os.PathLike, stream: int = 0
) -> "tuple[pd.DataFrame, list[int | None] | None]":
    """Choose which channel of each recording to score.

    Arguments
    ---------
    table : pandas.DataFrame
        Table with at least ID and Path.
    channels : str
        ``mean``: the average of all; ``left`` or ``right``: the first or the second; ``each``: every channel by itself.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.
    stream : int
        The audio stream of files that have several.

    Returns
    -------
    table : pandas.DataFrame
        With ``each``, a row for each channel, whose ID ends with ``#1``, ``#2`` and so on. A recording with one channel
        keeps its ID, and so does one that cannot be read.
    channels : list of int or None
        The channel of each row, from 0; None for the average.

    Example
    -------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"ID": ["call"], "Label": [""], "Path": ["call.wav"]})
    >>> choose_channels(table, "right", ".")[1]
    [1]
    """
    if channels == "mean":
        return table, None
    if channels != "each":
        return table, [0 if channels == "left" else 1] * len(table)
    counts = [count_channels(str(resolve_path(path, data_folder)), stream) for path in table["Path"]]
    rows = [row for row, count in enumerate(counts) for _ in range(count)]
    chosen = [channel for count in counts for channel in range(count)]
    table = table.iloc[rows].reset_index(drop=True)
    names = [
        name if counts[row] == 1 else f"{name}#{channel + 1}"
        for name, row, channel in zip(table["ID"], rows, chosen, strict=True)
    ]
    return table.assign(ID=names), list(chosen)


def count_channels(path: str, stream: int = 0) -> int:
    """Count the channels of a file; 1 if it cannot be read, which is reported when it is scored."""
    try:
        with open_audio(path, stream) as file:
            return file.channels
    except InputError:
        return 1


def _is_missing(path: Path) -> bool:
    try:
        os.lstat(find_file(path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # such as a name that is too long; the file is skipped later with the reason
        return False
    return False
