"""The report of an evaluation: a folder with an HTML page, tables, and metrics in machine-readable form."""

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
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from antideepfake import __version__
from antideepfake.audit.leakage import explain_overlap
from antideepfake.evaluation import tables
from antideepfake.evaluation.evaluator import SEEN_ATTACK, Evaluation, Group, System
from antideepfake.files import atomic_open, atomic_path
from antideepfake.metrics.rates import Trials, sort_trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from antideepfake.evaluation.plots import Scores

RELIABILITY = "Calibration"  # heading of the reliability diagram


def write_report(folder: str | os.PathLike, systems: Sequence[System], title: str) -> None:
    """Write ``report.html``, ``metrics.json``, ``metrics.csv``, ``tables.md``, ``tables.tex`` and ``scores.png``.

    Arguments
    ---------
    folder : str or Path
        Output folder; created if it does not exist.
    systems : sequence of System
        One or several systems; the others are compared with the first.
    title : str
        Description of the test set.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # slow to import, as is matplotlib
    from markupsafe import Markup

    from antideepfake.evaluation.plots import figure_to_svg, plot_scores, save_plot

    folder = Path(folder)
    evaluations = [system.evaluation for system in systems]
    with atomic_open(folder / "metrics.json") as file:
        json.dump(describe_systems(systems, title), file, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(folder / "metrics.csv") as temporary:
        tables.flatten(evaluations).to_csv(temporary, index=False)
    captioned = _tables(evaluations)
    for name, layout, mark in (("tables.md", tables.format_markdown, "##"), ("tables.tex", tables.format_latex, "%")):
        with atomic_open(folder / name) as file:
            file.write("\n\n".join(f"{mark} {caption}\n\n{layout(table)}" for caption, table in captioned) + "\n")
    complete = [system for system in systems if system.evaluation.overall.is_complete]
    if complete:
        save_plot(plot_scores(*_histograms_and_curves(complete)), folder / "scores.png")
    environment = Environment(
        loader=PackageLoader("antideepfake.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("report.html").render(
        title=title,
        warnings=_warnings(systems),
        systems=systems,
        comparisons=tables.comparisons(evaluations),
        number=tables.format_number,
        decisions=tables.decisions,
        decision_warning=tables.decision_warning,
        plots=[(heading, Markup(figure_to_svg(figure, heading))) for heading, figure in _plots(systems)],
        reliability=RELIABILITY,
        reliability_answers=[
            tables.reliability_answer(system.evaluation.name, *_ratios(system)) for system in complete
        ],
        notes=list(dict.fromkeys(note for evaluation in evaluations for note in tables.notes(evaluation))),
        limits=_limits(systems),
        tables=captioned,
        versions=_versions(),
        command=" ".join(map(shlex.quote, sys.argv)),
        today=date.today().isoformat(),
    )
    with atomic_open(folder / "report.html") as file:
        file.write(page)


def _tables(evaluations: Sequence[Evaluation]) -> list[tuple[str, pd.DataFrame]]:
    captioned = []
    several = len(evaluations) > 1
    if several:
        captioned.append(("Systems", tables.system_table(evaluations)))
        captioned.append(("Differences", tables.difference_table(evaluations)))
    for evaluation in evaluations:
        of = f" of {evaluation.name}" if several else ""
        captioned.append((f"All metrics{of}", tables.overall_table(evaluation.overall)))
        for column, groups in evaluation.groups.items():
            captioned.append((f"By {column}{of}", tables.group_table([evaluation.overall, *groups], column)))
    return [(caption, table) for caption, table in captioned if len(table)]


def _plots(systems: Sequence[System]) -> "list[tuple[str, Figure]]":
    """Return pairs of a heading and a plot, for the systems with both classes."""
    from antideepfake.evaluation.plots import plot_det, plot_groups, plot_histograms, plot_reliability

    complete = [system for system in systems if system.evaluation.overall.is_complete]
    if not complete:
        return []
    histograms, curves = _histograms_and_curves(complete)
    plots = [("Scores", plot_histograms(histograms)), ("Error trade-off", plot_det(curves))]
    for column, groups in complete[0].evaluation.groups.items():
        if sum(1 for group in groups if group.is_complete) > 1:
            plots.append((f"EER by {column}", plot_groups(groups, column)))
    plots.append((RELIABILITY, plot_reliability({system.evaluation.name: _ratios(system) for system in complete})))
    return plots


def _histograms_and_curves(systems: Sequence[System]) -> "tuple[dict[str, Scores], dict[str, Trials]]":
    """Return the data of the histograms and DET curves, by system or, for a single system, by type of attack."""
    histograms: dict[str, Scores] = {}
    curves = {}
    for system in systems:
        name, threshold = system.evaluation.name, system.evaluation.threshold
        real, fake = _by_class(system.scores["Score"].to_numpy(), system)
        fakes = {"fake": fake}
        if SEEN_ATTACK in system.scores and len(systems) == 1:
            kinds, scores = (system.scores[column].to_numpy() for column in (SEEN_ATTACK, "Score"))
            is_fake = (system.scores["Label"] == "fake").to_numpy()
            fakes = {f"fake, {kind}": scores[is_fake & (kinds == kind)] for kind in np.unique(kinds[is_fake])}
            curves = {kind: sort_trials(real, values) for kind, values in fakes.items()}
        else:
            curves[name] = sort_trials(real, fake)
        histograms[name] = {"real": real, **fakes}, threshold
    return histograms, curves


def _by_class(values: np.ndarray, system: System) -> tuple[np.ndarray, np.ndarray]:
    is_real = (system.scores["Label"] == "real").to_numpy()
    return values[is_real], values[~is_real]


def _ratios(system: System) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood ratios of both classes; without calibration, the scores."""
    scores = system.scores["Score"].to_numpy()
    return _by_class(system.calibration(scores) if system.calibration else scores, system)


def _limits(systems: Sequence[System]) -> list[str]:
    """Return the limits of the results, one sentence each."""
    limits = [
        "The intervals cover the random choice of these utterances. They do not cover other speakers, microphones, "
        "languages or spoofing systems."
    ]
    for system in systems:
        metadata = system.record.metadata if system.record else None
        name = f"{system.evaluation.name}: " if len(systems) > 1 else ""
        if metadata is None or not metadata.training_corpora:
            limits.append(f"{name}The training data of the model are unknown, so leakage could not be checked.")
        else:
            corpora = ", ".join(metadata.training_corpora)
            limits.append(f"{name}The model was trained on {corpora}. Expect more errors on other kinds of data.")
        if metadata and metadata.threshold_errors:
            chosen = metadata.threshold_errors
            limits.append(
                f"{name}The threshold was chosen on {chosen['real']:,} real and {chosen['fake']:,} fake utterances, "
                f"where the EER is {100 * chosen['eer']:.1f} %; on other recordings another threshold may be better."
            )
        if not system.calibration:
            limits.append(f"{name}The scores are not calibrated: read them as a ranking, not as probabilities.")
    return limits


def _warnings(systems: Sequence[System]) -> list[str]:
    """Return a warning for each system that was trained on the test set."""
    texts = [(system.evaluation.name, explain_overlap(system.overlap)) for system in systems if system.overlap]
    return ["\n".join([f"{name}:", *sentences]) for name, sentences in texts]


def describe_systems(systems: Sequence[System], title: str) -> dict[str, Any]:
    """Return an evaluation as plain data, the content of ``metrics.json``.

    Arguments
    ---------
    systems : sequence of System
        One or several systems; the others are compared with the first.
    title : str
        Description of the test set.

    Returns
    -------
    dict
        Texts, lists, finite numbers, and None for a number that is not finite.
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
        "warnings": _warnings(systems),
        "command": sys.argv,
        "date": date.today().isoformat(),
        "versions": _versions(),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "speechbrain", "transformers", "numpy", "pandas", "scipy")}
    return {"antideepfake": __version__, "python": platform.python_version(), **packages}
