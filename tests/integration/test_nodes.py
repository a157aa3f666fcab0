"""Training and scoring on two nodes: the SLURM scripts and elastic torchrun, with two agents on this machine."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from antideepfake.protocol.table import COLUMNS
from antideepfake.scoring.score_file import read_scores

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "OwnData"
SLURM = ROOT / "recipes" / "AntiDeepfake" / "PostTraining" / "slurm"
PARTS = {
    "back_end": "!new:antideepfake.lobes.MeanPooling",
    "classifier": "!new:torch.nn.Linear {in_features: 16, out_features: 2}",
}
STEPS = (
    "--max_steps 12 --n_warmup_steps 1 --lr 0.01 --valid_interval 6 --batch_seconds 1.5 --num_workers 0 "
    "--ckpt_interval_minutes 0"
)


def _find_port():
    with socket.socket() as one:
        for port in range(20_000 + os.getpid() % 9_000, 30_000):
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@pytest.fixture
def environment(tmp_path):
    """An allocation of two nodes, as SLURM describes it; ``srun`` starts both on this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {
        "scontrol": "echo 127.0.0.1\necho 127.0.0.2",
        "srun": 'for node in 0 1; do SLURM_NODEID=$node "$@" & children="$children $!"; done\n'
        "for child in $children; do wait $child || status=$?; done\nexit ${status:-0}",
        # On this machine both nodes have the address of the first, and its host name may not resolve.
        "torchrun": f"exec {shlex.quote(sys.executable)} -m torch.distributed.run --local_addr=127.0.0.1 "
        '--rdzv_conf=is_host=$((1 - SLURM_NODEID)) "$@"',
    }
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    given = {"SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NNODES": "2", "SLURM_JOB_ID": str(_find_port() - 20_000)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    path = f"{folder}:{os.environ['PATH']}"
    return {**kept, **given, "PATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture
def start(environment):
    """Start a command in the allocation, which ends with the test."""
    processes = []

    def start_one(*command, **options):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        processes.append(subprocess.Popen(list(map(str, command)), env=environment, **pipes, **options))
        return processes[-1]

    yield start_one
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # torchrun ends its processes


@pytest.fixture(scope="module")
def train(tmp_path_factory, make_corpus, tiny_front_end):
    """The arguments that train a small detector, and the output folder of one process that accumulates gradients."""
    folder = tmp_path_factory.mktemp("train")
    make_corpus(folder / "data")
    parts = [text for name, value in PARTS.items() for text in (f"--{name}", value)]
    given = ["hparams/train.yaml", "--data_folder", folder / "data", "--front_end", f"!include:{tiny_front_end}"]
    arguments = [*map(str, given), *parts, *STEPS.split(), "--output_folder"]
    command = [sys.executable, "train.py", *arguments, folder / "one", "--grad_accumulation_factor", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command, check=True, capture_output=True, cwd=RECIPE, env=environment)
    return arguments, folder / "one"


def _children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lose_node(agent):
    """Kill an agent of torchrun and its process, which is in a group of its own."""
    for pid in (agent, *_children(agent)):
        os.kill(pid, signal.SIGKILL)


def _wait_until(condition, process):
    deadline = time.monotonic() + 600
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition(), process.communicate()


def _compare(one, other):
    logs = [pd.read_csv(folder / "train_log.csv") for folder in (one, other)]
    assert logs[0]["step"].tolist() == [6, 12]
    pd.testing.assert_frame_equal(*logs, rtol=1e-4)
    scores = [read_scores(folder / "scores.csv") for folder in (one, other)]
    assert scores[0]["ID"].tolist() == scores[1]["ID"].tolist()
    np.testing.assert_allclose(scores[1]["Score"], scores[0]["Score"], atol=1e-4)


@pytest.mark.slow
def test_training_that_lost_a_node_goes_on_when_it_is_submitted_again(start, train, tmp_path):
    arguments, one = train
    results = tmp_path / "two"
    command = ["bash", SLURM / "train.sh", *arguments, results, "--ckpt_interval_steps", "1"]
    process = start(*command, cwd=RECIPE)
    _wait_until(lambda: list(results.glob("checkpoints/CKPT*")), process)
    srun = _children(process.pid)[0]
    _lose_node(_children(srun)[1])
    _, err = process.communicate(timeout=600)
    assert process.returncode != 0 and not (results / "finished.json").exists()
    assert "error: another process of this run stopped" in err, err

    out, err = start(*command, cwd=RECIPE).communicate(timeout=600)
    assert "resuming from step" in err and out.count("model folder: ") == 1, err
    _compare(one, results)


@pytest.mark.slow
def test_elastic_training_goes_on_without_a_lost_node(start, train, environment, tmp_path):
    arguments, one = train
    results = tmp_path / "two"
    port = 20_000 + int(environment["SLURM_JOB_ID"])
    rendezvous = "--nnodes=1:2 --max_restarts=3 --nproc_per_node=1 --rdzv_id=1 --rdzv_backend=c10d"
    rendezvous += f" --rdzv_endpoint=127.0.0.1:{port}"
    rendezvous += " --rdzv_conf=keep_alive_interval=1,keep_alive_max_attempt=2,is_host="
    command = ["train.py", *arguments, results, "--ckpt_interval_steps", "1"]
    first, second = (start("torchrun", *f"{rendezvous}{host}".split(), *command, cwd=RECIPE) for host in (1, 0))
    _wait_until(lambda: list(results.glob("checkpoints/CKPT*")), first)
    _lose_node(second.pid)
    second.communicate()
    out, err = first.communicate(timeout=600)
    assert first.returncode == 0 and out.count("model folder: ") == 1, err
    assert "error: another process of this run stopped" in err, err
    assert "resuming with 1 instead of 2 processes: grad_accumulation_factor is now 2" in err
    _compare(one, results)


@pytest.mark.slow
def test_scoring_that_lost_a_node_goes_on_when_it_is_submitted_again(start, model_folder, write_audio, tmp_path):
    for number in range(20):
        samples = 0.1 * np.random.default_rng(number).standard_normal(3000 + 200 * number)
        write_audio(tmp_path / f"{number}.wav", samples)
    (tmp_path / "13.wav").write_bytes(b"")
    rows = (f"id{n},real,0.3,16000,$ROOT/{n % 20}.wav,-,-,test,1,PCM_S,16,EN" for n in range(1000))
    (tmp_path / "many.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    given = [model_folder, tmp_path / "many.csv", "--data_folder", tmp_path, "--batch_seconds", "0.5"]
    output = tmp_path / "scores.csv"
    command = ["bash", SLURM / "score.sh", *given, "--output", output]

    def read_parts():
        return [path.read_bytes() for path in tmp_path.glob("scores.csv.*.part") if "skipped" not in path.name]

    process = start(*command)
    _wait_until(lambda: sum(part.count(b"\n") for part in read_parts()) > 50, process)
    srun = _children(process.pid)[0]
    _lose_node(_children(srun)[1])
    _, err = process.communicate(timeout=600)
    assert process.returncode != 0 and not output.exists()
    assert "error: another process of this run stopped" in err, err
    kept = [line.partition(b",")[2] for part in read_parts() for line in part.split(b"\n")[:-1]]
    assert len(kept) > 50

    process = start(*command)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1 and "50 files skipped" in err, err
    assert out.endswith(f"score file: {output}\n") and out.count("decision ") == 1
    assert read_scores(output)["ID"].tolist() == [f"id{n}" for n in range(1000) if n % 20 != 13]
    assert set(kept) <= set(output.read_bytes().split(b"\n"))
    assert not list(tmp_path.glob("*.part"))
