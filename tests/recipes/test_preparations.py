"""What applies to every recipe that prepares a corpus, and to its script."""

import subprocess
import sys
from pathlib import Path

import pytest

from antideepfake.protocol.table import read_protocol

RECIPES = Path(__file__).parents[2] / "recipes"
MADE_HERE = {"MiniCorpus", "OwnData"}  # scripts of another form: they prepare no published corpus
NAMES = sorted({path.parent.name for path in RECIPES.glob("*/*_prepare.py")} - MADE_HERE)
LINES = "file,speaker,label\n0.wav,Ann,bona-fide\n1.wav,Bob,spoof\n"


def run(module, monkeypatch, *arguments):
    """Run the script in this process; return its status."""
    monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        module.run_program(module.main)
    return left.value.code


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_is_complete(name, check_recipe):
    assert check_recipe.find_gaps(RECIPES / name) == []


@pytest.mark.parametrize("name", NAMES)
def test_help_describes_the_corpus_and_ends_with_an_example(name, load_recipe, monkeypatch, capsys):
    module = load_recipe(name)
    assert run(module, monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    assert module.__doc__.strip() in said
    assert said.strip().splitlines()[-2:] == [
        "example:",
        f"  python {module.__name__}.py --data_folder data --output protocol.csv",
    ]


def test_help_loads_no_slow_library():
    """Guards against seconds of waiting for ``--help``."""
    scripts = [str(path) for path in sorted(RECIPES.glob("*/*_prepare.py")) if path.parent.name in NAMES]
    code = (
        "import runpy, sys\n"
        f"for script in {scripts}:\n"
        "    sys.argv = [script, '--help']\n"
        "    try:\n"
        "        runpy.run_path(script, run_name='__main__')\n"
        "    except SystemExit:\n"
        "        pass\n"
        "print(*{'numpy', 'pandas', 'pyarrow', 'scipy', 'soundfile', 'torch'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr.split()) == (0, [])
    assert done.stdout.count("example:") == len(scripts)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_corpus_is_reported_in_one_line(name, load_recipe, monkeypatch, capsys, tmp_path):
    """Guards against a traceback, and against a protocol without rows."""
    output = tmp_path / "p.csv"
    assert run(load_recipe(name), monkeypatch, "--data_folder", tmp_path, "--output", output, "--quiet") == 2
    lines = capsys.readouterr().err.splitlines()
    assert (
        len(lines) == 1 and "no such folder; if the corpus's folder has another name, pass --corpus_folder" in lines[0]
    )
    assert not list(tmp_path.iterdir())


def test_status_and_messages_of_a_script(make_tree, load_recipe, monkeypatch, capsys, tmp_path):
    """Guards against an incomplete corpus that looks complete."""
    folder = "In-the-Wild/release_in_the_wild"
    data = make_tree([f"{folder}/0.wav"], {f"{folder}/meta.csv": LINES})
    module = load_recipe("In-the-Wild")
    arguments = ("--data_folder", data, "--output", tmp_path / "p.csv", "--quiet", "--num_workers", "2")
    assert run(module, monkeypatch, *arguments) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["-", "1", "0.00", "h", "0", "0.00", "h"]
    assert printed.err.splitlines() == [
        "real utterances of split -: 19963 published, 1 here",
        "fake utterances of split -: 11816 published, 0 here",
        "left out: 1 files",
        f"the list is in {tmp_path}/p.csv.report.json",
    ]
    assert run(module, monkeypatch, *arguments) == 1  # again, with the protocol there
    make_tree([f"{folder}/1.wav"])
    assert run(module, monkeypatch, *arguments, "--overwrite") == 0
    assert read_protocol(tmp_path / "p.csv")["ID"].tolist() == ["ItW-0", "ItW-1"]


def test_a_corpus_may_have_another_folder(make_tree, load_recipe, monkeypatch, tmp_path):
    data = make_tree(["itw/release_in_the_wild/0.wav"], {"itw/release_in_the_wild/meta.csv": LINES})
    arguments = ("--data_folder", data, "--output", tmp_path / "p.csv", "--quiet", "--corpus_folder", "itw")
    assert run(load_recipe("In-the-Wild"), monkeypatch, *arguments) == 1
    assert read_protocol(tmp_path / "p.csv")["Path"].tolist() == ["$ROOT/itw/release_in_the_wild/0.wav"]
