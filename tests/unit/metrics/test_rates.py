"""Error rates, against values worked out by hand and against plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.metrics.rates import (
    Trials,
    count_errors,
    decision_rates,
    equal_error_rate,
    error_rates,
    interpolated_equal_error_rate,
    roc_auc,
    sort_trials,
)

# few distinct values, so that ties are common
SCORES = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=25)


@given(real=SCORES, fake=SCORES)
def test_bona_fide_utterances_come_first_among_equals(real, fake):
    trials = sort_trials(real, fake)
    expected = sorted([(score, 0) for score in real] + [(score, 1) for score in fake])
    assert list(zip(trials.scores, trials.fake, strict=True)) == expected
    np.testing.assert_array_equal(trials.real, 1 - trials.fake)


@given(real=SCORES, fake=SCORES)
def test_equal_error_rate_is_that_of_the_definition(reference_sweep, real, fake):
    points = reference_sweep(real, fake)
    best = min(range(len(points)), key=lambda index: abs(points[index][0] - points[index][1]))
    eer, threshold = equal_error_rate(error_rates(sort_trials(real, fake)))
    assert eer == pytest.approx((points[best][0] + points[best][1]) / 2, abs=1e-15)
    assert threshold == points[best][2]


@pytest.mark.parametrize("sizes", [(3, 6), (6, 3), (7, 21), (49, 10), (15, 5)])
def test_ties_between_nearest_points_resolve_as_in_the_definition(reference_sweep, sizes):
    rng = np.random.default_rng(sum(sizes))
    for _ in range(300):
        real, fake = rng.normal(0.5, 1, sizes[0]), rng.normal(0, 1, sizes[1])
        best = min(reference_sweep(real, fake), key=lambda point: abs(point[0] - point[1]))
        eer, _ = equal_error_rate(error_rates(sort_trials(real, fake)))
        assert eer == pytest.approx((best[0] + best[1]) / 2, abs=1e-9)


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
    assert equal_error_rate(error_rates(sort_trials(real, fake)))[0] == pytest.approx(eer)


def test_errors_of_each_class_at_the_equal_error_rate_are_counted():
    # the nearest rates are 1/3 and 2/5, between the scores 0 and 1
    rates = error_rates(sort_trials(real=[0.0, 3.0, 5.0], fake=[-3.0, -2.0, -1.0, 2.0, 4.0]))
    assert count_errors(rates, real=3, fake=5) == (1, 2)


def test_the_last_threshold_rejects_everything():
    rates = error_rates(sort_trials(real=[0.0, 3.0, 5.0], fake=[2.0]))
    assert rates.threshold.tolist() == [0.0, 2.0, 3.0, 5.0, np.nextafter(5.0, np.inf)]
    assert (rates.false_rejection[-1], rates.false_acceptance[-1]) == (1, 0)


def test_each_resample_has_its_own_rates():
    counts = np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[3.0, 1.0], [1.0, 0.0]])
    rates = error_rates(Trials(np.array([0.0, 1.0]), *counts))
    assert rates.false_rejection.tolist() == [[0.0, 0.0, 1.0], [0.0, 0.5, 1.0]]
    assert rates.false_acceptance.tolist() == [[1.0, 0.25, 0.0], [1.0, 0.0, 0.0]]


@given(real=SCORES, fake=SCORES)
def test_roc_auc_is_the_fraction_of_pairs(real, fake):
    expected = np.mean([(ours > theirs) + (ours == theirs) / 2 for ours in real for theirs in fake])
    assert roc_auc(sort_trials(real, fake)) == pytest.approx(expected, abs=1e-12)


def test_interpolated_equal_error_rate_by_hand():
    # points (FRR, FAR): (0, 1) (0, 1/2) (1, 1/2) (1, 0): the line from (0, 1/2) to (1, 1/2) crosses at 1/2
    assert interpolated_equal_error_rate(sort_trials([1.0], [0.0, 2.0])) == pytest.approx(0.5)
    # between (1/3, 1/2) and (1/3, 0)
    assert interpolated_equal_error_rate(sort_trials([0.0, 3.0, 4.0], [-1.0, 1.0])) == pytest.approx(1 / 3)
    # one tie of a real and a fake: the diagonal from (0, 1) to (1, 0)
    assert interpolated_equal_error_rate(sort_trials([0.0], [0.0])) == pytest.approx(0.5)


@given(real=SCORES, fake=SCORES, threshold=st.integers(-7, 7))
def test_decision_rates_match_their_definitions(real, fake, threshold):
    rates = decision_rates(sort_trials(real, fake), threshold)
    kept, passed = sum(score >= threshold for score in real), sum(score >= threshold for score in fake)
    assert rates["accuracy"] == pytest.approx((kept + len(fake) - passed) / (len(real) + len(fake)))
    assert rates["recall"] == pytest.approx(kept / len(real))
    assert rates["fnr"] == pytest.approx(1 - kept / len(real))
    assert rates["fpr"] == pytest.approx(passed / len(fake))
    assert np.isnan(rates["precision"]) if kept + passed == 0 else rates["precision"] == kept / (kept + passed)
    assert rates["f1"] == pytest.approx(2 * kept / (2 * kept + passed + len(real) - kept))


@pytest.mark.parametrize(("real", "fake", "message"), [([], [1.0], "no real"), ([1.0], [np.nan], "1 scores of fake")])
def test_missing_class_or_non_finite_score_is_an_error(real, fake, message):
    with pytest.raises(InputError, match=message):
        sort_trials(real, fake)


@given(real=SCORES, fake=SCORES)
def test_a_score_at_the_threshold_counts_as_real(real, fake):
    """Guards against a decision that differs from the sweep or from the released evaluation code."""
    trials = sort_trials(real, fake)
    for threshold in set(real) | set(fake):
        decided = decision_rates(trials, threshold)
        assert decided["fnr"] == pytest.approx(np.mean([score < threshold for score in real]))
        assert decided["fpr"] == pytest.approx(np.mean([score >= threshold for score in fake]))
    rates = error_rates(trials)
    distinct = np.append(True, np.diff(rates.threshold) > 0)  # a threshold cannot divide equal scores
    for threshold, missed, passed in zip(*(values[distinct] for values in rates), strict=True):
        decided = decision_rates(trials, threshold)
        assert (decided["fnr"], decided["fpr"]) == (pytest.approx(missed), pytest.approx(passed))


@pytest.mark.parametrize(
    ("real", "fake", "area"),
    [
        ([2, 3], [0, 1], 1.0),
        ([0, 1], [2, 3], 0.0),
        ([1, 1], [1, 1, 1], 0.5),
        ([1, 3], [2], 0.5),
        ([1, 2], [1, 0], 0.875),  # of four pairs, three are won and one is a tie
        ([0, 0, 1], [0, 1], (2 * 0.5 + 1 + 0.5) / 6),
    ],
)
def test_area_by_hand(real, fake, area):
    assert roc_auc(sort_trials(real, fake)) == pytest.approx(area)


@given(SCORES.map(np.array), SCORES.map(np.array))
def test_area_is_the_fraction_of_won_pairs(real, fake):
    difference = real[:, None] - fake[None]
    won = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert roc_auc(sort_trials(real, fake)) == pytest.approx(won)
    assert roc_auc(sort_trials(fake, real)) == pytest.approx(1 - won)
    assert roc_auc(sort_trials(3 * real + 1, 3 * fake + 1)) == pytest.approx(won)
