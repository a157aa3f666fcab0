"""Check an Arrow file of a protocol: a program of its own, since a damaged file can end the process that maps it.

It imports nothing of this project, so that it starts at once. On the command line it takes the file, the labels that
there may be, and the columns of numbers; the latter two with commas. It prints what is wrong and leaves with status 1.
"""

import sys

import pyarrow as pa
import pyarrow.compute as pc

MARK = {b"antideepfake": b"checked protocol"}
TYPES = (pa.large_string(), pa.float64(), pa.int64())


def find_fault(path: str, labels: list[str], numbers: list[str]) -> str:
    """Say what is wrong with a file; nothing where nothing is.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.arrow"
    >>> _ = path.write_bytes(b"ARROW1")
    >>> find_fault(str(path), ["real", "fake"], ["Duration"])[:20]
    ': not a whole Arrow '
    """
    try:
        with pa.memory_map(path) as source, pa.ipc.open_file(source) as file:
            table = file.read_all()
        table.validate(full=True)
    except Exception as error:  # pyarrow raises a dozen kinds
        return f": not a whole Arrow file ({' '.join(str(error).split())[:200]})"
    if not set(MARK.items()) <= set((table.schema.metadata or {}).items()):
        return ": not written by antideepfake merge; give it the protocol as .csv"
    if len(set(table.column_names)) < len(table.column_names):
        return ": has two columns of one name; write it again from its .csv"
    for name, column in zip(table.column_names, table.columns, strict=True):
        number = name in numbers
        if column.type not in TYPES or number != (column.type != pa.large_string()):
            text = " ".join(name[:80].split())
            return f": the column {text} holds no {'numbers' if number else 'text'}; write it again from its .csv"
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
            return f", row {row + 1}: the {name} is '{value}', which cannot be; write it again from its .csv"
    return ""


if __name__ == "__main__":
    fault = find_fault(sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(","))
    print(fault)
    sys.exit(1 if fault else 0)
