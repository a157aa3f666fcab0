"""Distances between distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, wasserstein_distance

from antideepfake.errors import InputError
from antideepfake.evaluation.drift import measure_drift

VALUES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=30)


@given(reference=VALUES.filter(lambda values: len(set(values)) > 1), incoming=VALUES)
def test_distances_are_those_of_scipy(reference, incoming):
    drift = measure_drift(np.array(reference), np.array(incoming), np.random.default_rng(1), permutations=1)
    scale = np.std(reference)
    expected = wasserstein_distance(reference, incoming) / scale
    assert drift.wasserstein[0] == pytest.approx(expected) and drift.sliced == pytest.approx(expected)
    assert drift.kolmogorov_smirnov[0] == pytest.approx(ks_2samp(reference, incoming, method="asymp").statistic)


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_a_shift_of_a_normal_distribution(shift):
    rng = np.random.default_rng(1)
    drift = measure_drift(rng.normal(3, 2, 20_000), rng.normal(3 + 2 * shift, 2, 20_000), rng, permutations=1)
    assert drift.kullback_leibler[0] == pytest.approx(shift**2 / 2, rel=0.05)
    assert drift.wasserstein[0] == pytest.approx(shift, rel=0.05)


def test_equal_sets_have_no_drift():
    rng = np.random.default_rng(1)
    reference = np.column_stack([rng.normal(0, 1, 500), np.zeros(500), np.maximum(rng.normal(-1, 1, 500), 0)])
    drift = measure_drift(reference, rng.permutation(reference), rng)
    assert drift.wasserstein.max() == 0 and drift.kolmogorov_smirnov.max() == 0
    assert drift.kullback_leibler.max() < 1e-9 and not drift.moved.any()
    assert drift.p_value == 1.0


def test_p_values_are_uniform_without_drift_and_small_with_it():
    rng = np.random.default_rng(1)
    p_values = [
        measure_drift(rng.standard_normal((60, 5)), rng.standard_normal((40, 5)), rng, 10, 99).p_value
        for _ in range(40)
    ]
    assert 0.3 < np.mean(p_values) < 0.7 and min(p_values) < 0.25 and max(p_values) > 0.75
    moved = measure_drift(rng.standard_normal((200, 5)), rng.normal([1, 0, 0, 0, 0], 1, (200, 5)), rng)
    assert moved.p_value < 0.01 and moved.wasserstein.argmax() == 0


def test_many_dimensions_and_seeds():
    data = np.random.default_rng(1)
    reference, incoming = data.standard_normal((50, 150)), data.standard_normal((40, 150))
    whole = measure_drift(reference, incoming, np.random.default_rng(2))
    again = measure_drift(reference, incoming, np.random.default_rng(2))
    assert whole.p_value == again.p_value and whole.sliced == again.sliced
    for column in (0, 63, 64, 149):
        alone = measure_drift(reference[:, column], incoming[:, column], np.random.default_rng(2), permutations=1)
        assert whole.wasserstein[column] == pytest.approx(alone.wasserstein[0])


@pytest.mark.parametrize(
    ("reference", "incoming", "message"),
    [
        (np.zeros((5, 2)), np.ones((5, 2)), "all utterances of the reference are equal"),
        (np.eye(3), np.eye(4), "3 dimensions"),
        (np.eye(3), np.full((3, 3), np.nan), "incoming: contains values"),
        (np.eye(3)[:1], np.eye(3), "reference: 1 utterances"),
    ],
)
def test_invalid_sets_raise_an_error(reference, incoming, message):
    with pytest.raises(InputError, match=message):
        measure_drift(reference, incoming, np.random.default_rng(1))


def make_speakers(rng, count, utterances, dimensions=8):
    """Utterances of speakers that differ as much as the utterances of one."""
    voices = np.repeat(rng.standard_normal((count, dimensions)), utterances, axis=0)
    return voices + rng.standard_normal(voices.shape), np.repeat(np.arange(count), utterances)


def test_few_speakers_of_one_population_are_no_drift():
    """Guards against an alarm whenever the speakers change."""
    rng = np.random.default_rng(3)
    p_values, alone, divergences = [], [], []
    for _ in range(100):
        (reference, ours), (incoming, theirs) = make_speakers(rng, 6, 10), make_speakers(rng, 6, 10)
        drift = measure_drift(reference, incoming, rng, 10, 59, (ours, theirs))
        p_values.append(drift.p_value)
        divergences.append(drift.kullback_leibler.mean())
        alone.append(measure_drift(reference, incoming, rng, 10, 59).p_value)
        assert drift.clusters == (6, 6)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.1 and 0.4 < np.mean(p_values) < 0.6
    assert np.mean(np.array(alone) <= 0.05) > 0.8
    assert abs(np.mean(divergences)) < 0.05


def test_a_drift_of_speakers_is_significant():
    rng = np.random.default_rng(3)
    (reference, ours), (incoming, theirs) = make_speakers(rng, 12, 10), make_speakers(rng, 12, 10)
    assert measure_drift(reference, incoming + 2, rng, clusters=(ours, theirs)).p_value <= 0.01


def test_the_divergence_of_few_utterances_has_no_bias():
    rng = np.random.default_rng(3)
    found = [
        measure_drift(rng.standard_normal(30), rng.standard_normal(30), rng, 1, 19).kullback_leibler[0]
        for _ in range(200)
    ]
    assert abs(np.mean(found)) < 0.05


def test_a_moved_dimension_is_found_among_many_others():
    """Guards against a mean over dimensions that hides what moved."""
    rng = np.random.default_rng(3)
    incoming = rng.standard_normal((300, 100))
    incoming[:, 7] += 1
    drift = measure_drift(rng.standard_normal((300, 100)), incoming, rng)
    assert drift.moved[7] and drift.moved.mean() < 0.2
    nothing = measure_drift(rng.standard_normal((300, 100)), rng.standard_normal((300, 100)), rng)
    assert nothing.moved.mean() < 0.15
