"""tools/merge_protocols.py: protocols of corpora in; train, valid and test of a union and a table out."""

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest

from antideepfake.protocol.table import COLUMNS, read_protocol, write_protocol

PROGRAM = Path(__file__).parents[2] / "tools" / "merge_protocols.py"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the program in this process; gives its status, standard output and standard error."""
    spec = importlib.util.spec_from_file_location("merge_program", PROGRAM)
    assert spec and spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["merge_protocols.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            program.run_program(program.main)
        return left.value.code, *capsys.readouterr()

    return call


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
    """The first step of post-training could not be done with one command."""
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


def test_an_arrow_union_with_weights_and_a_test_set_of_ones_own(run, protocols):
    """The options would be without effect."""
    mine = protocols.pop()
    options = ("--test", mine, "--balance", "corpus", "--format", "arrow", "--seed", "7", "--quiet")
    status, out, err = run(*protocols, "--output", "union", *options)
    assert status == 0 and "seed 7" in out and "trained on here" not in err
    table = read_protocol("union/train.arrow")
    assert dict(zip(table["ID"], table["Weight"], strict=True)) == pytest.approx(
        {"Libri-1": 5 / 6, "Libri-3": 5 / 6, "LJ-1": 5 / 3, "WF-1": 5 / 6, "WF-2": 5 / 6}
    )
    assert read_protocol("union/test.arrow")["ID"].tolist() == ["ItW-1", "mine-1"]


def test_repeated_rows_are_told_with_a_status(run, protocols):
    """Rows would vanish without a word."""
    Path("again.csv").write_bytes(Path("lj.csv").read_bytes())
    status, _, err = run(*protocols, "again.csv", "--output", "union", "--quiet")
    assert status == 1 and "left out: 1 rows" in err and "union/merge.report.json" in err


def test_mistakes_are_told_and_a_union_is_not_replaced_unasked(run, protocols):
    """A week's training set would be overwritten by a slip; or a misspelled option end in a traceback."""
    assert run(*protocols, "--output", "union", "--quiet")[0] == 0
    status, _, err = run(protocols[0], "--output", "union", "--quiet")
    assert status == 2 and "--overwrite" in err and len(read_protocol("union/train.csv")) == 6
    assert run(protocols[0], "--output", "union", "--overwrite", "--quiet")[0] == 0
    assert sorted(path.name for path in Path("union").iterdir()) == ["merge.report.json", "train.csv"]
    status, _, err = run(protocols[0], "--output", "other", "--balance", "corpora")
    assert status == 2 and "it takes corpus, language, label" in err
    status, _, err = run("union/train.csv", "--output", "union", "--overwrite")
    assert status == 2 and "union/train.csv: a source that would be replaced" in err
    status, _, err = run("absent.csv", "--output", "other", "--quiet")
    assert status == 2 and "absent.csv: no such file" in err and not list(Path("other").iterdir())
