"""Protocols of tens of millions of rows: Arrow files, of which memory takes only the rows that are looked at.

They are trusted: only :func:`antideepfake.protocol.write_protocol` and the merge write them, after their checks, and
mark them as checked. To read ten million rows again for every process that opens them would take minutes and gigabytes.
"""

import os
from collections.abc import Iterable
from itertools import chain

import pandas as pd
import pyarrow as pa

from antideepfake.errors import InputError

SUFFIX = ".arrow"
MARK = {b"antideepfake": b"checked protocol"}


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


def read_arrow(path: str | os.PathLike) -> pd.DataFrame:
    """Open a protocol that :func:`write_arrow` wrote; nothing of it is read before it is asked for.

    Arguments
    ---------
    path : str or Path
        The file. It must not be written to as long as the table is in use; replacing it does no harm.

    Returns
    -------
    pandas.DataFrame
        Its columns are views of the file.

    Raises
    ------
    InputError
        When the file is missing, damaged, or was not written here.

    Example
    -------
    >>> path = getfixture("tmp_path") / "protocol.arrow"
    >>> rows = pd.DataFrame({"ID": ["a", "b"], "Duration": [1.5, 2.0]})
    >>> write_arrow([rows[:1], rows[1:]], path)
    >>> read_arrow(path).values.tolist()
    [['a', 1.5], ['b', 2.0]]
    """
    return as_frame(map_arrow(path))


def map_arrow(path: str | os.PathLike) -> pa.Table:
    """As :func:`read_arrow`, before pandas has it."""
    try:
        with pa.memory_map(os.fspath(path)) as source, pa.ipc.open_file(source) as file:
            table = file.read_all()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Arrow file ({' '.join(str(error).split())})") from None
    if not set(MARK.items()) <= set((table.schema.metadata or {}).items()):
        raise InputError(f"{path}: not written by tools/merge_protocols.py; give it the protocol as .csv")
    return table


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Give pandas the columns of an Arrow table as they are, without a copy."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)
