#!/usr/bin/env python
"""List what is missing from a recipe that prepares a corpus.

Checks the recipe's script, README.md, corpus.yaml, test and row in recipes/README.md, and runs the test. With
--data_folder, also prepares the corpus, or the part of it that exists, and checks the rows. Prints one line for each
thing that is missing: file, line, and the fix. Exit status 1 when something is missing.
"""

import argparse
import ast
import importlib.util
import inspect
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import yaml

from antideepfake.cli.preparation import print_report
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.protocol.table import SPLITS, read_protocol

FACTS = ("source", "license", "languages", "hours")  # lines of a script's docstring
SECTIONS = ("Getting it", "Preparing it", "What to expect", "License")  # of a README.md
KEYS = {"use", "identifiers", "sources"}  # of a corpus.yaml
USES = ("train", "test", "none")


def name_module(corpus: str) -> str:
    """Return a corpus's name in Python: lower case, ``_`` for all but letters and digits."""
    return re.sub("[^a-z0-9]", "_", corpus.lower())


def load_program(folder: Path, program: str = "prepare") -> ModuleType:
    """Import ``<folder>/<corpus>_<program>.py`` with its folder on the path, as when it is run."""
    name = f"{name_module(folder.name)}_{program}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(folder))
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
        finally:
            sys.path.pop(0)
    return sys.modules[name]


def find_gaps(folder: Path) -> list[str]:
    """Return a line for each thing missing from a recipe, without running its test."""
    test = folder.parents[1] / "tests" / "recipes" / f"test_{name_module(folder.name)}.py"
    files = [path for path in sorted(folder.iterdir()) if path not in find_leftovers(folder)]
    gaps = [*check_folder(folder, test), *check_placeholders([*files, test])]
    for path, check in (
        (folder / f"{name_module(folder.name)}_prepare.py", check_program),
        (folder / "README.md", check_readme),
        (folder / "corpus.yaml", check_yaml),
        (folder.parent / "README.md", check_index),
    ):
        gaps += (
            check(folder, path) if path.is_file() else [format_gap(path, 1, "no such file; copy it from templates/")]
        )
    return gaps


def format_gap(path: Path, line: int, gap: str) -> str:
    """Format the line that is printed for a gap."""
    return f"{path}:{line}: {gap}"


def find_leftovers(folder: Path) -> list[Path]:
    """List the template scripts that still have their own names."""
    return sorted(folder.glob("corpus_prepare_from_*.py"))


def check_folder(folder: Path, test: Path) -> Iterator[str]:
    """Check for a name that is taken, a missing test and files left over from the template."""
    for other in folder.parent.iterdir():
        if name_module(other.name) == name_module(folder.name) and other.name != folder.name:
            yield format_gap(folder, 1, f"{other.name} differs only in case or dashes; choose another name")
    for path in find_leftovers(folder):
        fix = f"rename one script to {name_module(folder.name)}_prepare.py, delete the other"
        yield format_gap(path, 1, f"left over from the template; {fix}")
    if (folder / "test_corpus.py").exists():
        yield format_gap(folder / "test_corpus.py", 1, f"left over from the template; move it to {test}")
    if not test.is_file():
        yield format_gap(test, 1, "no such file; start from templates/test_corpus.py")


def check_placeholders(paths: Iterable[Path]) -> Iterator[str]:
    """Check for placeholders of the template."""
    for path in paths:
        if path.suffix in (".py", ".md", ".yaml") and path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if "fixme" in line.lower():
                    yield format_gap(path, number, f"fill in: {line.strip()}")


def check_program(folder: Path, path: Path) -> Iterator[str]:
    """Check the docstring and the functions that other programs call."""
    name = name_module(folder.name)
    try:
        module = load_program(folder)
    except (Exception, SystemExit) as error:  # SystemExit: a script that runs on import
        lines = [step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else 1
        yield format_gap(path, line or 1, f"cannot be imported: {type(error).__name__}: {error}")
        return
    yield from check_docstring(path, module.__doc__ or "")
    parameters = list(inspect.signature(getattr(module, f"prepare_{name}", lambda: None)).parameters)
    if parameters[:2] != ["data_folder", "output"]:
        yield format_gap(path, 1, f"no function prepare_{name}(data_folder, output, ...); see the end of the template")
    last = ast.parse(path.read_text(encoding="utf-8")).body[-1]
    if not accepts_argv(module) or ast.unparse(last) != "if __name__ == '__main__':\n    run_program(main)":
        yield format_gap(path, last.lineno, "no main(argv) that run_program(main) runs; see the end of the template")


def accepts_argv(module: ModuleType) -> bool:
    """Check whether ``main`` can be called with a list of options, as ``antideepfake prepare`` does."""
    try:
        inspect.signature(module.main).bind([])
    except (AttributeError, TypeError):
        return False
    return True


def check_docstring(path: Path, docstring: str) -> Iterator[str]:
    """Check for a citation, the facts and the layout of the corpus on disk."""
    paragraphs = [*docstring.strip().split("\n\n"), "", ""]
    if not re.search(r"\b(19|20)\d\d\b", paragraphs[1]):
        yield format_gap(
            path, 4, "the docstring's second paragraph is not a citation; write 'Authors: Title. Venue year.'"
        )
    for fact in FACTS:
        if not re.search(rf"^{fact} +\S", docstring, re.MULTILINE):
            yield format_gap(path, 2, f"the docstring has no line '{fact:12}...'; add it, with 'unknown' if need be")
    facts_end = max((docstring.rfind(f"\n{fact} ") for fact in FACTS), default=0)
    if not re.search(r"^\S+/", docstring[facts_end:].partition("\n\n")[2], re.MULTILINE):
        yield format_gap(
            path, 2, "the docstring does not show the corpus's folders and files; add them below the facts"
        )


def check_readme(folder: Path, path: Path) -> Iterator[str]:
    """Check the title, the sections and the command."""
    text = path.read_text(encoding="utf-8")
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    if len([line for line in head.splitlines() if line.strip()]) < 2 or not head.startswith("# "):
        yield format_gap(path, 1, "must begin with '# ' and the corpus's name, then describe the corpus")
    bodies = {title.strip(): body.strip() for title, _, body in (section.partition("\n") for section in sections)}
    for title in SECTIONS:
        if not bodies.get(title):
            yield format_gap(path, 1, f"section '## {title}' is missing or empty; see templates/README.md")
    command = f"python {name_module(folder.name)}_prepare.py "
    if command not in text:
        yield format_gap(path, 1, f"no command; add '{command}--data_folder DATA --output DATA/{folder.name}.csv'")


def read_facts(path: Path) -> dict[str, Any]:
    """Read a corpus.yaml; return an empty dict if it is not a YAML mapping."""
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception:  # PyYAML raises a dozen kinds for values that their tag does not fit
        facts = None
    return facts if isinstance(facts, dict) else {}


def check_yaml(folder: Path, path: Path) -> Iterator[str]:
    """Check the keys, their values, and that no other corpus has the same prefixes of IDs."""
    facts = read_facts(path)
    if set(facts) - {"published_hours"} != KEYS:
        yield format_gap(
            path, 1, f"has the keys {', '.join(facts) or '(none)'}; it must have {', '.join(sorted(KEYS))}"
        )
        return
    lines = {
        line.partition(":")[0]: number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    }
    if facts["use"] not in USES:
        yield format_gap(path, lines["use"], f"use is '{facts['use']}'; it must be one of {', '.join(USES)}")
    for key, pattern, form in (("identifiers", r"\S+-", "[Corpus-]"), ("sources", r".+", "[LibriTTS, VCTK] or []")):
        values = facts[key] if isinstance(facts[key], list) else [None]
        if not all(isinstance(value, str) and re.fullmatch(pattern, value) for value in values):
            yield format_gap(path, lines[key], f"{key} is {facts[key]}; it must look like {form}")
            return
    if not facts["identifiers"]:
        yield format_gap(path, lines["identifiers"], "identifiers is empty; it must look like [Corpus-]")
    for other in sorted(folder.parent.glob("*/corpus.yaml")):
        theirs = read_facts(other)
        if other.parent.name == folder.name or not theirs:
            continue
        # the longest prefix decides: FLEURS-R- may extend FLEURS-, whose speech that corpus contains
        is_related = other.parent.name in facts["sources"] or folder.name in (theirs.get("sources") or ())
        for mine in facts["identifiers"]:
            for their in theirs.get("identifiers") or ():
                if mine == their or (not is_related and (mine.startswith(their) or their.startswith(mine))):
                    clash = f"{mine} is ambiguous with {their} of {other.parent.name}"
                    yield format_gap(path, lines["identifiers"], f"{clash}; choose another prefix for all IDs")


def check_index(folder: Path, path: Path) -> Iterator[str]:
    """Check for the row in the table of all recipes."""
    row = f"| [{folder.name}]({folder.name}/README.md) |"
    if row not in path.read_text(encoding="utf-8"):
        yield format_gap(
            path, 1, f"no row of this corpus; add '{row} languages | hours real | hours fake | - | license |'"
        )


def check_rows(table: pd.DataFrame, identifiers: Iterable[str]) -> Iterator[str]:
    """Check the rows of a protocol whose IDs begin with one of ``identifiers`` against the common conventions."""
    for gap, faulty in (
        (f"ID does not begin with {' or '.join(identifiers)}", ~table["ID"].str.startswith(tuple(identifiers))),
        ("Attack is not - though Label is real", (table["Label"] == "real") & (table["Attack"] != "-")),
        (f"Proportion is not one of {', '.join(SPLITS)}, -", ~table["Proportion"].isin([*SPLITS, "-"])),
        ("Language is not in upper case", table["Language"] != table["Language"].str.upper()),
        ("a value is empty; write - for unknown", (table == "").any(axis=1)),
    ):
        if faulty.any():
            yield f"{gap}: {table.loc[faulty.idxmax()].to_dict()}"


def run_test(folder: Path) -> Iterator[str]:
    """Run the recipe's test, and the tests that apply to all recipes on it, in a separate process."""
    if importlib.util.find_spec("pytest") is None:
        raise InputError("the recipe's test needs pytest; install it with: pip install pytest")
    root, name = folder.parents[1], f"test_{name_module(folder.name)}"
    tests = [root / "tests" / "recipes" / f"{test}.py" for test in (name, "test_preparations")]
    command = [sys.executable, "-m", "pytest", "-q", "-k", f"{name} or [{folder.name}]"]
    done = subprocess.run(
        [*command, *(str(test) for test in tests if test.is_file())], cwd=root, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        lines = re.findall(rf"{name}\.py:(\d+): ", done.stdout) or ["1"]
        yield format_gap(tests[0], int(lines[-1]), "the test fails; see the output of pytest above")


def prepare_here(folder: Path, data_folder: str, quiet: bool) -> Iterator[str]:
    """Prepare the corpus, or the part of it that exists, and check the rows of its protocol."""
    name = name_module(folder.name)
    program = folder / f"{name}_prepare.py"
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, f"{folder.name}.csv")
        module = load_program(folder)
        report = getattr(module, f"prepare_{name}")(data_folder, output, quiet=quiet)
        print_report(report, output)
        for gap in check_rows(read_protocol(output), read_facts(folder / "corpus.yaml")["identifiers"]):
            yield format_gap(program, 1, f"{gap}; correct describe")
    for file in report.left_out[:3]:
        example = f"{file['path']}: {file['reason']}"
        yield format_gap(program, 1, f"leaves out {len(report.left_out)} files, such as {example}")
    for path in report.unlisted[:3]:
        count = len(report.unlisted)
        yield format_gap(
            program, 1, f"ignores {count} audio files, such as {path}; include them or say why in README.md"
        )


def main() -> int:
    """Check a recipe from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/check_recipe.py recipes/LJSpeech",
    )
    parser.add_argument("folder", help="recipes/<Corpus>")
    parser.add_argument("--data_folder", help="contains the corpus's folder; prepares the corpus, too")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()
    folder = Path(args.folder).absolute()
    if not folder.is_dir():
        raise InputError(f"{args.folder}: no such folder; copy templates/ to it")
    gaps = find_gaps(folder)
    if not gaps:
        gaps += run_test(folder)
        if args.data_folder:
            gaps += prepare_here(folder, args.data_folder, args.quiet)
    for gap in gaps:
        print(gap.replace(f"{folder.parents[1]}/", ""))
    count = {0: "nothing is missing", 1: "1 thing is missing"}.get(len(gaps), f"{len(gaps)} things are missing")
    print(f"{folder.name}: {count}", file=sys.stderr)
    return 1 if gaps else 0


if __name__ == "__main__":
    run_program(main)
