"""antideepfake merge: from the protocols of corpora to train, valid and test of a union."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from antideepfake.protocol.table import COLUMNS, read_protocol, write_protocol


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """Run ``antideepfake merge`` from a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return partial(command, "merge")


@pytest.fixture
def protocols(tmp_path):
    """WaveFake, LJSpeech, LibriTTS with a validation set, In-the-Wild, and one's own."""
    row = dict(zip(COLUMNS, ["", "real", 1800.0, 16000, "", "-", "-", "-", 1, "PCM_S", 16, "EN"], strict=True))

    def write(name, *rows):
        values = [{**row, "ID": text, "Proportion": split, "Path": f"$ROOT/{text}.wav"} for text, split in rows]
        write_protocol(pd.DataFrame(values), tmp_path / name)
        return name

    return [
        write("wf.csv", ("WF-1", "-"), ("WF-2", "-")),
        write("lj.csv", ("LJ-1", "-")),
        write("libri.csv", ("Libri-1", "train"), ("Libri-2", "valid"), ("Libri-3", "test")),
        write("itw.csv", ("ItW-1", "-")),
        write("mine.csv", ("mine-1", "train")),
    ]


def test_a_union_of_some_corpora(run, protocols):
    status, out, err = run(*protocols, "--output", "union", "--quiet")
    assert status == 0
    train = read_protocol("union/train.csv")["ID"].tolist()
    in_list_order = ["Libri-1", "Libri-3", "LJ-1", "WF-1", "WF-2", "mine-1"]
    assert train == pd.Series(in_list_order).sample(frac=1, random_state=42).tolist()
    assert read_protocol("union/valid.csv")["ID"].tolist() == ["Libri-2"]
    assert read_protocol("union/test.csv")["ID"].tolist() == ["ItW-1"]
    lines = out.splitlines()
    assert lines[1].split() == ["LibriTTS", "2", "1", "0", "1.50", "585.83", "0.00", "0.00", "EN"]
    assert max(map(len, lines)) <= 100
    assert "but not here: AIShell3, ASVspoof2019-LA" in err and "WaveFake" not in err
    assert "trained on here: mine" in err
    assert "seed 42" in out


def test_an_arrow_union_with_weights_and_a_custom_test_set(run, protocols):
    mine = protocols.pop()
    options = ("--test_protocols", mine, "--balance", "corpus", "--form", "arrow", "--seed", "7", "--quiet")
    status, out, err = run(*protocols, "--output", "union", *options)
    assert status == 0 and "seed 7" in out and "trained on here" not in err
    table = read_protocol("union/train.arrow")
    assert dict(zip(table["ID"], table["Weight"], strict=True)) == pytest.approx(
        {"Libri-1": 5 / 6, "Libri-3": 5 / 6, "LJ-1": 5 / 3, "WF-1": 5 / 6, "WF-2": 5 / 6}
    )
    assert read_protocol("union/test.arrow")["ID"].tolist() == ["ItW-1", "mine-1"]


def test_repeated_rows_are_counted_and_give_status_1(run, protocols):
    Path("again.csv").write_bytes(Path("lj.csv").read_bytes())
    status, _, err = run(*protocols, "again.csv", "--output", "union", "--quiet")
    assert status == 1 and "left out: 1 rows" in err and "union/merge.report.json" in err


def test_mistakes_are_reported_and_a_union_is_kept(run, protocols):
    assert run(*protocols, "--output", "union", "--quiet")[0] == 0
    status, _, err = run(protocols[0], "--output", "union", "--quiet")
    assert status == 2 and "--overwrite" in err and len(read_protocol("union/train.csv")) == 6
    assert run(protocols[0], "--output", "union", "--overwrite", "--quiet")[0] == 0
    assert sorted(path.name for path in Path("union").iterdir()) == ["merge.report.json", "train.csv"]
    status, _, err = run(protocols[0], "--output", "other", "--balance", "corpora")
    assert status == 2 and "choose from corpus, attack, language, label" in err
    status, _, err = run("union/train.csv", "--output", "union", "--overwrite")
    assert status == 2 and "union/train.csv: a source that would be replaced" in err
    status, _, err = run("absent.csv", "--output", "other", "--quiet")
    assert status == 2 and "absent.csv: no such file" in err and not list(Path("other").iterdir())
