"""One function decides, for Python, the command line and the recipes."""

import pytest

from antideepfake.model_folder.decision import decide


@pytest.mark.parametrize(
    ("score", "threshold", "is_ood", "decision"),
    [
        (1.0, 0.5, False, "real"),
        (0.5, 0.5, False, "real"),
        (0.4, 0.5, False, "fake"),
        (-2.0, -3.0, False, "real"),
        (1.0, 0.5, True, "unsure"),
        (0.4, 0.5, True, "unsure"),
    ],
)
def test_the_threshold_decides_unless_the_recording_is_out_of_distribution(score, threshold, is_ood, decision):
    assert decide(score, threshold, is_ood) == decision


def test_a_recording_is_in_distribution_by_default():
    assert decide(0.6, threshold=0.5) == "real"
