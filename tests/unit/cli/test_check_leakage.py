"""antideepfake check leakage: its options and what it prints for programs."""

import json

import pandas as pd
import pytest

from antideepfake.protocol.table import COLUMNS, write_protocol


@pytest.fixture
def protocol(tmp_path):
    """A protocol of one utterance of In-the-Wild."""
    row = dict(zip(COLUMNS, ["ItW-1", "real", 1.0, 16000, "a", "-", "-", "-", 1, "PCM_S", 16, "EN"], strict=True))
    write_protocol(pd.DataFrame([row]), tmp_path / "p.csv")
    return tmp_path / "p.csv"


def test_comparing_recordings_needs_those_of_training(command):
    status, out, err = command("check", "leakage", "p.csv", "--model", "m", "--audio")
    assert (status, out) == (2, "") and "--audio needs --train" in err


def test_training_data_or_a_model_is_required(command):
    status, _, err = command("check", "leakage", "p.csv")
    assert status == 2 and "one of the arguments --train --model is required" in err
    assert command("check", "leakage", "p.csv", "--train", "t.csv", "--model", "m")[0] == 2


def test_counts_can_be_read_by_programs(command, protocol):
    status, out, _ = command("check", "leakage", protocol, "--train", protocol, "--format", "json")
    counts = {row["shared"]: row["count"] for row in json.loads(out)}
    assert status == 1 and (counts["identifiers"], counts["recordings"], counts["corpora"]) == (1, 0, 1)
