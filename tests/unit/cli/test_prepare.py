"""antideepfake prepare: finds the programs of the recipes and passes them their options."""

import sys

import pytest

from antideepfake.cli import prepare


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A folder of recipes, one of which has a program."""
    (tmp_path / "My-Corpus").mkdir()
    (tmp_path / "Other").mkdir()
    (tmp_path / "Other" / "another_prepare.py").touch()
    program = tmp_path / "My-Corpus" / "my_corpus_prepare.py"
    program.write_text("def main(argv, prog):\n    print(prog, *argv)\n    return 1\n")
    monkeypatch.setattr(prepare, "find_resource", lambda name: tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield program
    sys.modules.pop("my_corpus_prepare", None)


def test_a_corpus_is_a_folder_with_a_program_of_its_name(recipes):
    assert prepare.list_corpora() == {"My-Corpus": recipes}


def test_options_after_the_corpus_are_those_of_its_program(recipes, command):
    status, out, _ = command("prepare", "My-Corpus", "--data_folder", "d", "--help")
    assert status == 1 and out == "antideepfake prepare My-Corpus --data_folder d --help\n"
