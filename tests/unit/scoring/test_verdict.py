"""The verdict on one recording, in words."""

import math

import numpy as np
import pytest

from antideepfake.inference.scores import FileScore
from antideepfake.inference.timeline import Timeline
from antideepfake.model_folder.calibration import Logistic
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.verdict import explain, format_percent, format_time, judge

CALIBRATION = Logistic([1.0], 0.0)


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (math.log(999), "very likely real (99.9 % real)"),
        (math.log(19), "likely real (95 % real)"),
        (math.log(3), "uncertain: 75 % real"),
        (-math.log(3), "uncertain: 75 % fake"),
        (-math.log(19), "likely fake (95 % fake)"),
        (-20.0, "very likely fake (more than 99.9 % fake)"),
    ],
)
def test_a_calibrated_score_has_a_probability(ratio, said):
    assert judge(FileScore("a.wav", (0.0, ratio), 0.0, calibration=CALIBRATION)) == said


def test_without_calibration_there_is_no_probability():
    result = FileScore("a.wav", (1.0, 0.0), 0.0)
    assert judge(result) == "fake, by the threshold (not calibrated: no probability can be given)"


@pytest.mark.parametrize(
    ("values", "reason"), [({"is_ood": True}, "out of distribution"), ({"speech": 0.0}, "no speech was found")]
)
def test_what_cannot_be_judged_is_unsure_whatever_the_score(values, reason):
    said = judge(FileScore("a.wav", (0.0, 9.0), 0.0, calibration=CALIBRATION, **values))
    assert said.startswith("unsure") and reason in said


def test_what_a_verdict_rests_on():
    timeline = Timeline(2.0, 8.0, np.array([1.0, -3.0, 2.0, -1.0]), np.ones(4, bool))
    result = FileScore("a.wav", (0.5, 0.0), 0.0, windows=3, duration=8.0, speech=6.5, timeline=timeline)
    metadata = ModelMetadata(0.0, "chosen by hand", training_corpora=["A", "B"])
    assert dict(explain(result, metadata)) == {
        "verdict": judge(result),
        "score": "-0.50, below the threshold 0.00",
        "threshold": "chosen by hand",
        "judged": "0:06.5 of speech in 0:08.0, 3 windows",
        "familiar": "unknown: no out-of-distribution detector",
        "trained on": "A, B",
        "most suspicious": "0:02.0 to 0:04.0 (-3.00), 0:06.0 to 0:08.0 (-1.00)",
    }


@pytest.mark.parametrize(("is_ood", "said"), [(False, "yes: "), (True, "no: ")])
def test_whether_a_recording_is_like_the_reference_data(is_ood, said):
    result = FileScore("a.wav", (0.0, 1.0), 0.0, is_ood=is_ood, duration=1.0)
    rows = dict(explain(result, ModelMetadata(), knows_its_data=True))
    assert rows["familiar"].startswith(said)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00.0"), (59.96, "0:59.9"), (3600, "1:00:00.0"), (61.5, "1:01.5")])
def test_times(seconds, text):
    assert format_time(seconds) == text


@pytest.mark.parametrize(("share", "text"), [(0.5, "50 %"), (0.995, "99.5 %"), (1.0, "more than 99.9 %")])
def test_percentages_never_promise_certainty(share, text):
    assert format_percent(share) == text
