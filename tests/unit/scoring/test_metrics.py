"""Error rates against their definition, by hand and by brute force."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.scoring import equal_error_rate, equal_error_rate_interval, error_curves

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=25)
FEW_VALUES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=25)


def _by_definition(real, fake):
    """The sweep of the ASVspoof 5 evaluation package, one score at a time: bona fide first among equals."""
    trials = sorted([(score, 0) for score in real] + [(score, 1) for score in fake])
    rejected, accepted = 0, len(fake)
    points = [(rejected / len(real), accepted / len(fake))]
    for _, is_fake in trials:
        rejected, accepted = rejected + (not is_fake), accepted - is_fake
        points.append((rejected / len(real), accepted / len(fake)))
    return points, min(points, key=lambda point: abs(point[0] - point[1]))  # the first among equals


@given(st.one_of(SCORES, FEW_VALUES), st.one_of(SCORES, FEW_VALUES))
def test_curves_and_rate_are_those_of_the_definition(real, fake):
    """Figures could not be compared with those that others publish."""
    points, (rejection, acceptance) = _by_definition(real, fake)
    curves = error_curves(real, fake)
    np.testing.assert_allclose(np.stack([curves.false_rejection, curves.false_acceptance], 1), points, atol=1e-12)
    assert equal_error_rate(real, fake).eer == pytest.approx((rejection + acceptance) / 2, abs=1e-9)


@pytest.mark.parametrize("sizes", [(3, 6), (6, 3), (7, 21), (49, 10), (15, 5)])
def test_equally_near_points_are_taken_as_the_definition_does(sizes):
    """Rounding in the last digit, not the definition, would choose among points that are equally near."""
    rng = np.random.default_rng(sum(sizes))
    for _ in range(300):
        real, fake = rng.normal(0.5, 1, sizes[0]), rng.normal(0, 1, sizes[1])
        _, (rejection, acceptance) = _by_definition(real, fake)
        assert equal_error_rate(real, fake).eer == pytest.approx((rejection + acceptance) / 2, abs=1e-9)


@pytest.mark.parametrize(
    ("real", "fake", "eer"),
    [
        ([1.0], [0.0], 0.0),
        ([0.0], [1.0], 1.0),
        ([1, 2, 3, 4], [-4, -3, -2, -1], 0.0),
        ([1, 2, 3, 5], [0, 0.5, 2.5, -1], 0.25),  # a quarter of either is on the wrong side of 1
        ([2, 4, 6, 8, 10], [1, 3, 5, 7, 9], 0.4),  # (0, 1) (0, .8) (.2, .8) (.2, .6) (.4, .6) (.4, .4): at 5
        ([1] * 9 + [-1], [-2], 0.0),
        ([1], [0] * 99 + [2], 0.5 * (0 + 0.01)),  # one bona fide against a hundred
    ],
)
def test_worked_by_hand(real, fake, eer):
    """The definition above could share a mistake with the code."""
    assert equal_error_rate(real, fake).eer == pytest.approx(eer)


@given(SCORES, SCORES, st.sampled_from([lambda x: 3 * x - 7, np.arctan, np.cbrt, lambda x: np.arcsinh(x) ** 3]))
def test_only_the_order_of_scores_counts(real, fake, transform):
    """Calibration, which moves scores without re-ordering them, would change the error rate."""
    real, fake = np.round(real, 3), np.round(fake, 3)
    both = np.unique(np.concatenate([real, fake]))
    assume(len(np.unique(transform(both))) == len(both))
    assert equal_error_rate(transform(real), transform(fake)).eer == equal_error_rate(real, fake).eer


@given(SCORES, SCORES, st.randoms(use_true_random=False))
def test_order_of_utterances_does_not_count(real, fake, random):
    """The error rate would change when the protocol is sorted."""
    expected = equal_error_rate(real, fake)
    random.shuffle(real)
    random.shuffle(fake)
    assert equal_error_rate(real, fake) == expected


@given(st.lists(st.integers(-10_000, 10_000).map(float), min_size=2, max_size=40, unique=True), st.data())
def test_swapping_the_classes_mirrors(scores, data):
    """One class would be treated unlike the other. Only where one point is nearest: among equals the first is taken."""
    size = data.draw(st.integers(1, len(scores) - 1))
    real, fake = np.array(scores[:size]), np.array(scores[size:])
    points, _ = _by_definition(real, fake)
    distances = sorted(abs(rejection - acceptance) for rejection, acceptance in points)
    assume(distances[1] - distances[0] > 1e-9)
    assert equal_error_rate(-fake, -real).eer == pytest.approx(equal_error_rate(real, fake).eer)


@given(SCORES, SCORES)
def test_threshold_gives_the_rates(real, fake):
    """Decisions at the threshold of a model folder would have other errors than it says."""
    assume(not set(real) & set(fake) and len({*real, *fake}) == len(real) + len(fake))
    eer, threshold = equal_error_rate(real, fake)
    rejected = np.mean(np.array(real) <= threshold)
    accepted = np.mean(np.array(fake) > threshold)
    assert (rejected + accepted) / 2 == pytest.approx(eer)


def test_imbalance_does_not_shift_the_rate():
    """A test set with ten times more generated speech would look harder or easier."""
    rng = np.random.default_rng(1)
    real = rng.normal(2, 1, 4000)
    few, many = equal_error_rate(real, rng.normal(0, 1, 4000)).eer, equal_error_rate(real, rng.normal(0, 1, 40_000)).eer
    assert few == pytest.approx(0.1587, abs=0.01)  # the normal distribution beyond one deviation
    assert many == pytest.approx(0.1587, abs=0.01)


def test_a_detector_that_says_the_same_of_all_is_no_good():
    """Ties broken in the detector's favour would make a constant score look perfect."""
    assert equal_error_rate([0.0] * 5, [0.0] * 5).eer >= 0.5


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        ([], [1.0], "no real utterance"),
        ([1.0], [], "no fake utterance"),
        ([1.0, np.nan], [0.0], "1 scores of real utterances are not finite"),
        ([1.0], [0.0, np.inf, -np.inf], "2 scores of fake"),
    ],
)
@pytest.mark.parametrize(
    "metric",
    [equal_error_rate, error_curves, lambda real, fake: equal_error_rate_interval(real, fake, np.random.default_rng())],
)
def test_scores_that_have_no_rate_are_told(metric, real, fake, said):
    """NaN would be sorted to the end and counted as the most real of all."""
    with pytest.raises(InputError, match=said):
        metric(real, fake)


def test_interval_is_that_of_drawing_utterances():
    """The interval would be too narrow or too wide."""
    rng = np.random.default_rng(1)
    real, fake = rng.normal(1.5, 1, 80), rng.normal(0, 1, 60)
    draws = [equal_error_rate(rng.choice(real, 80), rng.choice(fake, 60)).eer for _ in range(2000)]
    expected = np.quantile(draws, [0.05, 0.95])
    found = equal_error_rate_interval(real, fake, np.random.default_rng(2), draws=2000, level=0.9)
    np.testing.assert_allclose(found, expected, atol=0.012)


def test_interval_narrows_with_utterances_and_repeats_with_the_seed():
    """More data would not show; or the same scores would give two reports."""

    def interval(size, seed):
        rng = np.random.default_rng(5)
        scores = rng.normal(1.5, 1, size), rng.normal(0, 1, size)
        return equal_error_rate_interval(*scores, np.random.default_rng(seed))

    assert interval(50, 1) == interval(50, 1)
    (low, high), (lower, higher) = interval(50, 1), interval(5000, 1)
    assert (higher - lower) < 0.25 * (high - low)
    assert lower < 0.2266 < higher  # the normal distribution beyond 0.75 deviations


def test_interval_of_a_perfect_detector_is_a_point():
    """Without an error in the sample the bootstrap knows of none."""
    assert equal_error_rate_interval([2.0, 3.0], [0.0, 1.0], np.random.default_rng(1)) == (0.0, 0.0)
