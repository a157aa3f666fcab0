"""Every recipe of recipes.csv, a few steps on generated signal: train, kill, resume, export, evaluate, load, score."""

import csv
import json
import logging
import multiprocessing
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from antideepfake.corpora.build import build_protocol
from antideepfake.inference.detector import load_detector
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.protocol.table import read_protocol, write_protocol
from antideepfake.scoring.score_file import read_scores
from antideepfake.training.hparams import load_hparams

ROOT = Path(__file__).parents[2]
with open(Path(__file__).with_name("recipes.csv"), newline="", encoding="utf-8") as file:
    RECIPES = list(csv.DictReader(file))
DETECTOR = """
front_end: !include:TINY
back_end: !new:antideepfake.lobes.MeanPooling
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    back_end: !ref <back_end>
classifier: !new:torch.nn.Linear
    in_features: 16
    out_features: 2
"""
STEPS = "--max_steps 6 --valid_interval 3 --num_workers 0 --ckpt_interval_minutes 0 --ckpt_interval_steps 1"


def test_every_yaml_is_listed():
    yamls = {path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes").glob("**/hparams/*.yaml")}
    assert yamls == {row["Hparam_file"] for row in RECIPES}
    assert all(
        (ROOT / row[name]).is_file() for row in RECIPES for name in ("Script_file", "Hparam_file", "Readme_file")
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_corpus, tiny_front_end):
    """A data folder with a corpus, its protocol under the names that recipes look for, and what they start from."""
    folder = make_corpus(tmp_path_factory.mktemp("data"), speakers=6, files=2)
    rows = [
        {
            "ID": path.relative_to(folder).as_posix(),
            "Label": path.parts[-3],
            "Path": str(path),
            "Attack": "tone" if path.parts[-3] == "fake" else "-",
            "Proportion": (["train"] * 4 + ["valid", "test"])[int(path.parts[-2][-1])],
        }
        for path in sorted(folder.glob("*/*/*.*"))
    ]
    build_protocol(rows, folder, folder / "ASVspoof2019-LA.csv", quiet=True)
    table = read_protocol(folder / "ASVspoof2019-LA.csv")
    (folder / "ASVspoof2019-LA.csv.report.json").unlink()  # as if the protocols came from elsewhere
    for name in ("ASVspoof5.csv", "Deepfake-Eval-2024_4s.csv", "MiniCorpus.csv", "PartialSpoof.csv"):
        write_protocol(table, folder / name)
    for split in ("train", "valid"):
        write_protocol(table[table["Proportion"] == split], folder / f"{split}.csv")

    (folder / "detector.yaml").write_text(DETECTOR.replace("TINY", str(tiny_front_end)))
    hparams = load_hparams(folder / "detector.yaml")
    write_model_folder(folder / "detector", hparams.settings, hparams, ModelMetadata())
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a script in this process, which saves the seconds that imports take; gives the status and what it said."""
    handlers, level = list(logging.root.handlers), logging.root.level
    before = set(sys.modules)

    def call(script, *arguments):
        monkeypatch.chdir(script.parent)
        monkeypatch.syspath_prepend(str(script.parent))
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setattr(sys, "argv", [script.name, *arguments])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(script.name, run_name="__main__")
        return left.value.code, *capsys.readouterr()

    yield call
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for name in set(sys.modules) - before:
        if name.endswith("_prepare"):
            del sys.modules[name]


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row["Hparam_file"].removeprefix("recipes/"))
def test_recipe(row, data, tiny_front_end, tmp_path, run, command, monkeypatch):
    # MiniCorpus exists, so that it is not made, which would need packages from a network
    there = SimpleNamespace(prepare_minicorpus=pytest.fail)
    monkeypatch.setitem(sys.modules, "minicorpus_prepare", there)
    flags = row["test_debug_flags"].format(tiny=tiny_front_end, detector=data / "detector")
    results = tmp_path / "results"
    script = ROOT / row["Script_file"]
    yaml = str((ROOT / row["Hparam_file"]).relative_to(script.parent))
    given = [yaml, "--data_folder", str(data), "--output_folder", str(results), *shlex.split(f"{STEPS} {flags}")]

    child = multiprocessing.get_context("fork").Process(target=run, args=(script, *given))
    child.start()
    end = time.monotonic() + 60
    while child.is_alive() and not list(results.glob("checkpoints/CKPT*")) and time.monotonic() < end:
        time.sleep(0.01)
    child.kill()
    child.join()
    assert not (results / "finished.json").exists()

    status, out, err = run(script, *given)
    assert status == 0, err
    log = pd.read_csv(results / "train_log.csv")
    in_one_pass = "LogisticRegressionBrain" in (ROOT / row["Hparam_file"]).read_text()
    assert log["step"].tolist() == ([6] if in_one_pass else [3, 6])
    assert np.isfinite(log[["train_loss", "valid_loss"]]).all(axis=None)
    assert not log["skipped_steps"].any()
    assert f"{results}: training already finished on " in run(script, *given)[2]

    metadata = json.loads((results / "model" / "metadata.json").read_text())
    assert metadata["training_corpora"] and set(metadata["training_attacks"]) <= {"tone"}
    detector = load_detector(results / "model")
    wavs = sorted((data / "real").rglob("*.wav"))
    scores = [result.score for result in detector.score_files(wavs)]
    assert np.isfinite(scores).all() and np.ptp(scores) > 0
    new = str(tmp_path / "scores.csv")
    scored = (
        results / "model",
        data / "ASVspoof2019-LA.csv",
        "--data_folder",
        data,
        "--split",
        "test",
        "--output",
        new,
    )
    assert command("score", *scored)[0] == 0
    status, out, _ = command("evaluate", new, "--output", tmp_path / "evaluation")
    assert status == 0 and out.startswith("scores: ") and (tmp_path / "evaluation" / "report.html").is_file()


def test_two_processes_equal_one_that_accumulates_gradients(data, tiny_front_end, tmp_path, run):
    data = shutil.copytree(data, tmp_path / "data")
    for speaker in (1, 4, 5):  # damages a file of every split
        next(iter(sorted((data / "real" / f"speaker{speaker}").iterdir()))).write_bytes(b"RIFF")
    script = ROOT / "recipes" / "Deepfake-Eval-2024" / "FineTuning" / "train.py"
    common = f"--data_folder {data} --front_end !include:{tiny_front_end} --start_from {data}/detector --lr 0.01"
    common += " --n_warmup_steps 1 --max_steps 5 --valid_interval 2 --batch_seconds 1.5 --num_workers 0"
    common = ["hparams/fine_tuning.yaml", *common.split(), "--output_folder"]
    status, _, err = run(script, *common, str(tmp_path / "one"), "--grad_accumulation_factor", "2")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "train.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    two = subprocess.run(
        [*launch, *common, tmp_path / "two"], capture_output=True, text=True, cwd=script.parent, env=environment
    )
    assert (status, two.returncode) == (1, 1), err + two.stderr
    logs = [pd.read_csv(tmp_path / name / "train_log.csv") for name in ("one", "two")]
    assert logs[0]["step"].tolist() == [2, 4, 5]
    assert logs[0]["train_loss"].nunique() == 3
    pd.testing.assert_frame_equal(*logs, rtol=1e-5)
    skipped = [(tmp_path / name / "skipped.csv").read_text() for name in ("one", "two")]
    assert skipped[0] == skipped[1] and len(skipped[0].splitlines()) == 3
    scores = [read_scores(tmp_path / name / "scores.csv") for name in ("one", "two")]
    assert scores[0]["ID"].tolist() == scores[1]["ID"].tolist()
    np.testing.assert_allclose(scores[1]["Score"], scores[0]["Score"], atol=1e-5)
    assert two.stdout.count("model folder: ") == 1  # the second process says nothing
