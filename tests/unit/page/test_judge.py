"""Judging within limits."""

import json
import os

import numpy as np
import pytest

from antideepfake.inference import load_detector
from antideepfake.model_folder.calibration import Logistic
from antideepfake.page.judge import Judge, Limits, describe_judgment


@pytest.fixture(scope="module")
def detector(model_folder):
    return load_detector(model_folder)


@pytest.fixture
def judge(detector):
    return Judge(detector, Limits(megabytes=1, minutes=0.5))


def test_the_score_is_that_of_the_detector(judge, tmp_path, write_audio, rng):
    path = write_audio(tmp_path / "a.wav", 0.1 * rng.standard_normal(16000 * 20))
    judgment = judge.judge(path)
    (expected,) = judge.detector.score_files([path])
    assert judgment.name == "a.wav" and not judgment.error
    assert judgment.result.score == pytest.approx(expected.score, abs=1e-5)
    assert judgment.result.timeline.duration == judgment.sound.duration == 20.0


def test_a_short_recording_has_a_timeline(judge, tmp_path, write_audio):
    assert judge.judge(write_audio(tmp_path / "a.flac")).result.timeline


def test_content_decides_what_a_file_is(judge, tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav")
    assert not judge.judge(path.rename(tmp_path / "picture.png")).error
    (tmp_path / "b.wav").write_text("no audio " * 50)
    assert "cannot be read" in judge.judge(tmp_path / "b.wav").error


@pytest.mark.parametrize(
    ("seconds", "message"), [(31, "longer than the 0.5 minutes"), (40, "1.3 MB, more than the 1 MB")]
)
def test_limits_hold(judge, tmp_path, write_audio, rng, seconds, message):
    path = write_audio(tmp_path / "a.wav", 0.1 * rng.standard_normal(16000 * seconds))
    assert message in judge.judge(path).error


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"text"])
def test_an_error_does_not_name_the_folder(judge, tmp_path, content):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    judgment = judge.judge(path)
    assert judgment.error and str(tmp_path) not in judgment.error and os.sep not in judgment.error
    assert describe_judgment(judgment) == {"file": "a.wav", "error": judgment.error}


def test_a_recording_too_short_for_the_front_end_is_an_error(judge, tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-1, 1, 50))
    assert "too short" in judge.judge(path).error


def test_the_description_is_json(judge, detector, tmp_path, write_audio, monkeypatch):
    path = write_audio(tmp_path / "a.wav")
    described = json.loads(json.dumps(describe_judgment(judge.judge(path)), allow_nan=False))
    assert described["probability"] is None and described["decision"] in ("real", "fake", "unsure")
    assert described["segments"][0].keys() == {"start", "end", "score", "label"}
    monkeypatch.setattr(
        detector.hparams.metadata, "calibration", {"method": "logistic", "weights": [0.0], "offset": 0.0}
    )
    assert isinstance(detector.hparams.metadata.log_likelihood_ratio(), Logistic)
    assert describe_judgment(judge.judge(path))["probability"] == 0.5
