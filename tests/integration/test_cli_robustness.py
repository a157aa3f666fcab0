"""antideepfake robustness on a tiny model."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from antideepfake.corpora.build import build_protocol
from antideepfake.exports.onnx_file import write_onnx
from antideepfake.inference.detector import load_detector
from antideepfake.scoring.score_file import read_scores


@pytest.fixture
def run(command):
    """Run ``antideepfake robustness``."""
    return partial(command, "robustness")


@pytest.fixture
def arguments(tmp_path, write_audio, model_folder):
    """Ten real and thirty fake recordings, noise and tones."""
    rng, utterances = np.random.default_rng(1), []
    for number in range(40):
        noise = rng.standard_normal(4000)
        tone = 3 * np.sin(2 * np.pi * 400 * np.arange(4000) / 16000)
        path = write_audio(tmp_path / "data" / f"{number:02}.wav", 0.05 * (noise if number % 4 == 0 else noise + tone))
        utterances.append({"ID": f"u{number:02}", "Label": "fake" if number % 4 else "real", "Path": str(path)})
    build_protocol(utterances, tmp_path / "data", tmp_path / "p.csv", quiet=True)
    given = [model_folder, tmp_path / "p.csv", "--data_folder", tmp_path / "data", "--output", tmp_path / "out"]
    return [*given, "--quiet", "--perturbations", "level", "white noise", "no speech"]


def test_a_table_a_plot_and_a_verdict_on_silence(run, arguments, tmp_path):
    status, out, _ = run(*arguments)
    assert status == 0 and max(map(len, out.splitlines())) <= 100
    table = pd.read_csv(tmp_path / "out" / "robustness.csv")
    assert table["perturbation"].tolist() == ["clean", "level", "level", *["white noise"] * 4, "no speech"]
    clean = read_scores(tmp_path / "out" / "scores" / "clean_0.csv")
    level = read_scores(tmp_path / "out" / "scores" / "level_-30.csv")
    noisy = read_scores(tmp_path / "out" / "scores" / "white_noise_0.csv")
    assert np.abs(clean["Score"] - level["Score"]).max() < 1e-3 < np.abs(clean["Score"] - noisy["Score"]).max()
    assert table["difference"][1] == 0
    assert "non-speech segments" in out.splitlines()[-1]
    assert (tmp_path / "out" / "robustness.png").read_bytes().startswith(b"\x89PNG")


def test_an_interrupted_run_keeps_finished_score_files(run, arguments, tmp_path):
    _, before, _ = run(*arguments)
    status, _, err = run(*arguments)
    assert status == 2 and "robustness.csv: already exists" in err
    (tmp_path / "out" / "robustness.csv").unlink()  # as if killed before the end
    for path in (tmp_path / "data").glob("*.wav"):
        path.unlink()
    assert run(*arguments)[1] == before
    (tmp_path / "out" / "robustness.csv").unlink()
    status, _, err = run(*arguments, "--limit", "20")
    assert status == 2 and "with another model, seed or choice of utterances" in err


def test_unreadable_files_are_skipped_and_give_status_1(run, arguments, tmp_path):
    (tmp_path / "data" / "03.wav").write_bytes(b"")
    status, _, err = run(*arguments)
    assert status == 1 and "1 files of a condition skipped" in err
    assert len(read_scores(tmp_path / "out" / "scores" / "level_-10.csv")) == 39


def test_an_onnx_file_gives_the_table_of_its_model_folder(run, arguments, tmp_path, model_folder):
    onnx = tmp_path / "model.onnx"
    write_onnx(onnx, load_detector(model_folder))
    _, expected, _ = run(*arguments, "--device", "cpu")
    status, out, err = run(onnx, *arguments[1:], "--overwrite")
    assert status == 0, err
    assert out == expected
