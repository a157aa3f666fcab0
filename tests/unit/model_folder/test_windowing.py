"""Settings for recordings of any length."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.model_folder.decision import decide
from antideepfake.model_folder.windowing import Windowing, read_windowing

WINDOWS = [[0.0, 4.0], [1.0, 0.0], [0.0, 1.0], [3.0, 1.0]]  # scores 4, -1, 1, -2


@pytest.mark.parametrize(
    ("aggregate", "fake", "real"),
    [("mean", 1.0, 1.5), ("max", 3.0, 1.0), ("top-1", 3.0, 1.0), ("top-2", 2.0, 0.5), ("top-9", 1.0, 1.5)],
)
def test_aggregates_by_hand(aggregate, fake, real):
    assert Windowing(aggregate=aggregate).combine(WINDOWS, 0.0) == (fake, real)


def test_the_share_of_windows_by_hand():
    fake, real = Windowing(aggregate="share").combine(WINDOWS, -1.5)
    assert real - fake == pytest.approx(-1.5 + math.log(3.5 / 1.5))


@given(scores=st.lists(st.floats(-9, 9), min_size=1, max_size=30), threshold=st.floats(-3, 3))
def test_by_the_share_a_recording_is_real_if_at_least_half_of_its_windows_are(scores, threshold):
    fake, real = Windowing(aggregate="share").combine([[0.0, score] for score in scores], threshold)
    count = sum(score >= threshold for score in scores)
    if 2 * count != len(scores):  # at a tie, rounding decides
        assert (decide(real - fake, threshold) == "real") == (2 * count > len(scores))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"utterance_seconds": 0}, "utterance_seconds is 0; it must be a number above 0"),
        ({"utterance_seconds": 1801.0}, "it must be at most 1800"),
        ({"window_seconds": float("nan")}, "window_seconds is nan"),
        ({"window_seconds": True}, "window_seconds is True"),
        ({"window_seconds": 1.0}, "the hop must not be longer than the window"),
        ({"aggregate": "top-0"}, "the aggregate is 'top-0'; use mean, max"),
        ({"aggregate": 3}, "the aggregate is 3"),
        ({"window": 4.0}, "an unknown setting window; use utterance_seconds, window_seconds"),
    ],
)
def test_wrong_settings_are_refused(values, said):
    with pytest.raises(InputError, match=said):
        read_windowing(values)


def test_what_is_not_given_has_its_default():
    assert read_windowing({"utterance_seconds": 6.0}) == Windowing(6.0, 4.0, 2.0, "mean")
