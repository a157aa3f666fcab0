"""Fitting and applying a calibration, fusion and thresholds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.metrics.costs import cllr, min_cllr
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
from antideepfake.model_folder.calibration import (
    Isotonic,
    Logistic,
    describe_calibration,
    fit_isotonic,
    fit_logistic,
    read_calibration,
    threshold_for,
)

SCORES = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=30)


def normal_scores(rng, count=4000, scale=3.0, offset=5.0):
    """Scores of which the true ratio is known: two unit normals two apart, then scaled and moved."""
    real, fake = rng.normal(2, 1, count), rng.normal(0, 1, count // 4)
    return scale * real + offset, scale * fake + offset


@pytest.mark.parametrize("fit", [fit_logistic, fit_isotonic])
def test_calibrated_scores_are_log_likelihood_ratios(fit):
    rng = np.random.default_rng(1)
    calibrate = fit(*normal_scores(rng))
    real, fake = normal_scores(rng)
    after = cllr(sort_trials(calibrate(real), calibrate(fake)))
    assert after < cllr(sort_trials(real, fake)) - 0.5
    assert after == pytest.approx(min_cllr(sort_trials(real, fake)), abs=0.02)


def test_calibration_does_not_depend_on_class_sizes():
    rng = np.random.default_rng(1)
    real, fake = normal_scores(rng, 3000)
    once, thrice = fit_logistic(real, fake), fit_logistic(real, np.tile(fake, 3))
    assert thrice.offset == pytest.approx(once.offset, abs=5e-3)
    assert thrice.weights == pytest.approx(once.weights, abs=5e-3)


def test_separated_classes_have_a_finite_calibration():
    for fit in (fit_logistic, fit_isotonic):
        ratios = fit([1.0, 2.0], [-1.0, -2.0])(np.array([-100.0, 100.0]))
        assert np.isfinite(ratios).all() and ratios[0] < 0 < ratios[1]


def test_fusion_weighs_each_system():
    rng = np.random.default_rng(1)
    is_real = np.arange(4000) < 1000
    systems = rng.normal(0, 1, (4000, 3)) * [1, 1, 9] + np.outer(is_real, [2, 1, 0])
    fuse = fit_logistic(systems[is_real], systems[~is_real])
    assert fuse.weights[:2] == pytest.approx([2.0, 1.0], abs=0.15)  # unit normals d apart: d s - d^2 / 2
    assert abs(fuse.weights[2]) < 0.02
    assert fuse.offset == pytest.approx(-(2**2 + 1) / 2, abs=0.15)
    fused = fuse(systems)
    rates = [
        float(equal_error_rate(error_rates(sort_trials(scores[is_real], scores[~is_real])))[0])
        for scores in (fused, *systems.T)
    ]
    assert rates[0] < min(rates[1:])


def test_the_ridge_penalty_limits_the_weight():
    (weight,) = fit_logistic([1.0], [-1.0]).weights
    # the derivative of ln(1 + exp(-w)) + 1e-4 w^2 / 2 is zero
    assert 1e-4 * weight == pytest.approx(1 / (1 + np.exp(weight)), rel=1e-3)


def test_isotonic_calibration_by_hand():
    # with one of each class at both ends: 1 real and 4 fake up to 1; 1 and 1 at 2; 3 and 1 from 3; 5 and 6 in all
    calibrate = fit_isotonic(real=[2.0, 3.0, 4.0], fake=[0.0, 0.5, 1.0, 2.0])
    assert calibrate.scores == [0.0, 1.0, 2.0, 3.0, 4.0]
    fractions = [(1 / 5) / (4 / 6)] * 2 + [(1 / 5) / (1 / 6)] + [(3 / 5) / (1 / 6)] * 2
    assert calibrate.ratios == pytest.approx(np.log(fractions))


@given(real=SCORES, fake=SCORES)
def test_isotonic_calibration_never_decreases(real, fake):
    calibrate = fit_isotonic(real, fake)
    assert (np.diff(calibrate(np.linspace(-8, 8, 200))) >= -1e-12).all()
    assert np.isfinite(calibrate.ratios).all()


@given(real=SCORES, fake=SCORES, limit=st.floats(0, 0.99))
def test_thresholds_keep_the_error_rate_within_the_limit(real, fake, limit):
    real, fake = np.array(real), np.array(fake)
    candidates = np.concatenate([[10.0], real, fake])
    threshold, _ = threshold_for(real, fake, fpr=limit)
    assert (fake >= threshold).mean() <= limit
    good = [other for other in candidates if (fake >= other).mean() <= limit]
    assert (real < threshold).mean() == min((real < other).mean() for other in good)
    threshold, _ = threshold_for(real, fake, fnr=limit)
    assert (real < threshold).mean() <= limit
    good = [other for other in candidates if (real < other).mean() <= limit]
    assert (fake >= threshold).mean() == min((fake >= other).mean() for other in good)


def test_the_default_threshold_is_that_of_the_equal_error_rate():
    real, fake = normal_scores(np.random.default_rng(1), 200)
    threshold, source = threshold_for(real, fake)
    assert threshold == equal_error_rate(error_rates(sort_trials(real, fake)))[1]
    assert source.startswith("equal error rates: ")


def test_invalid_limits_are_errors():
    with pytest.raises(InputError, match=r"fpr is 1\.0; it must be at least 0 and less than 1"):
        threshold_for([1.0], [0.0], fpr=1.0)
    with pytest.raises(InputError, match=r"fnr is -0\.1; it must be at least 0"):
        threshold_for([1.0], [0.0], fnr=-0.1)
    with pytest.raises(InputError, match="pass only one"):
        threshold_for([1.0], [0.0], fpr=0.1, fnr=0.1)


def test_the_default_threshold_has_the_errors_that_it_names():
    real, fake = np.array([1.0, 2.0, 3.0, 4.0]), np.array([-1.0, 0.0, 0.5, 2.0])
    threshold, source = threshold_for(real, fake)
    assert threshold == 2.0 and source == (
        "equal error rates: 25.00 % of real called fake, 25.00 % of fake called real"
    )
    assert ((real < threshold).mean(), (fake >= threshold).mean()) == (0.25, 0.25)


@pytest.mark.parametrize("calibration", [Logistic([2.0], -1.0), Isotonic([0.0, 1.0, 2.0], [-3.0, 0.0, 0.5])])
def test_calibration_survives_a_round_trip(calibration):
    again = read_calibration(describe_calibration(calibration))
    scores = np.linspace(-2, 4, 20)
    assert again == calibration
    np.testing.assert_array_equal(again(scores), calibration(scores))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"method": "other"},
        {"method": "logistic", "weights": [1.0]},
        {"method": "logistic", "weights": [float("nan")], "offset": 0.0},
        {"method": "logistic", "weights": [1.0, 2.0], "offset": 0.0},
        {"method": "isotonic", "scores": [0.0], "ratios": [float("inf")]},
        {"method": "isotonic", "scores": [0.0, 1.0], "ratios": [0.0]},
        {"method": "logistic", "weights": [1.0], "offset": [[1]]},
        {"method": "logistic", "weights": [True], "offset": 0.0},
        {"method": "logistic", "weights": {"1": 1.0}, "offset": 0.0},
        {"method": "logistic", "weights": [[1.0]], "offset": 0.0},
        {"method": "logistic", "weights": [1e308], "offset": 0.0},
        {"method": "logistic", "weights": [10**400], "offset": 0.0},
        {"method": "isotonic", "scores": [1.0, 0.0], "ratios": [0.0, 1.0]},
        {"method": "isotonic", "scores": [0.0, 1.0], "ratios": [-1e308, 1e308]},
    ],
)
def test_malformed_calibrations_are_errors(values):
    with pytest.raises(InputError, match="calibrate again"):
        read_calibration(values)
