"""Files of timelines: the segments of recordings in the forms that other programs read."""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.inference.timeline import Segment, Timeline
from antideepfake.protocol.table import text_encoding


@dataclass(frozen=True)
class JudgedTimeline:
    """A timeline, and the threshold that divides it into segments.

    Arguments
    ---------
    timeline : Timeline
        Scores over time.
    threshold : float
        A score at or above it counts as real.
    """

    timeline: Timeline
    threshold: float

    def segments(self) -> list[Segment]:
        """Give the segments of the timeline."""
        return self.timeline.segments(self.threshold)


Timelines = Mapping[str, JudgedTimeline]
"""Name of each recording -> its timeline."""


def format_json(timelines: Timelines) -> str:
    """Format segments, and the score of every step, as JSON: a list with an object for each recording.

    Example
    -------
    >>> import numpy as np
    >>> timeline = JudgedTimeline(Timeline(1.0, 2.0, np.array([1.0, -1.0]), np.ones(2, bool)), 0.0)
    >>> json.loads(format_json({"a.wav": timeline}))[0]["segments"][1]
    {'start': 1.0, 'end': 2.0, 'score': -1.0, 'label': 'fake'}
    """
    rows = [
        {
            "file": name,
            "duration": judged.timeline.duration,
            "threshold": judged.threshold,
            "segments": [segment._asdict() for segment in judged.segments()],
            "step": judged.timeline.step,
            "scores": [round(score, 4) for score in judged.timeline.scores.tolist()],
            "speech": judged.timeline.is_speech.tolist(),
        }
        for name, judged in timelines.items()
    ]
    return json.dumps(rows, ensure_ascii=False) + "\n"


def format_csv(timelines: Timelines) -> str:
    """Format segments as CSV: file, start and end in seconds, score, label.

    Example
    -------
    >>> import numpy as np
    >>> timeline = JudgedTimeline(Timeline(1.0, 2.0, np.array([1.0, 1.0]), np.ones(2, bool)), 0.0)
    >>> print(format_csv({"a.wav": timeline}), end="")
    file,start,end,score,label
    a.wav,0.0,2.0,1.0,real
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *Segment._fields])
    for name, judged in timelines.items():
        writer.writerows((name, *segment._replace(score=round(segment.score, 4))) for segment in judged.segments())
    return text.getvalue()


def format_rttm(timelines: Timelines) -> str:
    """Format segments as RTTM (NIST, The 2009 Rich Transcription Evaluation Plan), whose speaker is the label.

    White space, which separates the fields, becomes ``_`` in names.

    Example
    -------
    >>> import numpy as np
    >>> timeline = JudgedTimeline(Timeline(1.0, 2.0, np.array([1.0, 1.0]), np.ones(2, bool)), 0.0)
    >>> print(format_rttm({"a b.wav": timeline}), end="")
    SPEAKER a_b.wav 1 0.000 2.000 <NA> <NA> real 1.0000 <NA>
    """
    return "".join(
        f"SPEAKER {'_'.join(name.split())} 1 {start:.3f} {end - start:.3f} <NA> <NA> {label.replace(' ', '_')} "
        f"{score:.4f} <NA>\n"
        for name, judged in timelines.items()
        for start, end, score, label in judged.segments()
    )


def format_labels(timelines: Timelines) -> str:
    """Format the segments of one recording as a label track of Audacity.

    Example
    -------
    >>> import numpy as np
    >>> timeline = JudgedTimeline(Timeline(1.0, 2.0, np.array([1.0, 1.0]), np.ones(2, bool)), 0.0)
    >>> format_labels({"a.wav": timeline})
    '0.000000\\t2.000000\\treal 1.00\\n'
    """
    (judged,) = timelines.values()
    return "".join(
        f"{start:.6f}\t{end:.6f}\t{label if label == 'no speech' else f'{label} {score:.2f}'}\n"
        for start, end, score, label in judged.segments()
    )


def format_textgrid(timelines: Timelines) -> str:
    """Format the segments of one recording as a TextGrid of Praat, with one tier of intervals.

    Example
    -------
    >>> import numpy as np
    >>> timeline = JudgedTimeline(Timeline(1.0, 2.0, np.array([1.0, 1.0]), np.ones(2, bool)), 0.0)
    >>> format_textgrid({"a.wav": timeline}).splitlines()[-1].strip()
    'text = "real"'
    """
    (judged,) = timelines.values()
    segments, duration = judged.segments(), judged.timeline.duration
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {duration:.6f}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "decision"',
        "        xmin = 0",
        f"        xmax = {duration:.6f}",
        f"        intervals: size = {len(segments)}",
    ]
    for number, segment in enumerate(segments, 1):
        end = (
            duration if number == len(segments) else segment.end
        )  # Praat requires that the last one ends with the tier
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {segment.start:.6f}",
            f"            xmax = {end:.6f}",
            f'            text = "{segment.label}"',
        ]
    return "\n".join(lines) + "\n"


SEVERAL: dict[str, Callable[[Timelines], str]] = {".json": format_json, ".csv": format_csv, ".rttm": format_rttm}
ONE: dict[str, Callable[[Timelines], str]] = {".txt": format_labels, ".textgrid": format_textgrid}


def write_timelines(path: str | os.PathLike, timelines: Timelines) -> None:
    """Write a file whose form follows from its suffix.

    Arguments
    ---------
    path : str or Path
        ``.json``, ``.csv`` or ``.rttm``; for one recording also ``.txt`` (label track of Audacity) or ``.TextGrid``
        (Praat).
    timelines : mapping
        Name of each recording -> its timeline.

    Raises
    ------
    InputError
        When the suffix is unknown, or the form is for one recording and there are several.

    Example
    -------
    >>> write_timelines("a.doc", {})
    Traceback (most recent call last):
    antideepfake.errors.InputError: a.doc: no form of timelines; use .json, .csv, .rttm, .txt or .TextGrid
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SEVERAL | ONE:
        raise InputError(f"{path}: no form of timelines; use .json, .csv, .rttm, .txt or .TextGrid")
    if suffix in ONE and len(timelines) != 1:
        raise InputError(f"{path}: this form is for one recording, not {len(timelines)}; use .json, .csv or .rttm")
    with atomic_open(path) as file:
        file.write((SEVERAL | ONE)[suffix](timelines))


class StepScores(NamedTuple):
    """The scores of a recording as a step function of time.

    Arguments
    ---------
    edges : array
        Ascending times in seconds, shape [steps + 1].
    scores : array
        Between the edges, shape [steps].
    threshold : float, optional
        A score at or above it counts as real. None: the file does not say.
    """

    edges: NDArray[np.float64]
    scores: NDArray[np.float64]
    threshold: float | None


def read_timelines(path: str | os.PathLike) -> dict[str, StepScores]:
    """Read the scores of a file that :func:`write_timelines` wrote.

    Arguments
    ---------
    path : str or Path
        ``.json``, which has the score of every step and the threshold, or ``.csv``, which has the mean score of each
        segment.

    Returns
    -------
    dict of str to StepScores
        Name of each recording, or ID of each utterance of a protocol -> its scores.

    Raises
    ------
    InputError
        When the suffix is another, the file is missing or damaged, or segments have gaps.

    Example
    -------
    >>> path = getfixture("tmp_path") / "t.csv"
    >>> _ = path.write_text("file,start,end,score,label\\na,0,1,2.5,real\\na,1,3,-1,fake\\n")
    >>> read_timelines(path)["a"].edges.tolist()
    [0.0, 1.0, 3.0]
    """
    readers = {".json": _read_json, ".csv": _read_csv}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise InputError(f"{path}: timelines are read from .json or .csv; pass one to --timeline_output of score")
    try:
        return readers[suffix](path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; write it with 'antideepfake score --timeline_output'") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not timelines of 'antideepfake score' ({error}); write the file again") from None


def _read_json(path: str | os.PathLike) -> dict[str, StepScores]:
    timelines = {}
    for row in json.loads(Path(path).read_text(encoding="utf-8")):
        scores = np.array(row["scores"], np.float64)
        edges = np.append(np.arange(len(scores)) * float(row["step"]), float(row["duration"]))
        timelines[row["file"]] = StepScores(edges, scores, float(row["threshold"]))
    return timelines


def _read_csv(path: str | os.PathLike) -> dict[str, StepScores]:
    timelines = {}
    with open(path, encoding=text_encoding(path), newline="") as file:
        for name, lines in groupby(csv.DictReader(file), key=lambda line: line["file"]):
            starts, ends, scores = np.array(
                [[line[column] for column in ("start", "end", "score")] for line in lines], np.float64
            ).T
            if not np.allclose(starts[1:], ends[:-1], atol=1e-3):
                raise ValueError(f"the segments of '{name}' have gaps")
            timelines[name] = StepScores(np.append(starts, ends[-1]), scores, None)
    return timelines
