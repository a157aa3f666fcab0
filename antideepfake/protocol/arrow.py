"""Protocols of tens of millions of rows: Arrow files, of which memory takes only the rows that are looked at.

A damaged Arrow file can end the process that maps it, by a signal and without an error. So a process of its own checks
each file first: structure, types, labels and numbers. Whether an ID repeats
is not checked: :func:`antideepfake.protocol.write_protocol` and the merge, which check it, mark the files as theirs.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa

from antideepfake.errors import InputError
from antideepfake.protocol.arrow_check import MARK

SUFFIX = ".arrow"
CHECK = Path(__file__).with_name("arrow_check.py")


def write_arrow(parts: Iterable[pd.DataFrame], path: str | os.PathLike) -> None:
    """Write a checked protocol that comes in parts.

    Arguments
    ---------
    parts : iterable of pandas.DataFrame
        Rows with the same columns, at least one part. A part is what is held in memory.
    path : str or Path
        Where to.
    """
    parts = iter(parts)
    first = next(parts)
    numbers = {"f": pa.float64(), "i": pa.int64()}
    kinds = [(name, numbers.get(kind.kind, pa.large_string())) for name, kind in first.dtypes.items()]
    schema = pa.schema(kinds, metadata=MARK)
    with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for part in chain([first], parts):
            columns = [pa.array(part[field.name]).cast(field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema).combine_chunks())


def read_arrow(path: str | os.PathLike, labels: Iterable[str] = (), numbers: Iterable[str] = ()) -> pd.DataFrame:
    """Open a protocol that :func:`write_arrow` wrote; nothing of it is read before it is asked for.

    Arguments
    ---------
    path : str or Path
        The file. It must not be written to as long as the table is in use; replacing it does no harm.
    labels : iterable of str
        What the column Label may hold.
    numbers : iterable of str
        Columns of numbers of 0 or more; all others must be text.

    Returns
    -------
    pandas.DataFrame
        Its columns are views of the file.

    Raises
    ------
    InputError
        When the file is missing, damaged, was not written here, or holds a label or number that cannot be.

    Example
    -------
    >>> path = getfixture("tmp_path") / "protocol.arrow"
    >>> rows = pd.DataFrame({"ID": ["a", "b"], "Duration": [1.5, 2.0]})
    >>> write_arrow([rows[:1], rows[1:]], path)
    >>> read_arrow(path, numbers=["Duration"]).values.tolist()
    [['a', 1.5], ['b', 2.0]]
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file; check the path")
    command = [sys.executable, os.fspath(CHECK), path, ",".join(labels), ",".join(numbers)]
    # from where this process imports, but not the program's own folder (Python 3.11 and later)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    if done.returncode:
        fault = done.stdout.removesuffix("\n")
        raise InputError(f"{path}{fault or ': a damaged Arrow file; write it again from its .csv'}")
    return as_frame(map_arrow(path))


def map_arrow(path: str | os.PathLike) -> pa.Table:
    """Open a file without a check: one that this process has just written."""
    with pa.memory_map(os.fspath(path)) as source, pa.ipc.open_file(source) as file:
        return file.read_all()


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Give pandas the columns of an Arrow table as they are, without a copy."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)
