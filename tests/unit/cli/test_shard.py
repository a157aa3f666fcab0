"""antideepfake shard: how its options reach the library, and what it prints."""

import json

import pytest

from antideepfake.cli.shard import SHARD_MB
from antideepfake.corpora import shards
from antideepfake.corpora.build import BuildReport

GIVEN = ["shard", "p.csv", "--output", "s", "--quiet"]


@pytest.fixture
def calls(monkeypatch):
    """Run with a library that packs nothing; the arguments of each call, and the report to return."""
    calls = []
    report = BuildReport(1, [{"id": "a", "path": "a", "reason": "empty"}], counts={"-": {"fake": [1, 1800.0]}})

    def pretend(*given):
        calls.append(given)
        return calls_report[0]

    calls_report = [report]
    monkeypatch.setattr(shards, "write_shards", pretend)
    return calls, calls_report


def test_left_out_files_exit_with_status_1(command, calls):
    status, out, err = command(*GIVEN, "--split", "test", "--data_folder", "d", "--num_workers", "2", "--shard_mb", "5")
    assert status == 1 and "0.50 h" in out and "left out: 1 files" in err and "protocol: s/p.csv" in err
    assert calls[0] == [("p.csv", "d", "s", "test", 5, 2, False, True, None)]


def test_a_run_that_is_not_the_last_says_so(command, calls):
    calls[1][0] = None
    status, out, err = command(*GIVEN)
    assert status == 0 and out == "" and "other runs are still writing shards" in err


def test_faults_exit_with_status_1(command, monkeypatch):
    found = [shards.Verification(2, 8, []), shards.Verification(2, 8, ["000000.tar: a is missing"])]
    monkeypatch.setattr(shards, "verify_shards", lambda *given: found.pop(0))
    assert command(*GIVEN, "--verify")[0] == 0
    status, out, err = command(*GIVEN, "--verify", "--format", "json")
    assert status == 1 and err == "000000.tar: a is missing\n"
    assert json.loads(out) == [{"shards": 2, "members": 8, "faults": 1}]


def test_the_default_size_is_that_of_the_library():
    assert SHARD_MB == shards.SHARD_MB
