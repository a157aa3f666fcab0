"""Histograms of validation scores."""

import numpy as np
import pytest

from antideepfake.model_folder.validation_scores import BINS, describe_scores, is_histogram


def test_every_score_is_counted_once(rng):
    real, fake = rng.normal(3, 1, 700), rng.normal(-3, 1, 500)
    histogram = describe_scores(real, fake)
    assert (sum(histogram["real"]), sum(histogram["fake"])) == (700, 500)
    expected, _ = np.histogram(real, histogram["edges"])
    assert histogram["real"][1:-1] == expected[1:-1].tolist()


def test_extreme_scores_do_not_widen_the_bins(rng):
    scores = rng.normal(0, 1, 5000)
    histogram = describe_scores(np.append(scores, 1e6), scores)
    assert histogram["edges"][-1] < 10 and sum(histogram["real"]) == 5001


@pytest.mark.parametrize(("real", "fake"), [([1.0, 1.0], [1.0]), ([], [2.0, 3.0]), ([1e9, 1e9 + 1], [1e9])])
def test_few_or_equal_scores_have_a_histogram(real, fake):
    histogram = describe_scores(real, fake)
    assert is_histogram(histogram) and len(histogram["edges"]) == BINS + 1
    assert (sum(histogram["real"]), sum(histogram["fake"])) == (len(real), len(fake))


def test_scores_too_large_to_divide_have_no_histogram():
    assert describe_scores([1e30], [1e30]) == {}


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"edges": [0.0], "real": [], "fake": []},
        {"edges": [0, 0], "real": [1], "fake": [1]},
        {"edges": [0, True], "real": [1], "fake": [1]},
        {"edges": [0, 1], "real": 1, "fake": [1]},
        {"edges": [0, 1], "real": [float("nan")], "fake": [1]},
        {"edges": [0, 1], "real": [1], "fake": [1], "other": []},
    ],
)
def test_other_data_are_no_histogram(values):
    assert not is_histogram(values)
