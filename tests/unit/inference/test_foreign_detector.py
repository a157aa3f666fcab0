"""Detectors of other software: what they are given, what they may return, and how their mistakes are reported."""

import sys

import numpy as np
import pytest

from antideepfake.errors import InputError
from antideepfake.files import sha256
from antideepfake.inference.foreign_detector import ForeignDetector, load_foreign_detector

RECORDING = (np.tile([0.5, -0.5], 8000), 16000)
SECOND = (np.tile([0.25, -0.25], 4000), 16000)


@pytest.fixture(autouse=True)
def modules(monkeypatch, tmp_path):
    """Forget what a test imports; run it from an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path, body):
    path.write_text(f"def make():\n    {body}\n")
    return f"{path}:make"


def scores(function, *recordings):
    return [result.score for result in ForeignDetector(function, "a.py:make", "0a").score_files(recordings)]


def test_it_is_given_mono_float_samples_that_it_may_change():
    seen = []

    def score(batch):
        for samples in batch:
            seen.append((samples.dtype, samples.shape, float(np.abs(samples).max())))
            samples[:] = 0
        return np.zeros(len(batch))

    stereo = (np.stack([RECORDING[0], RECORDING[0]], axis=1), 16000)
    detector = ForeignDetector(score, "a.py:make", "0a")
    list(detector.score_files([stereo], timeline=True))
    assert seen == [(np.float32, (16000,), 0.5)] * len(seen) and len(seen) == 2  # the whole and its only window


@pytest.mark.parametrize("shape", ["scores", "logits", "list"])
def test_scores_and_logits_give_the_same_score(shape):
    def score(batch):
        levels = np.array([samples.max() for samples in batch])
        logits = np.stack([np.ones(len(batch)), 1 + levels], axis=1)
        return {"scores": levels, "logits": logits, "list": levels.tolist()}[shape]

    assert scores(score, RECORDING, SECOND) == [0.5, 0.25]


def test_optional_attributes():
    def score(batch):
        return [0.5] * len(batch)

    score.threshold, score.min_samples, score.name = 0.75, 400, "loud"
    detector = ForeignDetector(score, "a.py:make", "0a")
    assert detector.metadata.threshold == 0.75 and detector.min_samples == 400
    assert detector.metadata.threshold_source == "the threshold of a.py:make"
    assert detector.metadata.provenance == "loud: a.py:make, SHA-256 of its code 0a"
    short, long = detector.score_files([(RECORDING[0][:399], 16000), RECORDING])
    assert "too short" in short.error and long.decision == "fake"
    for name, value in (("threshold", "high"), ("min_samples", 0)):
        setattr(score, name, value)
        with pytest.raises(InputError, match=f"a.py:make: the threshold is|a.py:make: {name} is"):
            ForeignDetector(score, "a.py:make", "0a")


def test_a_score_that_is_not_finite_is_an_error_of_its_recording():
    good, bad = ForeignDetector(
        lambda batch: [samples.max() if len(samples) > 9000 else np.nan for samples in batch], "a.py:make", "0a"
    ).score_files([RECORDING, SECOND])
    assert not good.error and "not a finite number" in bad.error


@pytest.mark.parametrize("values", [0.0, [0.0], np.zeros((2, 3)), np.zeros((2, 1, 2)), ["a", "b"], None])
def test_a_wrong_output_is_refused(values):
    with pytest.raises(InputError, match=r"a.py:make: (returned an array of shape .* for 2 waveforms|scoring failed)"):
        scores(lambda batch: values, RECORDING, SECOND)


def test_a_file_imports_its_neighbors_and_prints_on_standard_error(tmp_path, capsys):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "level.py").write_text("def level(samples):\n    return float(samples.max())\n")
    source = write(
        folder / "json.py", "print('loading'); import level; return lambda batch: list(map(level.level, batch))"
    )
    detector = load_foreign_detector(source, trust_code=True)
    assert [result.score for result in detector.score_files([RECORDING])] == [0.5]
    assert capsys.readouterr() == ("", "loading\n")
    assert detector.weights_digest() == f"{sha256([folder / 'json.py'])} {source}"


def test_a_module_is_found_in_the_current_folder(tmp_path):
    write(tmp_path / "loud_module.py", "return lambda batch: [0.0 for _ in batch]")
    detector = load_foreign_detector("loud_module:make", trust_code=True)
    assert sha256([tmp_path / "loud_module.py"]) in detector.metadata.provenance


def test_code_runs_only_when_it_is_trusted(tmp_path):
    source = write(tmp_path / "a.py", "return len")
    (tmp_path / "a.py").write_text("raise SystemExit")
    with pytest.raises(InputError, match=r"a\.py:make: is code, .* --trust_code"):
        load_foreign_detector(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("models/a", r"models/a: not a detector; use MODULE:CALLABLE or FILE.py:CALLABLE"),
        ("C:\\models\\a", "not a detector"),
        ("missing.py:make", r"missing.py: no such file"),
        ("no_such_module:make", r"importing it failed \(ModuleNotFoundError: .*no_such_module"),
        ("sys:exit", "sys has no file"),
        ("a.py:missing", r"a.py has no function 'missing'"),
        ("a.py:make", r"make\(\) failed \(ValueError: no weights; .*a.py:2\)"),
        ("b.py:make", r"make\(\) returned int; it must return a function of waveforms"),
    ],
)
def test_what_cannot_be_loaded_is_explained(tmp_path, source, text):
    write(tmp_path / "a.py", "raise ValueError('no weights')")
    write(tmp_path / "b.py", "return 3")
    with pytest.raises(InputError, match=text):
        load_foreign_detector(source, trust_code=True)
