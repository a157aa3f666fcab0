"""Check the Arrow file of a protocol.

This is a separate program, because a damaged file can kill the process that maps it. It imports nothing from this
project, so that it starts quickly. Its command-line arguments are the file, the valid labels and the numeric columns;
commas separate the labels and the columns. If something is wrong, it prints the fault and exits with status 1.
"""

import sys

import pyarrow as pa
import pyarrow.compute as pc

MARK = {b"antideepfake": b"checked protocol"}
TYPES = (pa.large_string(), pa.float64(), pa.int64())


def find_fault(path: str, labels: list[str], numbers: list[str]) -> str:
    """Return a description of the first fault in a file; an empty string if there is none.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.arrow"
    >>> _ = path.write_bytes(b"ARROW1")
    >>> find_fault(str(path), ["real", "fake"], ["Duration"])[:20]
    ': not a complete Arr'
    """
    try:
        with pa.memory_map(path) as source, pa.ipc.open_file(source) as file:
            table = file.read_all()
        table.validate(full=True)
    except Exception as error:  # pyarrow raises a dozen types
        return f": not a complete Arrow file ({' '.join(str(error).split())[:200]}); write it again from its .csv"
    if not set(MARK.items()) <= set((table.schema.metadata or {}).items()):
        return ": not written by antideepfake merge; pass the protocol as .csv"
    if len(set(table.column_names)) < len(table.column_names):
        return ": two columns have the same name; write it again from its .csv"
    for name, column in zip(table.column_names, table.columns, strict=True):
        number = name in numbers
        if column.type not in TYPES or number != (column.type != pa.large_string()):
            text = " ".join(name[:80].split())
            return f": the column {text} must contain {'numbers' if number else 'text'}; write it again from its .csv"
        wrong = pc.is_null(column)
        if name == "Label":
            wrong = pc.invert(pc.is_in(column, pa.array(labels, column.type)))
        elif number:
            least = 0 if pa.types.is_integer(column.type) else 5e-324  # the smallest number above 0
            right = pc.and_(pc.greater_equal(column, least), pc.less_equal(column, 1e12))
            wrong = pc.invert(pc.fill_null(right, False))
        row = pc.index(wrong, True).as_py()
        if row >= 0:
            value = " ".join(str(column[row].as_py())[:80].split())
            return f", row {row + 1}: the {name} '{value}' is invalid; write the file again from its .csv"
    return ""


if __name__ == "__main__":
    fault = find_fault(sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(","))
    print(fault)
    sys.exit(1 if fault else 0)
