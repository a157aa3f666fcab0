"""Commands on a Dask cluster of two processes, one of which is killed: the same results as without."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from speechbrain.utils.importutils import LazyModule

from antideepfake.corpora import build
from antideepfake.errors import InputError
from antideepfake.files import sha256
from antideepfake.parallel import map_in_order
from antideepfake.protocol.table import COLUMNS, read_protocol
from antideepfake.scoring.embeddings import read_embeddings
from antideepfake.scoring.score_file import read_scores

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_corpus):
    """A data folder with a corpus of 48 utterances and its protocol."""
    folder = make_corpus(tmp_path_factory.mktemp("dask") / "data", speakers=6, files=4)
    rows = [
        f"Own-{number},{path.parts[-3]},0.5,16000,$ROOT/{path.relative_to(folder)},-,-,test,1,PCM_S,16,EN"
        for number, path in enumerate(sorted(folder.glob("*/*/*.*")))
    ]
    (folder / "Own.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return folder


@pytest.fixture
def cluster():
    """Two new workers on this machine for each test, since Dask does not always replace a killed one."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def _kill_a_worker(client, folder, pattern):
    """Kill a worker once the first file is there."""

    def wait_and_kill():
        while not list(folder.glob(pattern)):
            time.sleep(0.002)
        os.kill(worker, signal.SIGKILL)

    worker = min(client.run(os.getpid).values())
    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


def _digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".wav", ".tar", ".csv"))
    return {str(path.relative_to(folder)): sha256([path]) for path in files}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "options", "first"),
    [
        ("vocode", ["--vocoder", "griffin_lim", "--output", "OUT.csv", "--output_folder", "OUT"], "**/*.wav"),
        ("shard", ["--output", "OUT", "--shard_mb", "1"], "*.tar"),
    ],
)
def test_a_killed_worker_changes_nothing(verb, options, first, data, cluster, command, monkeypatch):
    def run(name, *more):
        monkeypatch.chdir(data)  # of this process; that of the workers is another
        given = [option.replace("OUT", f"{verb}/{name}/out") for option in options]
        return command(verb, "Own.csv", "--data_folder", ".", *given, *more)

    assert run("alone")[0] == 0
    killer = _kill_a_worker(cluster, data / verb / "cluster" / "out", first)
    status, _, err = run("cluster", "--scheduler", cluster.scheduler.address)
    assert status == 0, err
    killer.join(timeout=10)
    assert not killer.is_alive()
    alone, together = (_digests(data / verb / name / "out") for name in ("alone", "cluster"))
    protocols = ("out.csv", "Own.csv")  # their paths name the folder
    assert {k: v for k, v in together.items() if k not in protocols} == {
        k: v for k, v in alone.items() if k not in protocols
    }
    texts = [
        next(path for path in (data / verb / name).rglob("*.csv") if path.name in protocols).read_text()
        for name in ("alone", "cluster")
    ]
    assert texts[1].replace("/cluster/", "/alone/") == texts[0]


@pytest.mark.slow
def test_a_killed_worker_does_not_change_a_protocol(data, cluster, monkeypatch):
    monkeypatch.setattr(build, "TASK", 1)
    table = read_protocol(data / "Own.csv")
    rows = table.assign(Path=table["Path"].str.removeprefix("$ROOT/"))[["ID", "Label", "Path"]].to_dict("records")
    rows.append({"ID": "Own-none", "Label": "fake", "Path": "none.wav"})
    folder = data / "protocols"
    folder.mkdir()
    build.build_protocol(rows, data, folder / "alone.csv", quiet=True)
    killer = _kill_a_worker(cluster, folder, "cluster.csv.journal*")
    report = build.build_protocol(rows, data, folder / "cluster.csv", quiet=True, scheduler=cluster.scheduler.address)
    killer.join(timeout=10)
    assert not killer.is_alive()
    assert report == build.read_report(folder / "alone.csv") and report.left_out[0]["reason"] == "no such file"
    assert (folder / "cluster.csv").read_bytes() == (folder / "alone.csv").read_bytes()


@pytest.mark.slow
def test_scores_are_those_without_a_cluster(model_folder, data, cluster, command, monkeypatch):
    def run(output, *more):
        monkeypatch.chdir(data)
        given = ("Own.csv", "--data_folder", ".", "--embeddings", output.with_suffix(".parquet"), "--output", output)
        status, _, err = command("score", os.path.relpath(model_folder), *map(str, given), *more)
        assert status == 0, err
        return read_scores(output), read_embeddings(output.with_suffix(".parquet"))[1]

    (data / "scores").mkdir()
    scores, embeddings = run(data / "scores" / "alone.csv")
    killer = _kill_a_worker(cluster, data / "scores", "cluster.csv.*.part")
    found, others = run(data / "scores" / "cluster.csv", "--scheduler", cluster.scheduler.address)
    killer.join(timeout=10)
    assert not killer.is_alive()
    assert found.drop(columns="Score").equals(scores.drop(columns="Score"))
    np.testing.assert_allclose(found["Score"], scores["Score"], atol=1e-5)
    np.testing.assert_allclose(others, embeddings, atol=1e-5)


@pytest.mark.slow
def test_a_scheduler_that_stops_is_reported(monkeypatch):
    monkeypatch.delattr(LazyModule, "__file__")  # which conftest.py sets: Dask asks all modules for it
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    start = [sys.executable, "-m"]
    scheduler = subprocess.Popen(
        [*start, "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"], stderr=subprocess.DEVNULL
    )
    worker = subprocess.Popen(
        [*start, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"],
        stderr=subprocess.DEVNULL,
    )

    def wait(item):
        time.sleep(100 * item)

    try:
        results = map_in_order(wait, range(2), scheduler=address)
        assert next(results) is None
        scheduler.kill()
        with pytest.raises(InputError, match="the scheduler stopped; start it and run the same command again"):
            next(results)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
