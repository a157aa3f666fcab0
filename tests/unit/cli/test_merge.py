"""antideepfake merge: outputs that are refused, and what it prints for programs."""

import pandas as pd
import pytest

from antideepfake.protocol.table import COLUMNS, write_protocol


@pytest.fixture
def protocol(tmp_path):
    """A protocol with half an hour in train and one in valid."""
    row = dict(
        zip(COLUMNS, ["Libri-1", "real", 1800.0, 16000, "a", "-", "-", "train", 1, "PCM_S", 16, "EN"], strict=True)
    )
    rows = [row, {**row, "ID": "Libri-2", "Path": "b", "Proportion": "valid", "Duration": 3600.0}]
    write_protocol(pd.DataFrame(rows), tmp_path / "libri.csv")
    return tmp_path / "libri.csv"


def test_counts_can_be_read_by_programs(command, protocol, tmp_path):
    status, out, _ = command("merge", protocol, "--output", tmp_path / "union", "--format", "csv", "--quiet")
    assert status == 0 and out.splitlines() == [
        "corpus,split,label,utterances,hours",
        "LibriTTS,train,real,1,0.5",
        "LibriTTS,valid,real,1,1.0",
    ]


def test_the_output_is_a_folder(command, protocol):
    status, out, err = command("merge", protocol, "--output", protocol, "--overwrite")
    assert status == 2 and out == "" and "libri.csv: a file; --output names a folder" in err


def test_names_of_groups_may_be_combined(command):
    status, _, err = command("merge", "p.csv", "--output", "o", "--balance", "corpus,age", "label")
    assert status == 2 and "--balance is 'age' (choose from corpus, attack, language, label)" in err
    status, _, err = command("merge", "p.csv", "--output", "o", "--balance_cap", "4")
    assert status == 2 and "change the weights of --balance; pass it, too" in err
