"""A detector of other software in the command: score, evaluate, drift, robustness."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from antideepfake.corpora.build import build_protocol
from antideepfake.files import sha256
from antideepfake.scoring.provenance import read_provenance
from antideepfake.scoring.score_file import read_scores

CODE = """
import numpy as np

def make():
    def score(batch):
        return np.array([0.1 - np.abs(samples).mean() for samples in batch])
    score.threshold = 0.02
    score.name = "quiet is real"
    return score

def fail():
    return lambda batch: [0 / 0 for _ in batch]
"""


@pytest.fixture
def code(monkeypatch, tmp_path):
    """The file of the detector, from whose folder the command runs."""
    (tmp_path / "quiet.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path / "quiet.py"
    sys.modules.pop("quiet", None)


@pytest.fixture
def protocol(tmp_path, write_audio):
    """Ten quiet real and ten loud fake recordings."""
    rng, rows = np.random.default_rng(1), []
    for number in range(20):
        label = "fake" if number % 2 else "real"
        samples = (0.2 if label == "fake" else 0.05) * rng.uniform(-1, 1, 8000)
        path = write_audio(tmp_path / "data" / f"{number:02}.wav", samples)
        rows.append({"ID": f"u{number:02}", "Label": label, "Path": str(path)})
    build_protocol(rows, tmp_path / "data", tmp_path / "p.csv", quiet=True)
    return [tmp_path / "p.csv", "--data_folder", tmp_path / "data"]


def test_score_evaluate_and_drift(command, code, protocol):
    status, out, err = command("score", "--detector", "quiet.py:make", *protocol, "--trust_code", "--quiet")
    assert status == 0, err
    scores = read_scores("scores.csv")
    assert ((scores["Score"] >= 0.02) == (scores["Label"] == "real")).all()
    assert "20 scored: 10 real, 10 fake (score at or above 0.02: real)" in out
    made_by = read_provenance("scores.csv")
    assert made_by.metadata.provenance == f"quiet is real: quiet.py:make, SHA-256 of its code {sha256([code])}"
    status, out, err = command("evaluate", "scores.csv", "--output", "report", "--format", "json")
    assert status == 0 and json.loads(out), err
    assert command("drift", "scores.csv", "scores.csv")[0] == 0


def test_a_single_recording_gets_a_verdict(command, code, protocol):
    arguments = ("--trust_code", "--timeline", "data/01.wav")
    status, out, err = command("score", "--detector", "quiet:make", *arguments)
    assert status == 0 and "below the threshold 0.02" in out, err


def test_robustness(command, code, protocol):
    arguments = ("--output", "out", "--perturbations", "level", "--trust_code", "--quiet")
    status, _, err = command("robustness", "--detector", "quiet.py:make", *protocol, *arguments)
    assert status == 0, err
    table = pd.read_csv("out/robustness.csv")
    assert table["perturbation"].tolist() == ["clean", "level", "level"]
    assert table["eer"][0] == 0
    assert read_provenance("out/scores/clean_0.csv").metadata.threshold == 0.02


def test_mistakes_are_one_line(command, code, protocol):
    for given, text in (
        (["quiet.py:make"], "pass --trust_code"),
        (["quiet.py:fail", "--trust_code"], "scoring failed (ZeroDivisionError: division by zero;"),
        (["quiet.py:make", "--trust_code", "--device", "cpu"], "set them in your own code"),
        (["quiet.py:make", "--trust_code", "--embeddings", "e.parquet"], "has none"),
    ):
        status, out, err = command("score", "--detector", *given, *protocol, "--quiet")
        assert status == 2 and text in err and len(err.splitlines()) == 1 and not out
