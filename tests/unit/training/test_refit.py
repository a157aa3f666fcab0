"""A new linear classifier on the embeddings of a detector."""

import numpy as np
import pytest

from antideepfake.errors import InputError
from antideepfake.metrics.costs import cllr
from antideepfake.metrics.rates import sort_trials
from antideepfake.training.refit import fit_classifier, fit_logistic_regression


@pytest.fixture
def embeddings(rng):
    """Two classes that differ in one of twelve dimensions of different offset and scale."""
    is_real = np.arange(200) % 3 == 0
    values = rng.standard_normal((200, 12))
    values[:, 4] += 3 * is_real
    return values * np.geomspace(0.01, 100, 12) + np.linspace(-5, 5, 12), is_real


def test_the_weights_reproduce_a_logistic_regression(embeddings):
    values, is_real = embeddings
    fit = fit_classifier(values, is_real)
    logits = values @ fit.weight.T + fit.bias
    assert logits.shape == (200, 2)
    np.testing.assert_allclose(logits[:, 0], -logits[:, 1], atol=1e-9)
    scores = logits[:, 1] - logits[:, 0]
    assert np.mean((scores > 0) == is_real) > 0.9
    assert np.corrcoef(scores, fit.scores)[0, 1] > 0.95
    scale = fit.weight[1] * values.std(0)
    assert np.argmax(np.abs(scale)) == 4


def test_scores_are_calibrated_for_balanced_classes(embeddings):
    values, is_real = embeddings
    fit = fit_classifier(values, is_real)
    probability = 1 / (1 + np.exp(-fit.scores))
    weight = np.where(is_real, 0.5 / is_real.sum(), 0.5 / (~is_real).sum())
    assert np.sum(weight * probability) == pytest.approx(0.5, abs=0.05)


def test_an_overconfident_classifier_is_calibrated(rng):
    """Guards against a regularization that is too strong: it was chosen without the calibration, which costs EER."""
    is_real = np.arange(2000) % 2 == 0
    values = rng.standard_normal((2000, 150)) + 0.1 * is_real[:, None]
    fit = fit_classifier(values[:300], is_real[:300], strengths=[100.0])
    raw = fit_logistic_regression(values[:300], is_real[:300], 100.0)
    costs = []
    for weight, bias in ((fit.weight, fit.bias), raw):
        fake, real = weight @ values[300:].T + bias[:, None]
        scores = real - fake
        costs.append(float(cllr(sort_trials(scores[is_real[300:]], scores[~is_real[300:]]))))
    assert costs[0] < 1 < costs[1]
    np.testing.assert_allclose(fit.weight / raw[0], (fit.weight / raw[0])[0, 0])  # the same direction


def test_a_calibration_does_not_turn_a_classifier_around():
    """Guards against scores of the other sign where the cross-validation is worse than chance."""
    values = np.repeat([[1.0], [-3.0], [-1.0], [3.0]], 10, axis=0)
    is_real = np.arange(40) < 20
    fit = fit_classifier(values, is_real, np.repeat(["ann", "bea", "cat", "dan"], 10), seed=5)
    assert np.mean((fit.scores > 0) == is_real) < 0.5
    np.testing.assert_allclose(fit.weight, fit_logistic_regression(values, is_real, fit.strength)[0])


def test_speakers_of_a_fold_are_unknown_to_its_fit(rng):
    """Guards against error rates that only hold for the speakers of the fit."""
    speakers = np.repeat(np.arange(20), 10)
    is_real = speakers % 2 == 0
    values = 10 * rng.standard_normal((20, 30))[speakers] + 0.1 * rng.standard_normal((200, 30))
    by_speaker = fit_classifier(values, is_real, speakers.astype(str)).scores
    mixed = fit_classifier(values, is_real).scores
    assert np.mean((mixed > 0) == is_real) > 0.95  # the speakers are recognized
    assert np.mean((by_speaker > 0) == is_real) < 0.8


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda values, is_real: (values, is_real & (np.arange(200) < 20), None), "7 real utterances are too few"),
        (lambda values, is_real: (np.where(values > 0, np.nan, values), is_real, None), "not finite"),
        (lambda values, is_real: (values, is_real, np.where(is_real, "ann", "bob")), "one speaker or source"),
    ],
)
def test_too_little_data_is_reported(embeddings, change, told):
    with pytest.raises(InputError, match=told):
        fit_classifier(*change(*embeddings))
