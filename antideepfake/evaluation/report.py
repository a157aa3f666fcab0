"""The report of an evaluation: a folder with a page to read, tables to copy, and figures for other programs."""

import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from antideepfake import __version__
from antideepfake.evaluation import tables
from antideepfake.evaluation.evaluator import Evaluation, Group, System
from antideepfake.evaluation.plots import figure_to_svg, plot_groups, plot_reliability, plot_scores, save_plot
from antideepfake.files import atomic_open, atomic_path
from antideepfake.metrics.rates import sort_trials


def write_report(
    folder: str | os.PathLike, systems: Sequence[System], title: str, warnings: Sequence[str] = ()
) -> None:
    """Write ``report.html``, ``metrics.json``, ``metrics.csv``, ``tables.md``, ``tables.tex`` and ``scores.png``.

    Arguments
    ---------
    folder : str or Path
        Where to.
    systems : sequence of System
        One or several; the others are held against the first.
    title : str
        What was evaluated.
    warnings : sequence of str
        What stands in front of all figures.
    """
    folder = Path(folder)
    evaluations = [system.evaluation for system in systems]
    with atomic_open(folder / "metrics.json") as file:
        json.dump(describe_systems(systems, title, warnings), file, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(folder / "metrics.csv") as temporary:
        tables.flatten(evaluations).to_csv(temporary, index=False)
    parts = _tables(evaluations)
    for name, layout, mark in (("tables.md", tables.format_markdown, "##"), ("tables.tex", tables.format_latex, "%")):
        with atomic_open(folder / name) as file:
            file.write("\n\n".join(f"{mark} {caption}\n\n{layout(table)}" for caption, table in parts) + "\n")
    pictures = _pictures(systems)
    for name, metric in pictures:
        if name == "scores":
            save_plot(metric, folder / "scores.png")
    environment = Environment(
        loader=PackageLoader("antideepfake.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("report.html").render(
        title=title,
        warnings=warnings,
        systems=systems,
        notes=list(dict.fromkeys(note for evaluation in evaluations for note in tables.notes(evaluation))),
        number=tables.format_number,
        decisions=tables.decisions,
        decision_warning=tables.decision_warning,
        tables=parts,
        pictures=[(name, Markup(figure_to_svg(metric, name))) for name, metric in pictures],
        versions=_versions(),
        command=" ".join(map(shlex.quote, sys.argv)),
        today=date.today().isoformat(),
    )
    with atomic_open(folder / "report.html") as file:
        file.write(page)


def _tables(evaluations: Sequence[Evaluation]) -> list[tuple[str, pd.DataFrame]]:
    parts = []
    several = len(evaluations) > 1
    if several:
        parts.append(("Systems", tables.system_table(evaluations)))
        parts.append(("Differences", tables.difference_table(evaluations)))
    for evaluation in evaluations:
        of = f" of {evaluation.name}" if several else ""
        parts.append((f"All figures{of}", tables.overall_table(evaluation.overall)))
        for column, groups in evaluation.groups.items():
            parts.append((f"By {column}{of}", tables.group_table([evaluation.overall, *groups], column)))
    return [(caption, table) for caption, table in parts if len(table)]


def _pictures(systems: Sequence[System]) -> list[tuple[str, Any]]:
    """Draw what needs both classes."""
    whole = [system for system in systems if system.evaluation.overall.is_complete]
    if not whole:
        return []
    pictures = []
    curves, ratios = {}, {}
    for system in whole:
        is_real = (system.scores["Label"] == "real").to_numpy()
        values = system.scores["Score"].to_numpy()
        curves[system.evaluation.name] = sort_trials(values[is_real], values[~is_real])
        stated = system.calibration(values) if system.calibration else values
        ratios[system.evaluation.name] = (stated[is_real], stated[~is_real])
    first = whole[0]
    is_real = (first.scores["Label"] == "real").to_numpy()
    real, fake = (first.scores.loc[kind, "Score"].to_numpy() for kind in (is_real, ~is_real))
    fakes = {"fake": fake}
    if "Generators" in first.scores and len(whole) == 1:
        kinds = first.scores["Generators"].to_numpy()
        scores = first.scores["Score"].to_numpy()
        fakes = {f"fake, {kind}": scores[kinds == kind] for kind in np.unique(kinds[~is_real])}
        curves = {name: sort_trials(real, values) for name, values in fakes.items()}
    name = first.evaluation.name if len(whole) > 1 else ""
    pictures.append(("scores", plot_scores(real, fakes, curves, first.evaluation.threshold, name)))
    for column, groups in first.evaluation.groups.items():
        if sum(1 for group in groups if group.is_complete) > 1:
            pictures.append((f"by {column}", plot_groups(groups, column)))
    pictures.append(("reliability", plot_reliability(ratios)))
    return pictures


def describe_systems(systems: Sequence[System], title: str, warnings: Sequence[str] = ()) -> dict[str, Any]:
    """Describe an evaluation as plain data: what ``metrics.json`` holds.

    Arguments
    ---------
    systems : sequence of System
        One or several; the others are compared with the first.
    title : str
        What was evaluated.
    warnings : sequence of str
        What a reader must know before any metric.

    Returns
    -------
    dict
        Texts, lists and finite numbers; None for a number that is not finite.
    """

    def metrics(group: Group) -> dict[str, Any]:
        values: dict[str, Any] = {name: _finite(estimate.value) for name, estimate in group.metrics.items()}
        intervals = {name: [_finite(low), _finite(high)] for name, (_, low, high) in group.metrics.items()}
        return {**values, "intervals": intervals, "real": group.real, "fake": group.fake, "note": group.note}

    def describe(system: System) -> dict[str, Any]:
        evaluation = system.evaluation
        return {
            "name": evaluation.name,
            "scores": system.source,
            "sha256": system.sha256,
            "threshold": evaluation.threshold,
            "threshold_source": evaluation.threshold_source,
            "calibrated": system.calibration is not None,
            "overall": metrics(evaluation.overall),
            "groups": {
                column: {group.name: metrics(group) for group in groups} for column, groups in evaluation.groups.items()
            },
            "made_by": asdict(system.record) if system.record else None,
        }

    first, *others = systems
    compared = [
        {
            **describe(system),
            "difference_to_first": {
                name: {key: _finite(value) for key, value in difference._asdict().items()}
                for name, difference in system.evaluation.differences.items()
            },
            "utterances_in_common": system.evaluation.common,
        }
        for system in others
    ]
    return {
        "title": title,
        **describe(first),
        "compared": compared,
        "warnings": list(warnings),
        "command": sys.argv,
        "date": date.today().isoformat(),
        "versions": _versions(),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "speechbrain", "transformers", "numpy", "pandas", "scipy")}
    return {"antideepfake": __version__, "python": platform.python_version(), **packages}
