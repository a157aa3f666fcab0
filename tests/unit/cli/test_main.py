"""The parser of the command: verbs, help, version, and options that mean the same everywhere."""

import argparse
import os
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from antideepfake import __version__
from antideepfake.cli.main import VERBS, make_parser

ROOT = Path(__file__).parents[3]
LIST = runpy.run_path(str(ROOT / "tools" / "list_options.py"))
HEAVY = {"torch", "numpy", "pandas", "scipy", "speechbrain", "yaml"}
# What holds wherever an option appears; a verb may add to the help of --output and --seed what they are of.
COMMON = {
    "--quiet",
    "--overwrite",
    "--num_workers",
    "--device",
    "--precision",
    "--batch_seconds",
    "--data_folder",
    "--split",
    "--limit",
    "--by",
    "--cluster",
    "--format",
    "--trust_code",
}


def test_every_module_of_the_command_is_a_verb_or_shared():
    folder = Path(import_module("antideepfake.cli").__file__).parent
    shared = {"__init__", "main", "options", "program", "preparation", "score_output", "score_pipe"}
    modules = {path.stem for path in folder.glob("*.py")} - shared
    assert modules == {verb.replace(" ", "_").replace("-", "_") for verb in VERBS}


def run(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "antideepfake", *arguments], capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([*verb.split(), "--help"] for verb in VERBS)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments):
    """Guards against help that takes seconds."""
    code = (
        "import sys\n"
        "from antideepfake.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as left:\n    assert left.code == 0\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout
    assert not HEAVY & set(done.stderr.split())


def test_python_m_is_the_command():
    assert run("--version").stdout == f"antideepfake {__version__}\n"
    done = run("score")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", VERBS)
def test_help_ends_with_an_example(verb, command):
    status, out, _ = command(*verb.split(), "--help")
    lines = out.rstrip().splitlines()
    start = lines.index("example:")
    assert status == 0 and all(line.startswith("  antideepfake ") for line in lines[start + 1 :])
    assert lines[-1].startswith(f"  antideepfake {verb}")


@pytest.mark.parametrize("verb", VERBS)
def test_examples_parse(verb):
    for line in import_module("antideepfake.cli." + verb.replace(" ", "_").replace("-", "_")).EXAMPLE.splitlines():
        make_parser().parse_args(line.split())


def test_common_options_mean_the_same_everywhere():
    seen = {}
    for verb, parser in LIST["verb_parsers"]().items():
        for action in parser._actions:
            for name in COMMON & set(action.option_strings):
                facts = (action.default, action.choices, action.nargs, action.type, action.help, type(action))
                assert seen.setdefault(name, (verb, facts))[1] == facts, f"{name} of {verb} and {seen[name][0]}"
    assert set(seen) == COMMON


def test_every_verb_that_writes_has_overwrite():
    for verb, parser in LIST["verb_parsers"]().items():
        names = {name for action in parser._actions for name in action.option_strings}
        assert ("--output" not in names) or ("--overwrite" in names), verb


def test_options_are_in_snake_case():
    names = {
        name
        for parser in LIST["verb_parsers"]().values()
        for action in parser._actions
        for name in action.option_strings
    }
    assert all(name == name.lower() and "-" not in name.lstrip("-") for name in names)


def test_lists_have_one_syntax():
    for verb, parser in LIST["verb_parsers"]().items():
        for action in parser._actions:
            assert action.nargs in (None, 0, "+", argparse.REMAINDER), f"{action.dest} of {verb}"


def test_the_document_lists_the_options():
    assert LIST["describe_options"]() in (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export-scores", "s.csv", "--form", "mine", "--output", "o"], "--form: invalid choice: 'mine'"),
        (["merge", "p.csv", "--output", "o", "--balance", "age"], "--balance is 'age' (choose from corpus"),
        (["score", "m", "a.wav", "--num_workers", "-1"], "--num_workers is -1; it must be 0 or more"),
        (["fit-ood", "m", "e.parquet", "--fraction", "2"], "--fraction is 2; it must lie between 0 and 1"),
        (["calibrate", "m", "s.csv", "--fpr", "0.1", "--fnr", "0.1"], "not allowed with"),
        (["convert", "m", "--output", "o", "--published", "x"], "--published is 'x' (choose from wav2vec-small"),
        (["prepare", "Nowhere"], "invalid choice: 'Nowhere'"),
    ],
)
def test_the_parser_checks_choices(arguments, message, command):
    status, out, err = command(*arguments)
    assert status == 2 and out == "" and message in err and err.count("\n") == 1


def test_choices_are_those_of_the_library():
    from antideepfake.cli import calibrate, export_scores, localize, merge, options
    from antideepfake.corpora import union
    from antideepfake.evaluation import localization
    from antideepfake.inference.detector import PRECISIONS
    from antideepfake.model_folder.calibration import FITS
    from antideepfake.scoring import submissions

    assert (merge.GROUPS, merge.SEED) == (union.GROUPS, union.SEED)
    assert export_scores.FORMS == submissions.FORMS
    assert localize.RESOLUTIONS == localization.RESOLUTIONS
    assert tuple(FITS) == calibrate.METHODS and tuple(PRECISIONS) == options.PRECISIONS


def test_completion_lists_verbs_and_options():
    pytest.importorskip("argcomplete")
    for line, expected in (("antideepfake ev", "evaluate"), ("antideepfake merge --f", "--form")):
        environment = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout", "_ARGCOMPLETE_IFS": "\n"}
        environment |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": ""}
        assert expected in run(env=os.environ | environment).stdout


def test_an_existing_output_is_kept(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o").mkdir()
    for name in ("o/f", "o/report.html", "o/dimensions.csv", "o/robustness.csv", "o/train.csv", "o/localization.csv"):
        (tmp_path / name).write_text("kept")
    for arguments in (
        ["score", "m", "a.wav", "--output", "o/f"],
        ["evaluate", "s.csv", "--output", "o"],
        ["fuse", "--fit", "a", "--apply", "b", "--output", "o/f"],
        ["export-scores", "s.csv", "--form", "asvspoof5", "--output", "o/f"],
        ["drift", "a.csv", "b.csv", "--output", "o"],
        ["robustness", "m", "p.csv", "--output", "o"],
        ["convert", "m", "--output", "o"],
        ["merge", "p.csv", "--output", "o"],
        ["vocode", "p.csv", "--vocoder", "world", "--output_folder", "v", "--output", "o/f"],
        ["localize", "t.json", "p.csv", "--output", "o"],
        ["splice", "p.csv", "--output_folder", "v", "--output", "o/f"],
        ["shard", "p.csv", "--output", "o"],
    ):
        status, out, err = command(*arguments)
        assert status == 2 and out == "" and "already exists" in err and "--overwrite" in err, arguments
    assert all(path.read_text() == "kept" for path in (tmp_path / "o").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o"]
