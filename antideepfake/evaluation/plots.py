"""Plots of scores and evaluations."""

import io
import os
from collections.abc import Mapping, Sequence
from itertools import cycle
from math import inf
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.signal import spectrogram
from scipy.special import ndtri

from antideepfake.evaluation.evaluator import Group
from antideepfake.evaluation.tables import shorten
from antideepfake.files import atomic_path
from antideepfake.metrics.costs import reliability
from antideepfake.metrics.rates import Array, Trials, equal_error_rate, error_rates

if TYPE_CHECKING:
    from antideepfake.inference.explanation import Explanation
    from antideepfake.inference.timeline import Timeline
    from antideepfake.protocol.segments import Spans
    from antideepfake.scoring.timeline_file import StepScores

COLORS = [
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
]  # palette of Okabe and Ito, distinguishable by color-blind readers
CURVE_COLORS = COLORS[1:] + COLORS[:1]  # blue stands for bona fide speech
INK = "#1b1c1d"  # color of text and axes; figure_to_svg replaces it by the text color of the page
STYLE: Any = {"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK}
STYLE |= {"svg.fonttype": "none", "font.family": "sans-serif", "axes.spines.top": False, "axes.spines.right": False}
Scores = tuple[Mapping[str, Array], float]
"""Scores by the name of their group, such as real and fake, and the threshold of the decision."""

RATES = np.array([0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])  # ticks of a DET plot


def plot_scores(systems: Mapping[str, Scores], curves: Mapping[str, Trials]) -> Figure:
    """Plot the histograms of scores and the detection error trade-offs side by side.

    Arguments
    ---------
    systems, curves :
        As in :func:`plot_histograms` and :func:`plot_det`.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        left, right = figure.subfigures(1, 2).tolist()  # type: ignore[union-attr]
        _fill_histograms(left.subplots(len(systems), squeeze=False)[:, 0].tolist(), systems)
        _fill_det(right.subplots(), curves)
    return figure


def plot_histograms(systems: Mapping[str, Scores]) -> Figure:
    """Plot the histogram of the scores of each class, one panel per system.

    Arguments
    ---------
    systems : mapping of str to Scores
        Name of each system -> its scores and threshold.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 0.6 + 3.2 * len(systems)), layout="constrained")
        _fill_histograms(figure.subplots(len(systems), squeeze=False)[:, 0].tolist(), systems)
    return figure


def plot_timeline(timeline: "Timeline", threshold: float, envelope: NDArray[np.floating], title: str = "") -> Figure:
    """Plot a recording and its score over time, with the segments that are likely fake and those without speech marked.

    Arguments
    ---------
    timeline : Timeline
        Scores over time.
    threshold : float
        A score at or above it counts as real.
    envelope : array
        Smallest and largest sample of parts of equal length, shape [parts, 2].
    title : str
        Such as the name of the recording.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        top, bottom = figure.subplots(2, sharex=True, height_ratios=[1, 1.6])
        times = np.linspace(0, timeline.duration, len(envelope))
        top.fill_between(times, envelope[:, 0], envelope[:, 1], color=INK, linewidth=0)
        top.set(ylabel="waveform", yticks=[], xlim=(0, timeline.duration), title=title)
        edges = np.minimum(np.arange(len(timeline.scores) + 1) * timeline.step, timeline.duration)
        scores = np.where(timeline.is_speech, timeline.scores, np.nan)
        bottom.stairs(scores, edges, baseline=None, color=COLORS[0], linewidth=1.2)
        bottom.axhline(threshold, color=INK, linestyle="--", linewidth=1, label=f"threshold {threshold:.2f}")
        colors, named = {"fake": COLORS[1], "no speech": INK}, set()
        for start, end, _, label in timeline.segments(threshold):
            if label in colors:
                for axes in (top, bottom):
                    axes.axvspan(start, end, color=colors[label], alpha=0.25 if label == "fake" else 0.1, linewidth=0)
                named.add(label)
        for label in sorted(named):
            alpha = 0.25 if label == "fake" else 0.1
            bottom.fill_between([], [], color=colors[label], alpha=alpha, linewidth=0, label=label)
        bottom.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
        is_long = timeline.duration > 180
        if is_long:
            step = next(step for step in (60, 120, 300, 600, 1800, 3600, inf) if timeline.duration / step <= 12)
            bottom.set_xticks(np.arange(0, timeline.duration, min(step, timeline.duration)))
            bottom.xaxis.set_major_formatter(lambda seconds, _: f"{seconds / 60:.0f}")
        bottom.set(xlabel=f"time in {'min' if is_long else 's'}", ylabel="score (higher: more likely real)")
    return figure


def plot_explanation(explanation: "Explanation", samples: NDArray[np.floating], title: str = "") -> Figure:
    """Plot what a score rests on: the effect of each cell over the spectrogram, and those of whole spans and bands.

    Arguments
    ---------
    explanation : Explanation
        Its marked cells have a frame.
    samples : array
        The recording at 16 kHz, shape [time].
    title : str
        Such as the name of the recording.
    """
    times, kilohertz = explanation.times, explanation.frequencies / 1000
    frequencies, instants, spectrum = spectrogram(samples, 16000, nperseg=512, noverlap=384)
    decibels = 10 * np.log10(spectrum + 1e-20)
    largest = max(float(np.abs(explanation.cell_effects).max()), 1e-9)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 5.4), layout="constrained")
        (main, right), (bottom, corner) = figure.subplots(2, 2, height_ratios=[3, 1], width_ratios=[5, 1])
        darkest = float(np.percentile(decibels, 99.5))
        gray = {"cmap": "Greys", "vmin": darkest - 70, "vmax": darkest, "rasterized": True}
        main.pcolormesh(instants, frequencies / 1000, decibels, **gray)
        effects = {"cmap": "PuOr", "vmin": -largest, "vmax": largest, "alpha": 0.45, "rasterized": True}
        colors = main.pcolormesh(times, kilohertz, explanation.cell_effects, **effects)
        for band, span in np.argwhere(explanation.is_marked):
            corners = (times[span], kilohertz[band]), np.diff(times)[span], np.diff(kilohertz)[band]
            main.add_patch(Rectangle(*corners, fill=False, edgecolor=INK, linewidth=1.5))
        main.set(ylabel="frequency in kHz", xlim=(0, times[-1]), ylim=(0, kilohertz[-1]), title=title)
        bottom.stairs(explanation.span_effects, times, fill=True, color=COLORS[0])
        bottom.set(xlabel="time in s", ylabel="effect of\na span", xlim=(0, times[-1]))
        right.stairs(explanation.band_effects, kilohertz, orientation="horizontal", fill=True, color=COLORS[0])
        right.set(xlabel="effect of a band", ylim=(0, kilohertz[-1]))
        for axes, draw in ((bottom, bottom.axhline), (right, right.axvline)):
            draw(0, color=INK, linewidth=0.8)
            axes.locator_params(nbins=4, axis="x" if axes is right else "y")
        corner.set_axis_off()
        bar = figure.colorbar(colors, cax=corner.inset_axes((0, 0.55, 1, 0.15)), orientation="horizontal")
        bar.set_label("effect of a cell\n(below 0: towards fake)", fontsize="small")
    return figure


def plot_localization(
    timelines: Mapping[str, "StepScores"], spans: Mapping[str, "Spans"], threshold: float | None = None
) -> Figure:
    """Plot the scores of some utterances over time, with the time marked that is truly fake.

    Arguments
    ---------
    timelines : mapping of str to StepScores
        ID -> scores over time, one panel each.
    spans : mapping of str to array
        ID -> fake spans, as :func:`antideepfake.protocol.read_segments` returns them.
    threshold : float, optional
        A score at or above it counts as real; by default that of each timeline.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 0.8 + 1.4 * len(timelines)), layout="constrained")
        panels = figure.subplots(len(timelines), squeeze=False)[:, 0].tolist()
        for (name, timeline), axes in zip(timelines.items(), panels, strict=True):
            axes.stairs(timeline.scores, timeline.edges, baseline=None, color=COLORS[0], linewidth=1.2)
            for start, end in spans[name]:
                axes.axvspan(start, end, color=COLORS[1], alpha=0.25, linewidth=0)
            level = timeline.threshold if threshold is None else threshold
            if level is not None:
                axes.axhline(level, color=INK, linestyle="--", linewidth=1)
            axes.set(xlim=(timeline.edges[0], timeline.edges[-1]))
            axes.set_title(shorten(name, 90), loc="left", fontsize="small")
        panels[-1].set_xlabel("time in s; shaded: fake; dashed: threshold")
        figure.supylabel("score (higher: more likely real)", fontsize="medium")
    return figure


def plot_det(curves: Mapping[str, Trials]) -> Figure:
    """Plot detection error trade-offs.

    Arguments
    ---------
    curves : mapping of str to Trials
        Name of each curve -> scores of bona fide and spoofed utterances.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 4.4 + 0.22 * len(curves)), layout="constrained")
        _fill_det(figure.subplots(), curves)
    return figure


def _fill_histograms(panels: Sequence[Axes], systems: Mapping[str, Scores]) -> None:
    for axes, (name, (groups, threshold)) in zip(panels, systems.items(), strict=True):
        groups = {group: values for group, values in groups.items() if len(values)}
        everything = np.concatenate(list(groups.values()))
        # Without clipping, a few extreme scores would squeeze all others into one bar.
        low, high = np.quantile(everything, [0.001, 0.999])
        bins: Any = np.histogram_bin_edges(np.clip(everything, low, high), 40)
        for (group, values), color in zip(groups.items(), cycle(COLORS), strict=False):
            values = np.clip(values, low, high)
            axes.hist(values, bins, density=True, alpha=0.4, color=color, label=f"{group} ({len(values)})")
            axes.hist(values, bins, density=True, histtype="step", color=color)
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1, label=f"threshold {threshold:.2f}")
        axes.set(ylabel="density")
        if len(systems) > 1:
            axes.set_title(shorten(name, 40), loc="left", fontsize="medium", pad=38)
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize="small")
    panels[-1].set_xlabel("score (logit of real - logit of fake)")


def _fill_det(axes: Axes, curves: Mapping[str, Trials]) -> None:
    limits = ndtri([0.001, 0.95])
    axes.plot(limits, limits, color="gray", linewidth=0.7, linestyle=":")
    for (name, trials), color in zip(curves.items(), cycle(CURVE_COLORS), strict=False):
        rates = error_rates(trials)
        eer, _ = equal_error_rate(rates)
        x, y = (ndtri(np.clip(rate, 1e-4, 1 - 1e-4)) for rate in (rates.false_acceptance, rates.false_rejection))
        # Points closer than a hundredth of a unit look the same; dropping them keeps the SVG small.
        grid = np.stack([np.round(100 * x), np.round(100 * y)])
        kept = np.append(True, np.diff(grid, axis=1).any(axis=0))
        label = f"{shorten(name, 40)}: EER {100 * eer:.2f} %"
        axes.plot(x[kept], y[kept], color=color, drawstyle="steps-post", label=label)
    ticks = [f"{100 * rate:g}" for rate in RATES]
    axes.set(xlabel="fake accepted as real, %", ylabel="real rejected as fake, %", xlim=limits, ylim=limits)
    axes.set_xticks(ndtri(RATES), ticks)
    axes.set_yticks(ndtri(RATES), ticks)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    if curves:  # below the axes, so that it covers no curve
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small")


def plot_groups(groups: Sequence[Group], title: str) -> Figure:
    """Plot the equal error rate of each group with its interval, for the thirty groups with the highest rates."""
    complete = [group for group in groups if group.is_complete]
    ranked = sorted(complete, key=lambda group: group.metrics["eer"].value)[-30:]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.5, 0.9 + 0.27 * max(len(ranked), 1)), layout="constrained")
        axes = figure.subplots()
        for position, group in enumerate(ranked):
            eer, low, high = group.metrics["eer"]
            axes.plot([100 * low, 100 * high], [position, position], color=COLORS[0], linewidth=2, alpha=0.6)
            axes.plot(100 * eer, position, "o", color=COLORS[0])
        names = [shorten(group.name, 40) for group in ranked]
        axes.set_yticks(range(len(ranked)), names)
        axes.set(xlabel=f"EER by {title}, %, with its 95 % interval", ylim=(-0.7, len(ranked) - 0.3))
        axes.set_xlim(left=0)
        axes.grid(axis="x", alpha=0.3)
    return figure


def plot_reliability(ratios: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Plot the reliability diagram: the observed fraction of bona fide utterances by the stated probability.

    Arguments
    ---------
    ratios : mapping of str to pair of array
        Name of each system -> log-likelihood ratios of its bona fide and of its spoofed utterances.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="gray", linewidth=0.7, linestyle=":")
        for (name, (real, fake)), color in zip(ratios.items(), cycle(CURVE_COLORS), strict=False):
            stated, observed, weight = reliability(real, fake)
            axes.plot(stated, observed, color=color, linewidth=1)
            axes.scatter(stated, observed, s=10 + 300 * weight, color=color, label=shorten(name, 40))
        axes.set(xlabel="stated P(real)", ylabel="fraction that is real", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set_aspect("equal")
        if len(ratios) > 1:
            axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small")
    return figure


def plot_drift(reference: Array, incoming: Array, dimensions: Sequence[int], distances: Array) -> Figure:
    """Plot histograms of some dimensions of reference and incoming embeddings, and the distances of all dimensions.

    Arguments
    ---------
    reference, incoming : array
        Embeddings, shape [utterances, plotted dimensions].
    dimensions : sequence of int
        Indices of the plotted dimensions.
    distances : array
        Wasserstein-1 of all dimensions, shape [dimensions].
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * (len(dimensions) + (len(distances) > 1)), 3.2), layout="constrained")
        panels = np.ravel(figure.subplots(1, len(dimensions) + (len(distances) > 1)))
        for column, (dimension, axes) in enumerate(zip(dimensions, panels, strict=False)):
            both = np.concatenate([reference[:, column], incoming[:, column]])
            bins: Any = np.histogram_bin_edges(np.clip(both, *np.quantile(both, [0.001, 0.999])), 30)
            for values, name, color in ((reference, "reference", COLORS[0]), (incoming, "incoming", COLORS[1])):
                axes.hist(values[:, column], bins, density=True, alpha=0.45, color=color, label=name)
            title = f"dimension {dimension}: distance {distances[dimension]:.2f}"
            axes.set(yticks=[], title=title if len(distances) > 1 else f"score: distance {distances[0]:.2f}")
        panels[0].legend(frameon=False)
        if len(distances) > 1:
            panels[-1].plot(np.sort(distances)[::-1], color=COLORS[2])
            panels[-1].set(xlabel="dimensions, ranked", title="Wasserstein-1 of each", ylim=(0, None))
    return figure


def plot_robustness(rows: pd.DataFrame, units: Mapping[str, str]) -> Figure:
    """Plot the equal error rate over the strength of each perturbation, with its interval and that of clean speech.

    Arguments
    ---------
    rows : pandas.DataFrame
        ``perturbation`` (the first is ``clean``), ``strength``, ``eer``, ``low`` and ``high``.
    units : mapping of str to str
        Name of each perturbation -> unit of its strength.
    """
    clean = rows.iloc[0]
    columns = min(4, len(units))
    lines = -(-len(units) // columns)
    top = 100 * rows["high"].max()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.9 * columns, 2.4 * lines), layout="constrained")
        panels = np.ravel(figure.subplots(lines, columns, sharey=True))
        for (name, unit), axes in zip(units.items(), panels, strict=False):
            group = rows[rows["perturbation"] == name]
            positions = np.arange(len(group))
            axes.axhspan(100 * clean["low"], 100 * clean["high"], color="gray", alpha=0.25, linewidth=0)
            errors = 100 * np.abs(group[["low", "high"]].to_numpy().T - group["eer"].to_numpy())
            axes.errorbar(positions, 100 * group["eer"], errors, fmt="o-", color=COLORS[0], capsize=3, linewidth=1)
            axes.set_xticks(positions, [f"{strength:g}" for strength in group["strength"]])
            axes.set(title=name, xlabel=unit, xlim=(-0.5, len(group) - 0.5), ylim=(0, 1.05 * top))
            axes.grid(axis="y", alpha=0.3)
        for axes in panels[len(units) :]:
            axes.set_visible(False)
        figure.supylabel("EER, %; gray: clean speech")
    return figure


def save_plot(figure: Figure, path: str | os.PathLike) -> None:
    """Write a plot as PNG, PDF or SVG, by its suffix. A failure leaves no incomplete file."""
    with matplotlib.rc_context(STYLE), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def figure_to_svg(figure: Figure, name: str) -> str:
    """Convert a plot to an SVG element in the color of the surrounding text.

    Arguments
    ---------
    figure : matplotlib.figure.Figure
        The plot.
    name : str
        Unique name of the plot; makes the identifiers of its elements unique in the page.
    """
    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")
