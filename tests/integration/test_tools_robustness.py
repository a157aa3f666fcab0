"""tools/robustness.py on a tiny model."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from antideepfake.corpora.build import build_protocol
from antideepfake.scoring.score_file import read_scores

PROGRAM = Path(__file__).parents[2] / "tools" / "robustness.py"


@pytest.fixture
def module():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("robustness_program", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(module, monkeypatch, capsys):
    """Run the program in this process; gives status, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["robustness.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            module.run_program(module.main)
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return call


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
    return [*given, "--quiet", "--conditions", "level,white noise,no speech"]


def test_table_picture_and_answer(run, arguments, tmp_path):
    """A condition would be compared with another's scores, or the question of silence stay open."""
    status, out, _ = run(*arguments)
    assert status == 0 and max(map(len, out.splitlines())) <= 100
    table = pd.read_csv(tmp_path / "out" / "robustness.csv")
    assert table["perturbation"].tolist() == ["clean", "level", "level", *["white noise"] * 4, "no speech"]
    clean = read_scores(tmp_path / "out" / "scores" / "clean_0.csv")
    level = read_scores(tmp_path / "out" / "scores" / "level_-30.csv")
    noisy = read_scores(tmp_path / "out" / "scores" / "white_noise_0.csv")
    assert np.abs(clean["Score"] - level["Score"]).max() < 1e-3 < np.abs(clean["Score"] - noisy["Score"]).max()
    assert table["difference"][1] == 0
    assert "silence" in out.splitlines()[-1]
    assert (tmp_path / "out" / "robustness.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_there_is_not_scored_again(run, arguments, tmp_path):
    """After an interruption hours of scoring would begin anew."""
    _, before, _ = run(*arguments)
    for path in (tmp_path / "data").glob("*.wav"):
        path.unlink()
    assert run(*arguments)[1] == before
    status, _, err = run(*arguments, "--limit", "20")
    assert status == 2 and "of another model, seed or choice of utterances" in err


def test_a_limited_look_keeps_the_shares(module, arguments):
    """A quick look would be at fake speech alone."""
    table = module.read_protocol(arguments[1])
    few = module.choose(table, 12, 1)
    assert few["Label"].value_counts().to_dict() == {"fake": 9, "real": 3}
    assert few["ID"].is_monotonic_increasing and few["ID"].tolist() == module.choose(table, 12, 1)["ID"].tolist()


def test_files_that_cannot_be_read(run, arguments, tmp_path):
    """One broken file would end the sweep, or be left out in silence."""
    (tmp_path / "data" / "03.wav").write_bytes(b"")
    status, _, err = run(*arguments)
    assert status == 1 and "1 files of a condition skipped" in err
    assert len(read_scores(tmp_path / "out" / "scores" / "level_-10.csv")) == 39


def test_unknown_conditions(run, arguments):
    """A misspelt condition would be left out."""
    status, _, err = run(*arguments[:-1], "levels")
    assert status == 2 and "'levels' is unknown; there are white noise" in err


def test_words_about_silence(module):
    """A detector that listens to silence would be called sound."""
    rows = pd.DataFrame([{"perturbation": "no speech", "eer": 0.2, "high": 0.3}])
    assert module.tell_of_silence(rows).startswith("It listens to silence")
    assert module.tell_of_silence(rows.assign(eer=0.48, high=0.55)).startswith("It does not decide by silence")
    assert module.tell_of_silence(rows.assign(perturbation="gsm")) == ""
