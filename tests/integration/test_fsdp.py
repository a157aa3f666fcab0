"""Sharded training by two processes on this machine: the results are those of DistributedDataParallel."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from antideepfake.inference.detector import load_detector
from antideepfake.scoring.score_file import read_scores

RECIPE = Path(__file__).parents[2] / "recipes" / "OwnData"
STEPS = (
    "--max_steps 6 --n_warmup_steps 1 --lr 0.01 --valid_interval 3 --batch_seconds 1.5 --num_workers 0 "
    "--ckpt_interval_minutes 0"
)
CHOICES = {
    "plain": "--lora_rank null",
    "mixed": "--lora_rank 2 --precision bf16 --grad_accumulation_factor 2 --gradient_checkpointing true",
}
# Trains several times, since a start takes longer than a training.
PROGRAM = """
import json, sys, train
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    train.main()
"""
TIMEOUT = 300  # seconds


@pytest.fixture(scope="module")
def arguments(tmp_path_factory, make_corpus, tiny_front_end):
    """What every training of this file gets."""
    data = make_corpus(tmp_path_factory.mktemp("data"))
    encoder = tiny_front_end.parent / "encoder"
    given = f"--data_folder {data} --front_end !include:{tiny_front_end} --start_from {encoder} {STEPS}"
    return ["hparams/fine_tuning.yaml", *given.split()]


def _start(*command):
    path = f"{RECIPE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path}
    launch = ["-m", "torch.distributed.run", "--standalone", "--local_addr=127.0.0.1", "--nproc_per_node=2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *launch, *map(str, command)], cwd=RECIPE, env=environment, **pipes)


def _kill_workers(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    for pid in children.split():
        os.kill(int(pid), signal.SIGKILL)


def _finish(process):
    """Wait for the end, but not forever; gives output and errors."""
    try:
        return process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        _kill_workers(process)
        process.kill()
        raise


@pytest.fixture(scope="module")
def runs(arguments, tmp_path_factory):
    """A folder with the outputs of all choices, each without and with sharding."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "program.py").write_text(PROGRAM)
    ways = [
        [*arguments, *given.split(), "--output_folder", str(folder / choice / value), "--fsdp", value]
        for choice, given in CHOICES.items()
        for value in ("false", "true")
    ]
    process = _start(folder / "program.py", json.dumps(ways))
    out, err = _finish(process)
    assert process.returncode == 0 and out.count("model folder: ") == len(ways), err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_results_are_those_without_sharding(runs, choice):
    folders = [runs / choice / value for value in ("false", "true")]
    logs = [pd.read_csv(folder / "train_log.csv") for folder in folders]
    assert logs[0]["step"].tolist() == [3, 6] and logs[0]["train_loss"].nunique() == 2
    pd.testing.assert_frame_equal(*logs, rtol=1e-5)
    scores = [read_scores(folder / "scores.csv") for folder in folders]
    assert scores[0]["ID"].tolist() == scores[1]["ID"].tolist()
    np.testing.assert_allclose(scores[1]["Score"], scores[0]["Score"], atol=1e-5)
    for file in ("config.json", "hyperparams.yaml", "label_encoder.txt"):
        assert len({(folder / "model" / file).read_bytes() for folder in folders}) == 1
    adapter = ["adapter/adapter_model.safetensors"] if "lora_rank 2" in CHOICES[choice] else []
    for file in ["model/model.safetensors", *adapter]:
        torch.testing.assert_close(*(load_file(folder / file) for folder in folders), rtol=0, atol=1e-5)
    assert load_detector(folders[1] / "model").metadata == load_detector(folders[0] / "model").metadata


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bits(runs, arguments, tmp_path):
    given = [*arguments, *CHOICES["plain"].split(), "--fsdp", "true", "--output_folder", tmp_path / "run"]
    process = _start("train.py", *given, "--ckpt_interval_steps", 1)
    deadline = time.monotonic() + TIMEOUT
    while not list(tmp_path.glob("run/checkpoints/CKPT*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    _kill_workers(process)
    _, err = _finish(process)
    assert process.returncode != 0 and not (tmp_path / "run" / "finished.json").exists(), err

    process = _start("train.py", *given, "--ckpt_interval_steps", 1)
    out, err = _finish(process)
    assert process.returncode == 0 and "resuming from step" in err and out.count("model folder: ") == 1, err
    for file in ("train_log.csv", "model/model.safetensors", "scores.csv"):
        assert (tmp_path / "run" / file).read_bytes() == (runs / "plain" / "true" / file).read_bytes()
