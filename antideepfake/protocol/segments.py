"""Segments of partially spoofed utterances: a table beside a protocol that says where an utterance is fake.

The segments of ``corpus.csv`` are in ``corpus.segments.csv``, with the columns ID, Start, End and Label. Start and End
are seconds, Label is ``real`` or ``fake``. One rule gives every moment a label: an utterance without rows has the label
of the protocol throughout; in an utterance with rows, time that no segment covers is real. Real segments may be
listed, but need not be. Rows are in the order of the protocol, and the segments of an utterance in order of time; they
do not overlap.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.protocol.table import LABELS, read_lines

if TYPE_CHECKING:
    import pandas as pd

SEGMENT_COLUMNS = ("ID", "Start", "End", "Label")
TOLERANCE = 1e-3  # seconds by which a segment may exceed the duration; both may be rounded to milliseconds
SHORTEST = 1e-6  # seconds, or part of a frame: what is shorter results from the rounding of times

Spans = NDArray[np.float64]
"""Start and end of each fake span of an utterance in seconds, in order of time; shape [spans, 2]."""


def segments_path(protocol: str | os.PathLike) -> Path:
    """Return the path of the segments of a protocol.

    Example
    -------
    >>> segments_path("data/corpus.csv").as_posix()
    'data/corpus.segments.csv'
    """
    return Path(protocol).with_suffix(".segments.csv")


def read_segments(path: str | os.PathLike, protocol: "pd.DataFrame") -> dict[str, Spans]:
    """Read and check segments, and return where every utterance of the protocol is fake.

    Arguments
    ---------
    path : str or Path
        A CSV file with the columns of ``SEGMENT_COLUMNS``, see :func:`segments_path`.
    protocol : pandas.DataFrame
        The whole protocol; its columns ID, Label and Duration are used.

    Returns
    -------
    dict of str to array
        ID -> fake spans, shape [spans, 2], for every utterance in the order of the protocol. Adjacent segments are one
        span. A real utterance has no span, and a fake one without segments has one from 0 to its duration.

    Raises
    ------
    InputError
        When the file is missing or a row has a fault, see :func:`check_segments`. The message names the line.

    Example
    -------
    >>> import pandas as pd
    >>> path = getfixture("tmp_path") / "p.segments.csv"
    >>> protocol = pd.DataFrame({"ID": ["a", "b"], "Label": ["fake", "real"], "Duration": [3.0, 2.0]})
    >>> _ = path.write_text("ID,Start,End,Label\\na,0,1,real\\na,1,1.5,fake\\na,1.5,2,fake\\n")
    >>> {name: spans.tolist() for name, spans in read_segments(path, protocol).items()}
    {'a': [[1.0, 2.0]], 'b': []}
    """
    labeled = zip(protocol["ID"], protocol["Label"], protocol["Duration"], strict=True)
    whole = {
        name: np.array([(0.0, seconds)] if label == "fake" else [], np.float64).reshape(-1, 2)
        for name, label, seconds in labeled
    }
    return whole | read_listed_segments(path, protocol)


def read_listed_segments(path: str | os.PathLike, protocol: "pd.DataFrame") -> dict[str, Spans]:
    """Read and check segments, and return where the utterances with a fake segment are fake.

    As :func:`read_segments`, but without the utterances that have one label throughout: of a protocol with millions of
    utterances, they may be most.

    Example
    -------
    >>> path = getfixture("tmp_path") / "p.segments.csv"
    >>> import pandas as pd
    >>> protocol = pd.DataFrame({"ID": ["a", "b"], "Label": ["fake", "real"], "Duration": [3.0, 2.0]})
    >>> _ = path.write_text("ID,Start,End,Label\\na,1,1.5,fake\\n")
    >>> {name: spans.tolist() for name, spans in read_listed_segments(path, protocol).items()}
    {'a': [[1.0, 1.5]]}
    """
    table = read_lines(path)
    if "ID" in table:
        protocol = protocol[protocol["ID"].isin(table["ID"].unique())]  # so that no table of all IDs is in memory
    check_segments(table, path, protocol)
    spans = {}
    durations = dict(zip(protocol["ID"], protocol["Duration"], strict=True))
    fake = table[table["Label"] == "fake"]
    for name, group in fake.groupby("ID", sort=False):
        ends = group["End"].map(float).clip(upper=durations[name])
        spans[str(name)] = merge_spans(np.stack([group["Start"].map(float), ends], 1))
    return spans


def crop_spans(spans: Spans, start: float, end: float) -> Spans:
    """Crop spans to a part of the utterance, whose start becomes 0.

    Example
    -------
    >>> crop_spans(np.array([[0.0, 1.0], [2.0, 4.0]]), 1.0, 2.5).tolist()
    [[1.0, 1.5]]
    """
    cropped = spans.clip(start, end) - start
    return cropped[cropped[:, 1] - cropped[:, 0] > SHORTEST]


def label_frames(spans: Spans, seconds: float, frame_seconds: float) -> NDArray[np.int64]:
    """Label the frames of an utterance. As in evaluation, a frame is fake if any part of it is.

    Arguments
    ---------
    spans : array
        Fake spans in seconds, shape [spans, 2].
    seconds : float
        Length of the utterance.
    frame_seconds : float
        Length of a frame; the last one may be shorter.

    Returns
    -------
    array
        0 for fake and 1 for real; shape [frames].

    Example
    -------
    >>> label_frames(np.array([[0.2, 0.4]]), seconds=1.1, frame_seconds=0.25).tolist()
    [0, 0, 1, 1, 1]
    """
    labels = np.ones(max(int(np.ceil(seconds / frame_seconds - SHORTEST)), 1), np.int64)
    for start, end in spans:
        labels[int(start / frame_seconds + SHORTEST) : int(np.ceil(end / frame_seconds - SHORTEST))] = 0
    return labels


def merge_spans(spans: Spans) -> Spans:
    """Merge spans that overlap or touch.

    Example
    -------
    >>> merge_spans(np.array([[0.0, 1.0], [1.0, 2.0], [3.0, 4.0]])).tolist()
    [[0.0, 2.0], [3.0, 4.0]]
    """
    if len(spans) < 2:
        return spans
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    is_first = np.append(True, spans[1:, 0] > ends[:-1])
    return np.stack([spans[is_first, 0], ends[np.append(is_first[1:], True)]], 1)


def write_segments(table: "pd.DataFrame", path: str | os.PathLike, protocol: "pd.DataFrame") -> None:
    """Check segments and write them. The file is written completely or not at all.

    Arguments
    ---------
    table : pandas.DataFrame
        The columns of ``SEGMENT_COLUMNS``.
    path : str or Path
        File to write, see :func:`segments_path`.
    protocol : pandas.DataFrame
        The whole protocol; its columns ID, Label and Duration are used.

    Raises
    ------
    InputError
        When a row has a fault, see :func:`check_segments`.
    """
    check_segments(table.set_axis(range(2, 2 + len(table))), path, protocol)
    with atomic_path(path) as temporary:
        table[list(SEGMENT_COLUMNS)].round(6).to_csv(temporary, index=False, lineterminator="\n")


def check_segments(table: "pd.DataFrame", name: str | os.PathLike, protocol: "pd.DataFrame") -> None:
    """Check the segments of a protocol.

    Arguments
    ---------
    table : pandas.DataFrame
        The segments, indexed by the number of their line.
    name : str or Path
        File of the segments, for error messages.
    protocol : pandas.DataFrame
        The whole protocol.

    Raises
    ------
    InputError
        When a column is missing, an ID is not in the protocol, a label or a time is invalid, segments overlap or are
        not in order, or the segments contradict the label of the utterance. The message names the line of the first
        fault.

    Example
    -------
    >>> import pandas as pd
    >>> protocol = pd.DataFrame({"ID": ["a"], "Label": ["fake"], "Duration": [3.0]})
    >>> table = pd.DataFrame([["a", 2.0, 4.0, "fake"]], columns=SEGMENT_COLUMNS, index=[2])
    >>> check_segments(table, "p.segments.csv", protocol)
    Traceback (most recent call last):
    antideepfake.errors.InputError: p.segments.csv:2: the End 4.0 is after the end of 'a', 3.0 s; correct the segment
    """
    import pandas as pd  # slow to import, and one recording is scored without

    missing = [column for column in SEGMENT_COLUMNS if column not in table]
    if missing:
        raise InputError(f"{name}:1: no column {', '.join(missing)}; segments have the columns ID, Start, End, Label")
    order = {name: index for index, name in enumerate(protocol["ID"])}
    indices = table["ID"].map(order).astype(np.float64)
    facts = {column: dict(zip(protocol["ID"], protocol[column], strict=True)) for column in ("Label", "Duration")}
    durations = table["ID"].map(facts["Duration"]).astype(np.float64)
    checked = table.assign(Utterance=table["ID"].map(facts["Label"]), Duration=durations)

    def fail(faulty: "pd.Series", fault: str) -> None:
        if faulty.any():
            line = faulty.idxmax()
            raise InputError(f"{name}:{line}: " + fault.format(**checked.loc[line].to_dict()))

    fail(indices.isna(), "the ID '{ID}' is not in the protocol; remove the row or use the protocol it belongs to")
    fail(~table["Label"].isin(LABELS), "label '{Label}' is unknown; use 'real' or 'fake'")
    start, end = (pd.to_numeric(table[column], errors="coerce") for column in ("Start", "End"))
    fail(~(start >= 0), "Start is '{Start}'; it must be a number of seconds of 0 or more")
    fail(~(end > start), "End is '{End}'; it must be a number of seconds above the Start, {Start}")
    too_late = end > checked["Duration"] + TOLERANCE
    fail(too_late, "the End {End} is after the end of '{ID}', {Duration} s; correct the segment")
    fail(indices.diff() < 0, "'{ID}' is not in the order of the protocol; sort the rows")
    overlaps = (indices.diff() == 0) & (start < end.shift() - 1e-9)
    fail(overlaps, "the segment begins before the one above ends; sort the segments of '{ID}', without overlap")
    fake = table["Label"] == "fake"
    fail(fake & (checked["Utterance"] == "real"), "'{ID}' is real in the protocol; it cannot have a fake segment")
    none = ~fake.groupby(table["ID"]).transform("any") & (checked["Utterance"] == "fake")
    fail(none, "'{ID}' is fake in the protocol; give it a fake segment, or no segment if all of it is fake")
