"""Costs, against values worked out by hand and against plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.metrics.costs import (
    ACT_DCF_THRESHOLD,
    AsvScores,
    act_dcf,
    cllr,
    min_a_dcf,
    min_cllr,
    min_cllr_bias,
    min_dcf,
    min_t_dcf,
    reliability,
    t_dcf_weights,
)
from antideepfake.metrics.rates import (
    Trials,
    error_rates,
    sort_trials,
)

# few distinct values, so that ties are common
SCORES = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=25)


@given(real=SCORES, fake=SCORES)
def test_costs_are_those_of_the_definitions(reference_sweep, real, fake):
    points = reference_sweep(real, fake)
    trials = sort_trials(real, fake)
    assert min_dcf(error_rates(trials)) == pytest.approx(min(0.95 * p[0] + 0.5 * p[1] for p in points) / 0.5)
    missed = np.mean([score < -np.log(1.9) for score in real])
    accepted = np.mean([score >= -np.log(1.9) for score in fake])
    assert act_dcf(trials) == pytest.approx((0.95 * missed + 0.5 * accepted) / 0.5)
    bits = np.mean(np.log2(1 + np.exp(-np.array(real)))) + np.mean(np.log2(1 + np.exp(np.array(fake))))
    assert cllr(trials) == pytest.approx(bits / 2)


def test_a_score_at_the_threshold_of_the_actual_cost_counts_as_real():
    below = np.nextafter(ACT_DCF_THRESHOLD, -np.inf)
    assert act_dcf(sort_trials(real=[ACT_DCF_THRESHOLD], fake=[below])) == 0
    assert act_dcf(sort_trials(real=[below], fake=[ACT_DCF_THRESHOLD])) == pytest.approx((0.95 + 0.5) / 0.5)


def test_each_resample_has_its_own_minimum_cllr():
    # reversed scores, then separated ones; no utterance has the score 1
    counts = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]), np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 0.0]])
    assert min_cllr(Trials(np.array([0.0, 1.0, 2.0]), *counts)) == pytest.approx([1.0, 0.0])


@given(real=SCORES, fake=SCORES)
def test_minimum_cllr_is_below_every_monotone_calibration(real, fake):
    lowest = min_cllr(sort_trials(real, fake))
    for scale, offset in ((1, 0), (0.3, -1), (2, 1)):
        scaled = sort_trials(scale * np.array(real) + offset, scale * np.array(fake) + offset)
        assert lowest <= cllr(scaled) + 1e-9
        assert min_cllr(scaled) == pytest.approx(lowest)
    assert -1e-12 <= lowest <= 1 + 1e-12


def test_minimum_cllr_by_hand():
    # fractions of a class: certain fake 1/2, undecided 1/2 and 1/2, certain real 1/2
    assert min_cllr(sort_trials(real=[0.0, 1.0], fake=[0.0, -1.0])) == pytest.approx(0.5)


def test_minimum_cllr_bias_by_hand():
    # scores 1, 2 and 2.5 are out of order and share a level: three levels, for 24/7 utterances a class
    bias = min_cllr_bias(sort_trials(real=[1.0, 1.0, 3.0], fake=[0.0, 1.0, 2.0, 2.5]))
    assert bias == pytest.approx(3 / (2 * np.log(2) * 24 / 7))


def test_verification_scores_at_the_threshold_are_accepted():
    # the error rates of the verification system are equal when it rejects the lowest score only, 0
    asv = AsvScores(np.array([1.0, 2.0]), np.array([0.0]), np.array([0.0, -1.0]))
    always, miss, alarm = 0.0095 * 10 * 1, 0.9405 - 0.0095 * 10 * 1, 0.05 * 10 * 0.5
    expected = np.array([always, miss, alarm]) / (always + alarm)
    assert t_dcf_weights(asv) == pytest.approx(tuple(expected))


def test_t_dcf_by_hand():
    asv = AsvScores(np.array([1.0, 2.0, 3.0, 4.0]), np.array([-2.0, -1.0, 0.0, 2.5]), np.array([2.0, 5.0]))
    # its equal error rate is 1/4 at 1: of the targets none lies below 1, one nontarget and both spoofs at or above it
    always = 0.0095 * 10 * 0.25
    miss, alarm = 0.9405 - always, 0.05 * 10 * 1.0
    rates = error_rates(sort_trials(real=[0.0, 2.0], fake=[-1.0, 1.0]))
    cost = min(always + miss * x + alarm * y for x, y in ((0, 1), (0, 0.5), (0.5, 0.5), (0.5, 0), (1, 0)))
    assert min_t_dcf(rates, asv) == pytest.approx(cost / (always + min(miss, alarm)))


@pytest.mark.parametrize(
    ("target", "nontarget", "spoof"),
    [
        ([1.0, 2.0], [-2.0, -1.0], [-5.0]),
        (range(10), [20.0], [30.0]),  # of ten targets only the highest is accepted: 0.9405 / 10 < 0.0095 * 10
    ],
)
def test_a_verification_system_that_accepts_no_spoofs_or_hardly_a_target_is_an_error(target, nontarget, spoof):
    asv = AsvScores(*(np.array(scores, dtype=float) for scores in (target, nontarget, spoof)))
    with pytest.raises(InputError, match="accepts no spoofed or no target speech"):
        t_dcf_weights(asv)


@given(target=SCORES, nontarget=SCORES, spoof=SCORES)
def test_a_dcf_is_the_lowest_cost_of_all_thresholds(target, nontarget, spoof):
    costs = []
    for threshold in (-7, *target, *nontarget, *spoof):
        accepted, alarms, spoofs = (np.mean(np.array(kind) > threshold) for kind in (target, nontarget, spoof))
        costs.append(0.9405 * (1 - accepted) + 0.095 * alarms + 0.5 * spoofs)
    assert min_a_dcf(AsvScores(target, nontarget, spoof)) == pytest.approx(min(costs) / 0.595)


def test_true_ratios_are_reliable_and_stretched_ones_are_not(rng):
    real, fake = rng.normal(1, 1, 20_000), rng.normal(-1, 1, 20_000)  # unit normals two apart: the ratio is 2 s
    stated, observed, weight = reliability(2 * real, 2 * fake)
    assert np.abs(stated - observed).max() < 0.03 and weight.sum() == pytest.approx(1)
    stated, observed, weight = reliability(8 * real, 8 * fake)
    assert weight @ np.abs(stated - observed) > 0.05


def test_reliability_by_hand():
    # probabilities 0.5 and 1 of bona fide, 0.1, 0.3 and 0.6 of spoofed utterances; each class has a weight of one half
    fake = np.array([0.1, 0.3, 0.6])
    stated, observed, weight = reliability([0.0, 40.0], np.log(fake / (1 - fake)), n_bins=4)
    assert stated == pytest.approx([0.1, 0.3, (0.5 / 4 + 0.6 / 6) / (5 / 12), 1.0])
    assert observed == pytest.approx([0.0, 0.0, (1 / 4) / (5 / 12), 1.0])
    assert weight == pytest.approx([1 / 6, 1 / 6, 5 / 12, 1 / 4])


def test_reliability_has_ten_bins_by_default():
    probability = np.linspace(0.005, 0.995, 100)
    ratios = np.log(probability / (1 - probability))
    assert reliability(ratios, ratios).stated == pytest.approx(np.linspace(0.05, 0.95, 10))


def test_empty_bins_are_omitted():
    assert reliability([40.0], [-40.0]).weight.tolist() == [0.5, 0.5]


def test_class_sizes_do_not_change_reliability(rng):
    real, fake = rng.normal(1, 1, 500), rng.normal(-1, 1, 500)
    once, thrice = reliability(real, fake), reliability(real, np.tile(fake, 3))
    np.testing.assert_allclose(np.stack(once), np.stack(thrice))
