"""One function over many items: in this process, in processes, on a Dask cluster that loses a worker."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from antideepfake import parallel
from antideepfake.errors import InputError
from antideepfake.inference.items import read_items
from antideepfake.parallel import LONGEST, check_temporary_folder, map_in_order

distributed = pytest.importorskip("distributed")


@pytest.fixture
def scheduler():
    """The address of a new cluster of two processes on this machine, where two workers may die of the same item."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster:
        cluster.scheduler.allowed_failures = 1
        yield cluster.scheduler_address


@pytest.mark.parametrize("chunk_size", [1, 3])
def test_all_ways_give_the_same_results_in_order(scheduler, chunk_size):
    items = list(range(-5, 20))
    expected = [abs(item) for item in items]
    assert list(map_in_order(abs, items, chunk_size=chunk_size)) == expected
    assert list(map_in_order(abs, items, num_workers=1, chunk_size=chunk_size)) == expected
    assert list(map_in_order(abs, iter(items), scheduler=scheduler, chunk_size=chunk_size)) == expected
    assert list(map_in_order(abs, [], scheduler=scheduler)) == []


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1])
def test_sockets_of_workers_need_a_short_path(length, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/" + (length - 1) * "x")
    with pytest.raises(InputError, match="set TMPDIR to one") if length > LONGEST else contextlib.nullcontext():
        check_temporary_folder()


def test_commands_refuse_a_long_path_before_they_wait_for_workers(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/" + 99 * "x")
    with pytest.raises(InputError, match="set TMPDIR to one"):
        next(read_items(["a.wav"], 13.0, num_workers=1))


def test_workers_end_when_their_parent_is_killed():
    code = (
        "import antideepfake.parallel as parallel\n"
        "for result in parallel.map_in_order(eval, ['0', '__import__(\"time\").sleep(1000)'], num_workers=2):\n"
        "    print(result, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        parent.stdout.readline()
        parent.kill()
        parent.communicate(timeout=60)  # ends as soon as no worker has the pipe


def test_a_killed_worker_loses_nothing(scheduler, tmp_path):
    marker = tmp_path / "killed"

    def square(item):  # local, so that it reaches workers that cannot import this file
        if item == 7 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item**2

    assert list(map_in_order(square, range(50), scheduler=scheduler, chunk_size=2)) == [item**2 for item in range(50)]
    assert marker.exists()


def test_a_cluster_that_lost_all_workers_is_reported_and_goes_on_with_new_ones(monkeypatch):
    monkeypatch.setattr(parallel, "SECONDS", 1)
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster:
        warnings = []

        def add_worker(message):
            warnings.append(message)
            cluster.scale(1)

        monkeypatch.setattr(parallel.logger, "warning", add_worker)
        results = map_in_order(abs, range(-20, 0), scheduler=cluster.scheduler_address)
        assert next(results) == 20
        cluster.scale(0)
        while cluster.scheduler.workers:
            time.sleep(0.01)
        assert list(results) == list(range(19, 0, -1))
    assert len(warnings) == 1
    assert f"--scheduler {cluster.scheduler_address}: all workers are lost; waiting for new ones" in warnings[0]


def test_items_that_kill_every_worker_are_reported(scheduler):
    def die(item):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError, match="several workers died of the same files; see the log of a worker"):
        list(map_in_order(die, [1], scheduler=scheduler))


def test_items_are_taken_as_they_are_needed(scheduler):
    taken = []
    results = map_in_order(abs, (taken.append(item) or item for item in range(1000)), scheduler=scheduler)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert len(taken) < 30


def test_an_error_of_a_user_arrives_as_such(scheduler):
    def fail(item):
        raise InputError(f"{item}.wav: the file is empty")

    with pytest.raises(InputError, match=r"^3\.wav: the file is empty$"):
        list(map_in_order(fail, [3], scheduler=scheduler))


def test_a_scheduler_that_does_not_answer_is_reported(monkeypatch):
    monkeypatch.setattr(parallel, "SECONDS", 1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        for wrong in (address, "nonsense://a"):
            with pytest.raises(InputError, match=f"--scheduler {wrong}: no Dask scheduler answers"):
                list(map_in_order(abs, [1], scheduler=wrong))


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:8787", "tcp://127.0.0.1"])
def test_a_wrong_address_is_reported_before_there_is_a_client(address, monkeypatch):
    monkeypatch.setattr(distributed, "Client", None)  # an unfinished one waits for a minute when Python ends
    with pytest.raises(InputError, match=f"--scheduler {address}: no Dask scheduler answers"):
        list(map_in_order(abs, [1], scheduler=address))


def test_a_cluster_without_workers_is_reported(monkeypatch):
    monkeypatch.setattr(parallel, "SECONDS", 1)
    options = {"n_workers": 0, "dashboard_address": None, "host": "127.0.0.1"}
    said = pytest.raises(InputError, match="the scheduler has no workers; start some with 'dask worker")
    with distributed.LocalCluster(**options) as cluster, said:
        list(map_in_order(abs, [1], scheduler=cluster.scheduler_address))


def test_without_dask_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install \"speechbrain-antideepfake\[dask\]\""):
        list(map_in_order(abs, [1], scheduler="tcp://127.0.0.1:1"))
