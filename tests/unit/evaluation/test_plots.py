"""Plots of scores."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from antideepfake.evaluation.evaluator import Evaluator
from antideepfake.evaluation.plots import (
    figure_to_svg,
    plot_det,
    plot_groups,
    plot_histograms,
    plot_localization,
    plot_reliability,
    plot_timeline,
    save_plot,
)
from antideepfake.inference.timeline import Timeline
from antideepfake.metrics.rates import sort_trials
from antideepfake.scoring.timeline_file import StepScores


@pytest.fixture
def real_and_fake():
    rng = np.random.default_rng(1)
    return rng.normal(2, 1, 5000), rng.normal(0, 1, 5000)


def test_det_curves_are_thinned_and_correct(real_and_fake):
    real, fake = real_and_fake
    figure = plot_det({"fake": sort_trials(real, fake)})
    line = figure.axes[0].lines[1]
    x, y = line.get_data()
    assert 100 < len(x) < 3000
    assert np.abs(x + 1).min() < 0.1 and np.abs(y[np.abs(x + 1).argmin()] + 1) < 0.15  # deviates of 15.9 %: -1
    assert "EER 15." in line.get_label() or "EER 16." in line.get_label()


def test_histograms_include_all_scores(real_and_fake):
    real, fake = real_and_fake
    figure = plot_histograms({"s": ({"real": np.append(real, 1e6), "fake": fake}, 1.0)})
    assert "real (5001)" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    area = sum(bar.get_height() * bar.get_width() for bar in figure.axes[0].containers[0])
    assert area == pytest.approx(1.0)


def test_reliability_of_true_ratios_lies_on_the_diagonal(real_and_fake):
    real, fake = real_and_fake
    figure = plot_reliability({"true": (2 * real - 2, 2 * fake - 2)})  # unit normals two apart
    points = figure.axes[0].collections[0].get_offsets()
    assert np.abs(points[:, 0] - points[:, 1]).max() < 0.05


def test_svg_elements_have_unique_identifiers_and_the_color_of_the_page(real_and_fake):
    real, fake = real_and_fake
    trials = sort_trials(real, fake)
    first, second = (figure_to_svg(plot_det({"f": trials}), name) for name in "ab")
    ElementTree.fromstring(first)
    assert "currentColor" in first and "#1b1c1d" not in first
    names = [{part.split('"')[0] for part in svg.split('clipPath id="')[1:]} for svg in (first, second)]
    assert names[0] and not names[0] & names[1]


def test_groups_with_both_classes_are_plotted_and_saved(tmp_path, real_and_fake):
    import pandas as pd

    real, fake = real_and_fake
    scores = pd.DataFrame({"ID": range(90), "Score": [*real[:30], *fake[:60]], "Label": ["real"] * 30 + ["fake"] * 60})
    scores["Language"] = ["EN"] * 15 + ["FR"] * 45 + ["IT"] * 30
    groups = Evaluator().evaluate(scores, "s", ["Language"]).groups["Language"]
    figure = plot_groups(groups, "Language")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["FR"]
    save_plot(figure, tmp_path / "groups.png")
    assert (tmp_path / "groups.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("duration", "unit", "ticks"), [(20.0, "s", None), (2400.0, "min", [0, 5, 10, 15, 20, 25, 30, 35])]
)
def test_a_timeline_marks_what_is_fake_and_what_is_not_speech(duration, unit, ticks):
    scores, speech = np.array([2.0, 2.0, -1.0, -1.0, 3.0]), np.array([1, 1, 1, 1, 0], bool)
    timeline = Timeline(duration / 5, duration, scores, speech)
    figure = plot_timeline(timeline, 0.5, np.array([[-0.1, 0.1], [-0.5, 0.25]]), "a.wav")
    waveform, over_time = figure.axes
    assert waveform.get_title() == "a.wav" and over_time.get_xlabel() == f"time in {unit}"
    assert [text.get_text() for text in over_time.get_legend().get_texts()] == ["threshold 0.50", "fake", "no speech"]
    spans = [patch for patch in over_time.patches if isinstance(patch, Rectangle)]
    found = np.array([(span.get_x(), span.get_width()) for span in spans])
    np.testing.assert_allclose(found, [(0.4 * duration, 0.4 * duration), (0.8 * duration, 0.2 * duration)])
    if ticks:
        shown = [over_time.xaxis.get_major_formatter()(tick, None) for tick in over_time.get_xticks()]
        assert shown == [str(tick) for tick in ticks]


def test_localization_marks_what_is_truly_fake():
    timelines = {
        "a": StepScores(np.arange(5.0), np.array([1.0, -1.0, 1.0, 1.0]), 0.5),
        "b": StepScores(np.arange(3.0), np.array([1.0, 1.0]), None),
    }
    first, second = plot_localization(timelines, {"a": np.array([[1.0, 2.5]]), "b": np.empty((0, 2))}).axes
    [marked] = [patch for patch in first.patches if isinstance(patch, Rectangle)]
    assert (marked.get_x(), marked.get_width()) == (1.0, 1.5)
    assert not [patch for patch in second.patches if isinstance(patch, Rectangle)]
    assert [line.get_ydata()[0] for line in first.lines] == [0.5] and not second.lines
    assert first.get_xlim() == (0, 4) and second.get_xlim() == (0, 2)
