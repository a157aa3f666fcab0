"""Read and write Arrow files: protocols of tens of millions of rows, loaded into memory only where they are accessed.

A damaged Arrow file can kill the process that maps it, by a signal instead of an error. Therefore a separate process
first checks the structure, types, labels and numbers of each file. It does not check for duplicate IDs.
:func:`antideepfake.protocol.write_protocol` and the merge check them and mark the files that they write.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SUFFIX = ".arrow"
CHECK = Path(__file__).with_name("arrow_check.py")


def write_arrow(chunks: "Iterable[pd.DataFrame]", path: str | os.PathLike) -> None:
    """Write the chunks of a checked protocol to an Arrow file.

    Arguments
    ---------
    chunks : iterable of pandas.DataFrame
        At least one chunk of rows, all with the same columns. One chunk is in memory at a time.
    path : str or Path
        File to write.
    """
    import pyarrow as pa  # slow to import, and one recording is scored without

    from antideepfake.protocol.arrow_check import MARK

    chunks = iter(chunks)
    first = next(chunks)
    numbers = {"f": pa.float64(), "i": pa.int64()}
    kinds = [(name, numbers.get(kind.kind, pa.large_string())) for name, kind in first.dtypes.items()]
    schema = pa.schema(kinds, metadata=MARK)
    with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for chunk in chain([first], chunks):
            columns = [pa.array(chunk[field.name]).cast(field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema).combine_chunks())


def read_arrow(path: str | os.PathLike, labels: Iterable[str] = (), numbers: Iterable[str] = ()) -> "pd.DataFrame":
    """Open a protocol that :func:`write_arrow` wrote. Rows are read from the file when they are accessed.

    Arguments
    ---------
    path : str or Path
        The file. Do not write to it while the table is in use; replacing it is safe.
    labels : iterable of str
        Valid values of the column Label.
    numbers : iterable of str
        Columns of non-negative numbers; all other columns must contain text.

    Returns
    -------
    pandas.DataFrame
        A table whose columns are views of the file.

    Raises
    ------
    InputError
        When the file is missing, damaged, not written by this library, or contains an invalid label or number.

    Example
    -------
    >>> import pandas as pd
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
    # Import from the same paths as this process, but not from the folder of the script (Python 3.11 and later).
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    if done.returncode:
        fault = done.stdout.removesuffix("\n")
        raise InputError(f"{path}{fault or ': damaged Arrow file; write it again from its .csv'}")
    return as_frame(map_arrow(path))


def map_arrow(path: str | os.PathLike) -> "pa.Table":
    """Open a file that this process has just written, without checking it."""
    import pyarrow as pa

    with pa.memory_map(os.fspath(path)) as source, pa.ipc.open_file(source) as file:
        return file.read_all()


def as_frame(table: "pa.Table") -> "pd.DataFrame":
    """Convert an Arrow table to a pandas table without copying its columns."""
    import pandas as pd

    return table.to_pandas(types_mapper=pd.ArrowDtype)
