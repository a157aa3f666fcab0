"""antideepfake prepare: the programs of the recipes under one command."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from antideepfake.cli.prepare import list_corpora

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def run(command, monkeypatch):
    """Run ``antideepfake prepare`` in this process, without the search path that it leaves."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return partial(command, "prepare")


def test_every_recipe_with_a_program_is_a_corpus():
    found = {path.parent.name for path in RECIPES.glob("*/*_prepare.py")}
    assert set(list_corpora()) == found and len(found) >= 40


@pytest.mark.parametrize("corpus", sorted(list_corpora()))
def test_every_corpus_describes_itself(corpus, run):
    status, out, _ = run(corpus, "--help")
    assert status == 0 and out.startswith(f"usage: antideepfake prepare {corpus} ")
    shared = {"--data_folder", "--output", "--num_workers", "--overwrite", "--format", "--quiet"}
    assert shared <= set(re.findall(r"--\w+", out)) and "(default: 0, this process alone)" in " ".join(out.split())


def test_the_command_runs_what_the_program_runs(run, tmp_path, make_corpus):
    make_corpus(tmp_path / "data")
    given = ["--data_folder", str(tmp_path / "data"), "--quiet", "--output"]
    status, out, err = run("OwnData", *given, tmp_path / "one.csv")
    program = [sys.executable, RECIPES / "OwnData" / "owndata_prepare.py", *given, tmp_path / "two.csv"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert (status, out, err) == (done.returncode, done.stdout, done.stderr)
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "two.csv").read_text()
    status, out, _ = run("OwnData", *given, tmp_path / "one.csv", "--format", "csv")
    assert status == 0 and out.startswith("split,label,utterances,hours\n")


def test_a_missing_corpus_gives_status_2(run, tmp_path):
    status, out, err = run("In-the-Wild", "--data_folder", tmp_path, "--output", tmp_path / "p.csv")
    assert status == 2 and out == "" and "In-the-Wild: no such folder" in err
