"""Results of scoring."""

import math

import pytest

from antideepfake.inference.scores import FileScore, WindowScore


@pytest.mark.parametrize(
    ("values", "decision"),
    [
        ({}, "real"),
        ({"threshold": 1.5}, "fake"),
        ({"is_ood": True}, "unsure"),
        ({"speech": 0.0}, "unsure"),
        ({"speech": 0.1}, "real"),
        ({"error": "the file is empty"}, ""),
        ({"logits": (math.nan, math.nan)}, ""),
    ],
)
def test_the_decision_on_a_recording(values, decision):
    assert FileScore(**{"path": "a.wav", "logits": (0.0, 1.0), "threshold": 0.0} | values).decision == decision


@pytest.mark.parametrize(
    ("logits", "speech", "decision"),
    [((0, 1), 1.0, "real"), ((1, 0), 0.1, "fake"), ((1, 0), 0.09, "no speech"), ((1, 0), math.nan, "fake")],
)
def test_the_decision_on_a_window(logits, speech, decision):
    window = WindowScore(0.0, 4.0, logits, speech, 0.0)
    assert window.decision == decision and window.has_speech == (decision != "no speech")
