"""Error rates of localization, against values worked out by hand and their limits."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.metrics.bootstrap import estimate
from antideepfake.metrics.localization import (
    ScoredSegments,
    cut_segments,
    cut_time,
    fake_time_rates,
    join_segments,
    localization_eer,
)
from antideepfake.metrics.rates import interpolated_equal_error_rate

SPANS = [[4.0, 6.0]]
EDGES, SCORES = [0.0, 4.0, 5.0, 6.0, 7.0, 10.0], [1.0, -1.0, 1.0, -2.0, 1.0]
# scores of seven steps of 1 s, and the label of each
STEPS = st.lists(st.tuples(st.integers(-3, 3).map(float), st.booleans()), min_size=2, max_size=7)


def spans_of(labels):
    return [[index, index + 1] for index, is_fake in enumerate(labels) if is_fake]


@pytest.mark.parametrize(
    ("spans", "edges", "scores", "eer"),
    [
        (SPANS, EDGES, [1, -1, -1, 1, 1], 0.0),
        (SPANS, EDGES, [-1, 1, 1, -1, -1], 1.0),
        # between 1 of 8 s real rejected and 1 of 2 s fake accepted, and 1 and 0: at 3 / 11 of the way
        (SPANS, EDGES, SCORES, 4 / 11),
        # a step of which 0.5 s is fake: between 0 and 1, and 1.5 of 3.5 s and 0: at 0.7 of the way
        ([[0.5, 1.0]], [0, 2, 4], [0, 2], 0.3),
        ([[0, 1], [2, 3]], [0, 1, 2, 3, 4], [0, 1, 2, 3], 0.5),
    ],
)
def test_range_based_error_rate_by_hand(spans, edges, scores, eer):
    assert localization_eer(cut_time(spans, edges, scores)) == pytest.approx(eer)


@pytest.mark.parametrize(
    ("resolution", "scores", "is_real"),
    [
        (2.0, [1, 1, -1, -2, 1], [True, True, False, True, True]),
        (4.0, [1, -2, 1], [True, False, True]),  # the last one is shorter
        (5.0, [-1, -2], [False, False]),
        (100.0, [-2], [False]),
    ],
)
def test_segments_by_hand(resolution, scores, is_real):
    segments = cut_segments(SPANS, EDGES, SCORES, resolution)
    assert segments.scores.tolist() == scores and segments.is_real.tolist() == is_real
    assert segments.weights.tolist() == [1] * len(scores)


@pytest.mark.parametrize("resolution", [0.02, 0.04, 0.64])
def test_rounding_of_times_adds_no_segment(resolution):
    """Guards against a neighbor of a fake segment labeled fake because of the last digit of a time."""
    edges = resolution * np.arange(101)
    segments = cut_segments([[resolution * 30, 40 * resolution * (1 + 1e-12)]], edges, np.arange(100), resolution)
    assert len(segments.scores) == 100 and segments.scores.tolist() == list(range(100))
    assert np.flatnonzero(~segments.is_real).tolist() == list(range(30, 40))


@given(STEPS)
def test_segments_that_fit_give_the_range_based_error_rate(steps):
    scores, labels = zip(*steps, strict=True)
    assume(len(set(labels)) == 2)
    edges = np.arange(len(steps) + 1)
    expected = localization_eer(cut_time(spans_of(labels), edges, scores))
    for resolution in (1.0, 0.5, 0.1):
        assert localization_eer(cut_segments(spans_of(labels), edges, scores, resolution)) == pytest.approx(expected)


def test_short_segments_tend_to_the_range_based_error_rate():
    rng = np.random.default_rng(1)
    utterances = []
    for _ in range(20):
        edges = np.append(0, np.cumsum(rng.uniform(0.1, 1, 30)))
        spans = np.sort(rng.uniform(0, edges[-1], 4)).reshape(-1, 2)
        inside = ((spans[:, :1] < edges[:-1]) & (edges[1:] < spans[:, 1:])).any(0)
        utterances.append((spans, edges, rng.normal(0, 1, 30) - 1.5 * inside))
    exact = localization_eer(join_segments([cut_time(*utterance) for utterance in utterances])[0])
    errors = [
        localization_eer(join_segments([cut_segments(*utterance, step) for utterance in utterances])[0]) - exact
        for step in (0.1, 0.01, 0.002)
    ]
    assert abs(errors[0]) > abs(errors[1]) > abs(errors[2]) and abs(errors[2]) < 1e-3


@given(STEPS, st.integers(0, 6), st.floats(0.05, 0.95))
def test_splitting_a_step_or_a_span_changes_nothing(steps, index, part):
    scores, labels = zip(*steps, strict=True)
    assume(len(set(labels)) == 2)
    index %= len(steps)
    edges, spans = np.arange(len(steps) + 1.0), spans_of(labels)
    whole = cut_time(spans, edges, scores)
    more = [[start, start + part] for start, _ in spans] + [[start + part, end] for start, end in spans]
    split = cut_time(more, np.insert(edges, index + 1, index + part), np.insert(scores, index, scores[index]))
    assert localization_eer(split) == pytest.approx(localization_eer(whole))
    assert fake_time_rates(split, 0.5) == pytest.approx(fake_time_rates(whole, 0.5), nan_ok=True)


@given(STEPS, st.integers(1, 5))
def test_only_the_order_of_scores_counts(steps, factor):
    scores, labels = zip(*steps, strict=True)
    assume(len(set(labels)) == 2)
    edges = np.arange(len(steps) + 1.0)
    eer = localization_eer(cut_time(spans_of(labels), edges, scores))
    assert localization_eer(cut_time(spans_of(labels), factor * edges / factor, np.exp(scores))) == eer
    opposite = localization_eer(cut_time(spans_of([not label for label in labels]), edges, -np.array(scores)))
    assert opposite == pytest.approx(eer)


@pytest.mark.parametrize(
    ("threshold", "rates"),
    [
        (0.0, (1 / 2, 1 / 2, 1 / 2)),  # called fake: 4 to 5 s and 6 to 7 s
        (-1.5, (0.0, 0.0, 0.0)),
        (-2.0, (np.nan, 0.0, 0.0)),
        (2.0, (0.2, 1.0, 1 / 3)),
    ],
)
def test_fake_time_by_hand(threshold, rates):
    found = fake_time_rates(cut_time(SPANS, EDGES, SCORES), threshold)
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(rates, nan_ok=True)


def test_nothing_fake_and_nothing_called_fake():
    found = fake_time_rates(cut_time([], EDGES, SCORES), -5.0)
    assert np.isnan(list(found.values())).all()


def test_time_outside_the_timeline_is_ignored():
    segments = cut_time([[-1.0, 0.5], [9.0, 12.0]], [0.0, 10.0], [0.0])
    assert segments.weights.tolist() == [0.5, 8.5, 1.0] and segments.is_real.tolist() == [False, True, False]


@pytest.mark.parametrize("label", ["real", "fake"])
def test_a_missing_label_is_an_error(label):
    with pytest.raises(InputError, match=f"contain no {label} time"):
        localization_eer(cut_time([[0, 10]] if label == "real" else [], EDGES, SCORES))


@pytest.mark.parametrize(
    ("edges", "scores"), [([0, 1], [1, 2]), ([0, 1, 1], [1, 2]), ([0, 2, 1], [1, 2]), ([0, 1, 2], [1, np.nan])]
)
def test_timelines_are_checked(edges, scores):
    with pytest.raises(InputError, match="one more edge than scores, in ascending order"):
        cut_time([], edges, scores)
    with pytest.raises(InputError, match="the resolution is 0"):
        cut_segments([], [0, 1], [1], 0)


def test_the_bootstrap_weighs_segments_and_resamples_utterances():
    """Guards against intervals that treat the segments of an utterance as independent, or ignore their length."""
    rng = np.random.default_rng(1)

    def measure(trials):
        return {"eer": interpolated_equal_error_rate(trials)}

    utterances = []
    for _ in range(40):
        shift = rng.normal(0, 1)  # common to the utterance
        scores = shift + np.where(np.arange(20) < 5, -1.5, 0) + rng.normal(0, 0.3, 20)
        utterances.append(cut_time([[0.0, 0.5]], 0.1 * np.arange(21), scores))
    segments, numbers = join_segments(utterances)
    given = measure, segments.scores, segments.is_real
    clustered = estimate(*given, np.random.default_rng(2), clusters=numbers, weights=segments.weights)["eer"]
    independent = estimate(*given, np.random.default_rng(2))["eer"]
    assert clustered.value == pytest.approx(localization_eer(segments)) == pytest.approx(independent.value)
    assert clustered.low < independent.low < clustered.value < independent.high < clustered.high

    halves = ScoredSegments(*(np.repeat(values, 2) for values in segments))
    halves = halves._replace(weights=halves.weights / 2)
    twice = estimate(
        measure,
        halves.scores,
        halves.is_real,
        np.random.default_rng(2),
        clusters=np.repeat(numbers, 2),
        weights=halves.weights,
    )
    assert twice["eer"] == pytest.approx(clustered, abs=1e-3)
