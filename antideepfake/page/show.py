"""The texts of the page: verdicts, tables and what the detector cannot know, as HTML."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from antideepfake.evaluation.tables import escape_formula
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.page.drawing import HIGHEST, draw_histogram, draw_track
from antideepfake.page.judge import Judgment, describe_judgment
from antideepfake.scoring.verdict import format_time, judge

ROWS = 200  # segments that the page lists; a program gets all
COLUMNS = ("file", "verdict", "decision", "score", "threshold", "probability", "duration", "error")
TEMPLATES = Environment(
    loader=PackageLoader("antideepfake.page", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["time"] = format_time


def show_judgments(judgments: Sequence[Judgment], metadata: ModelMetadata) -> str:
    """Show what was judged: one recording in detail, several in a table.

    Arguments
    ---------
    judgments : sequence of Judgment
        At least one.
    metadata : ModelMetadata
        Of the detector.

    Returns
    -------
    str
        HTML. Names and texts from outside are escaped.

    Example
    -------
    >>> "&lt;b&gt;.wav" in show_judgments([Judgment("<b>.wav", "silent")], ModelMetadata())
    True
    """
    if len(judgments) == 1:
        return _show_one(judgments[0], metadata)
    table = "data:text/csv;base64," + base64.b64encode(format_csv(judgments).encode()).decode()
    rows = [
        (judgment, judge(judgment.result) if judgment.result else judgment.error, _choose_tone(judgment))
        for judgment in judgments
    ]
    return TEMPLATES.get_template("table.html").render(rows=rows, table=table)


def _show_one(judgment: Judgment, metadata: ModelMetadata) -> str:
    result, sound = judgment.result, judgment.sound
    if not result or not sound:
        return TEMPLATES.get_template("error.html").render(judgment=judgment)
    values: dict[str, Any] = {"judgment": judgment, "result": result, "verdict": judge(result)}
    values["tone"] = _choose_tone(judgment)
    values["histogram"] = (
        draw_histogram(metadata.validation_scores, result.score, result.threshold)
        if metadata.validation_scores
        else None
    )
    values["counts"] = {name: int(sum(metadata.validation_scores.get(name, []))) for name in ("real", "fake")}
    values["mp3"] = "data:audio/mpeg;base64," + base64.b64encode(sound.mp3).decode()
    assert result.timeline
    values["track"] = draw_track(result.timeline, result.threshold, sound)
    values["segments"] = result.timeline.segments(result.threshold)
    values["suspicious"] = result.timeline.most_suspicious(result.threshold)
    return TEMPLATES.get_template("result.html").render(**values, rows=ROWS, highest=HIGHEST)


def _choose_tone(judgment: Judgment) -> str:
    """Choose the color of a verdict."""
    if not judgment.result:
        return "failed"
    return "unsure" if judge(judgment.result).startswith(("uncertain", "unsure")) else judgment.result.decision


def format_csv(judgments: Sequence[Judgment]) -> str:
    """Format judgments as CSV; a name that a spreadsheet would read as a formula gets a leading apostrophe.

    Example
    -------
    >>> print(format_csv([Judgment("=a.wav", "silent")]), end="")
    file,verdict,decision,score,threshold,probability,duration,error
    '=a.wav,,,,,,,silent
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n", restval="")
    writer.writeheader()
    for judgment in judgments:
        described = describe_judgment(judgment)
        described |= {key: escape_formula(value) for key, value in described.items() if isinstance(value, str)}
        writer.writerow(described)
    return text.getvalue()


def show_detector(metadata: ModelMetadata, has_ood_detector: bool, documents: Mapping[str, Path]) -> str:
    """Show what the detector was trained on, where its threshold comes from and what it cannot know.

    Arguments
    ---------
    metadata : ModelMetadata
        Of the detector.
    has_ood_detector : bool
        Whether it can answer ``unsure`` for recordings unlike those that it was fitted to.
    documents : mapping of str to Path
        Title -> file that the page links to.

    Returns
    -------
    str
        HTML.

    Example
    -------
    >>> "Trained on Mini" in show_detector(ModelMetadata(training_corpora=["Mini"]), False, {})
    True
    """
    return TEMPLATES.get_template("detector.html").render(
        metadata=metadata, has_ood_detector=has_ood_detector, documents=documents
    )
