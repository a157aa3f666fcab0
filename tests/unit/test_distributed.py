"""What processes tell each other: two of them, on this machine."""

import multiprocessing

import pytest
import torch
from torch import distributed

from antideepfake.distributed import average, gather, rank_and_size, report_lost_process, wait_for_all
from antideepfake.errors import InputError


def _process(rank, folder, results):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    wait_for_all(2)
    mean = average(torch.tensor([1.0 + rank, 10.0])).tolist()
    results.put((rank_and_size(), mean, gather([f"{rank}a", f"{rank}b"][: 2 - rank])))
    distributed.destroy_process_group()


def test_two_processes_agree(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [context.Process(target=_process, args=(rank, tmp_path, results)) for rank in range(2)]
    for child in children:
        child.start()
    found = sorted(results.get(timeout=60) for _ in children)
    for child in children:
        child.join()
    both = ([1.5, 10.0], ["0a", "0b", "1a"])
    assert found == [((0, 2), *both), ((1, 2), *both)]


def test_one_process_is_alone():
    values = torch.tensor([1.0, 2.0])
    wait_for_all(1)
    assert rank_and_size() == (0, 1) and gather([1, 2]) == [1, 2] and torch.equal(average(values), values)


def test_a_stopped_process_is_reported(monkeypatch):
    def barrier():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer")

    monkeypatch.setattr(distributed, "barrier", barrier)
    with pytest.raises(InputError, match="another process of this run stopped"):
        wait_for_all(2)


def test_other_errors_are_not_explained():
    with pytest.raises(RuntimeError, match="out of memory"), report_lost_process():
        raise RuntimeError("out of memory")
