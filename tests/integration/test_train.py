"""The journey with one's own data: prepare, train, evaluate, go on, score; as commands, from outside."""

import json
import logging
import os
import re
import runpy
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
from speechbrain.inference.classifiers import EncoderClassifier

from antideepfake.corpora.shards import write_shards
from antideepfake.protocol.table import read_protocol
from antideepfake.scoring.score_file import read_scores

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "OwnData"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def _arguments(data, output):
    options = (
        "--data_folder",
        data,
        "--output_folder",
        output,
        "--max_steps",
        6,
        "--valid_interval",
        3,
        "--num_workers",
        0,
    )
    return ["train.py", "hparams/train.yaml", *map(str, options)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_corpus):
    """Data and results of a first run, in a process of its own."""
    folder = tmp_path_factory.mktemp("journey")
    make_corpus(folder / "data")
    command = [sys.executable, *_arguments(folder / "data", folder / "results")]
    return folder, subprocess.run(command, capture_output=True, text=True, cwd=RECIPE, env=ENVIRONMENT)


@pytest.fixture
def train(monkeypatch, capfd):
    """Run train.py once more in this process, which saves the seconds that imports take; gives status, out and err."""
    monkeypatch.chdir(RECIPE)
    monkeypatch.syspath_prepend(str(RECIPE))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    handlers, level = list(logging.root.handlers), logging.root.level

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", list(arguments))
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            runpy.run_path(arguments[0], run_name="__main__")
        return left.value.code, *capfd.readouterr()

    yield run
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    sys.modules.pop("owndata_prepare", None)


def test_libraries_log_to_the_file(trained):
    folder, run = trained
    assert not re.search("speechbrain|findfont|quirks|Run option", run.stderr), run.stderr
    log = (folder / "results" / "log.txt").read_text()
    assert "Total Number of Trainable Parameters" in log
    assert not re.search(r"findfont|DEBUG|^numpy==", log, re.MULTILINE)


def test_the_first_run_leaves_model_scores_and_picture(trained):
    folder, run = trained
    assert run.returncode == 0, run.stderr
    results = folder / "results"
    protocol = read_protocol(folder / "data" / "OwnData.csv")
    test_set = protocol[protocol["Proportion"] == "test"]

    metadata = json.loads((results / "model" / "metadata.json").read_text())
    assert metadata["classes"] == ["fake", "real"] and metadata["training_corpora"] == ["OwnData"]
    assert np.isfinite(metadata["threshold"]) and "validation" in metadata["threshold_source"]
    hyperparams = (results / "model" / "hyperparams.yaml").read_text()
    assert str(folder) not in hyperparams and "front_end:" in hyperparams
    assert "\ntorch==" in (results / "env.log").read_text()

    scores = read_scores(results / "scores.csv")
    assert scores["ID"].tolist() == test_set["ID"].tolist() and scores["Label"].tolist() == test_set["Label"].tolist()
    metrics = json.loads((results / "report" / "metrics.json").read_text())
    assert 0 <= metrics["overall"]["eer"] <= 1 and metrics["threshold"] == metadata["threshold"]
    assert f"{100 * metrics['overall']['eer']:.2f}" in run.stdout

    picture = matplotlib.image.imread(results / "report" / "scores.png")
    assert picture.shape[0] > 300 and picture.shape[1] > 700
    assert 0.01 < (picture[..., :3].min(2) < 0.9).mean() < 0.9


def test_the_log_goes_to_standard_error(trained):
    _, run = trained
    assert "speechbrain" not in run.stdout
    assert run.stdout.startswith("test set: ")


def test_a_second_run_changes_nothing(trained, train):
    folder, _ = trained
    results = folder / "results"
    files = [results / name for name in ("train_log.csv", "model/model.safetensors", "scores.csv", "finished.json")]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    assert len((results / "train_log.csv").read_text().splitlines()) == 1 + 2
    status, out, err = train(*_arguments(folder / "data", results))
    assert status == 0, err
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files} == before
    assert out == "" and f"{results}: training already finished on " in err


def test_speechbrain_and_the_scorer_agree_on_the_trained_model(trained, tmp_path, command):
    folder, _ = trained
    expected = read_scores(folder / "results" / "scores.csv").set_index("Path")["Score"]
    model = folder / "results" / "model"
    given = (folder / "data" / "OwnData.csv", "--data_folder", folder / "data", "--output", tmp_path / "s.csv")
    assert command("score", model, *given, "--quiet")[0] == 0
    found = read_scores(tmp_path / "s.csv").set_index("Path")["Score"]
    np.testing.assert_allclose(found[expected.index], expected, atol=1e-5)
    classifier = EncoderClassifier.from_hparams(source=str(model), savedir=str(tmp_path / "saved"))
    for path, score in expected.items():
        logits, *_ = classifier.classify_file(str(path).replace("$ROOT", str(folder / "data")))
        torch.testing.assert_close((logits[0, 1] - logits[0, 0]).item(), score, atol=1e-5, rtol=1e-5)


def test_a_killed_run_on_shards_is_that_on_files_to_the_last_bit(trained, train, tmp_path):
    folder, _ = trained
    data, results = folder / "data", tmp_path / "results"
    write_shards(data / "OwnData.csv", data, tmp_path / "shards", quiet=True)
    protocol = ["--protocol", str(tmp_path / "shards" / "OwnData.csv")]
    given = _arguments(data, results) + protocol + shlex.split("--ckpt_interval_minutes 0 --ckpt_interval_steps 1")
    log = tmp_path / "killed.txt"
    with open(log, "w") as file:
        child = subprocess.Popen([sys.executable, *given], cwd=RECIPE, env=ENVIRONMENT, stdout=file, stderr=file)
    end = time.monotonic() + 120
    while child.poll() is None and not list(results.glob("checkpoints/CKPT*")) and time.monotonic() < end:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert list(results.glob("checkpoints/CKPT*")) and not (results / "finished.json").exists(), log.read_text()
    status, _, err = train(*given)
    assert status == 0 and "resuming from step" in (results / "log.txt").read_text(), err
    for name in ("model/model.safetensors", "train_log.csv"):
        assert (results / name).read_bytes() == (folder / "results" / name).read_bytes()
    on_files, on_shards = (
        read_scores(path / "scores.csv").drop(columns="Path") for path in (folder / "results", results)
    )
    pd.testing.assert_frame_equal(on_files, on_shards)


def test_bad_files_in_the_data_end_in_a_sentence_or_are_left_out(tmp_path, make_corpus, write_audio, train):
    make_corpus(tmp_path / "data")
    write_audio(tmp_path / "data" / "real" / "speaker0" / "silent.wav", np.zeros(8000))
    torn = write_audio(tmp_path / "data" / "fake" / "speaker1" / "torn.flac")
    torn.write_bytes(torn.read_bytes()[:-2000])
    (tmp_path / "data" / "fake" / "speaker2" / "empty.mp3").touch()
    status, out, err = train(*_arguments(tmp_path / "data", tmp_path / "results"))
    assert "Traceback" not in out + err
    assert status in (1, 2)
    if status == 2:
        assert err.splitlines()[-1].startswith("error: ")
        assert "silent.wav" in err or "torn.flac" in err
    else:
        assert (tmp_path / "results" / "report" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hparams/nothing.yaml"], "hparams/nothing.yaml: no such file"),
        (["hparams/train.yaml"], "--data_folder VALUE"),
        (["hparams/train.yaml", "--data_folder", "NOWHERE"], "NOWHERE: no such folder"),
        (["hparams/train.yaml", "--data_folder", "NOWHERE", "--learning_rate", "1"], "learning_rate"),
        (["hparams/train.yaml", "--data_folder", "NOWHERE", "--lr", "1", "--lr", "2"], "--lr: given twice"),
        (
            ["hparams/train.yaml", "--data_folder", "NOWHERE", "--start_from", "NOWHERE"],
            "NOWHERE: no such file or folder",
        ),
    ],
)
def test_mistakes_are_reported_in_one_line_with_status_2(tmp_path, train, arguments, said):
    nowhere = str(tmp_path / "nowhere")
    output = ["--output_folder", str(tmp_path / "results")]
    status, out, err = train("train.py", *(nowhere if item == "NOWHERE" else item for item in arguments), *output)
    assert status == 2
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and said.replace("NOWHERE", nowhere) in errors[0]
    assert err.splitlines()[-1] == errors[0]
    assert "Traceback" not in err + out


def test_help(train):
    status, out, _ = train("train.py", "--help")
    assert status == 0
    assert "--device" in out


def test_minicorpus_trains_and_classifies_with_speechbrain_alone(tmp_path, make_corpus, train, monkeypatch):
    import owndata_prepare

    there = SimpleNamespace(prepare_minicorpus=owndata_prepare.prepare_owndata)
    monkeypatch.setitem(sys.modules, "minicorpus_prepare", there)
    monkeypatch.chdir(ROOT / "recipes" / "MiniCorpus")
    yaml = "hparams/log_filter_bank.yaml"  # needs no pretrained weights
    given = _arguments(make_corpus(tmp_path / "data"), tmp_path / "results")[2:]
    status, out, err = train("train.py", yaml, *given)
    assert status == 0, err
    *_, real, fake = out.splitlines()
    assert real.endswith("the truth is real") and fake.endswith("the truth is fake")
    assert "(score " in real
