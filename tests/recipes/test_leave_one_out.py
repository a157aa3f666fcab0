"""LeaveOneOut: one run on all systems and one without each, resumed, with a table of both error rates."""

import json
import logging
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from antideepfake.corpora.build import build_protocol
from antideepfake.scoring.score_file import read_scores

RECIPES = Path(__file__).parents[2] / "recipes"
PROGRAM = RECIPES / "AntiDeepfake" / "LeaveOneOut" / "leave_one_out.py"
STEPS = shlex.split(
    "--max_steps 2 --valid_interval 2 --num_workers 0 --batch_seconds 4 --crop null --augmentation null"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_corpus):
    """A corpus whose spoofed files are of two systems, in every split, and its protocol."""
    folder = make_corpus(tmp_path_factory.mktemp("data"), speakers=6, files=4)
    files = sorted(folder.glob("*/*/*.*"))
    rows = [
        {
            "ID": path.relative_to(folder).as_posix(),
            "Label": path.parts[-3],
            "Path": str(path),
            "Attack": ("tone", "buzz")[number % 2] if path.parts[-3] == "fake" else "-",
            "Proportion": (["train"] * 4 + ["valid", "test"])[int(path.parts[-2][-1])],
        }
        for number, path in enumerate(files)
    ]
    build_protocol(rows, folder, folder / "MiniCorpus.csv", quiet=True)
    return folder


@pytest.fixture
def run(monkeypatch, capsys, data, tmp_path):
    """Run the program in this process; gives the status and what it said."""
    handlers, level = list(logging.root.handlers), logging.root.level

    def call(*options):
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        yaml = str(RECIPES / "MiniCorpus" / "hparams" / "log_filter_bank.yaml")
        given = ["--data_folder", str(data), "--output_folder", str(tmp_path / "runs"), *STEPS, *options]
        monkeypatch.setattr(sys, "argv", [PROGRAM.name, yaml, *given])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(PROGRAM), run_name="__main__")
        return left.value.code, *capsys.readouterr()

    yield call
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_each_system_is_held_out_once_and_finished_runs_are_kept(run, tmp_path):
    status, out, err = run()
    assert status == 0, err
    runs = tmp_path / "runs"
    assert {path.name for path in runs.iterdir()} == {
        "all_systems", "without_buzz", "without_tone", "leave_one_out.csv",
    }  # fmt: skip
    for name, learned in (("all_systems", ["buzz", "tone"]), ("without_buzz", ["tone"]), ("without_tone", ["buzz"])):
        assert json.loads((runs / name / "model" / "metadata.json").read_text())["training_attacks"] == learned
    for name in ("buzz", "tone"):
        assert set(read_scores(runs / f"without_{name}" / "scores.csv")["Attack"]) == {"-", name}
    table = pd.read_csv(runs / "leave_one_out.csv")
    assert table["system"].tolist() == ["buzz", "tone", "mean"]
    assert np.isfinite(table[["eer", "trained_eer"]]).all(axis=None)
    assert [line.split()[0] for line in out.splitlines()] == ["held", "buzz", "tone", "mean"]

    (runs / "without_tone" / "finished.json").unlink()
    finished = runs / "all_systems" / "scores.csv"
    scored = finished.stat().st_mtime_ns
    status, _, err = run("--groups", "tone")
    assert status == 0 and err.count("already finished") == 1
    assert finished.stat().st_mtime_ns == scored
    again = pd.read_csv(runs / "leave_one_out.csv")
    assert again["system"].tolist() == ["tone", "mean"]
    pd.testing.assert_series_equal(again.loc[0], table.loc[1], check_names=False)


def test_a_group_that_leaves_nothing_is_refused_before_training(run, tmp_path):
    status, _, err = run("--groups", "buzz,tone")
    assert status == 2 and "without buzz, tone, the training set has no spoofed utterances" in err
    assert not list((tmp_path / "runs").rglob("checkpoints"))


def test_a_key_that_the_yaml_lacks_is_refused(run):
    status, _, err = run("--learning_rate", "1")
    assert status == 2 and "no key 'learning_rate'" in err
