#!/usr/bin/env python
"""List what is missing in a recipe that prepares a corpus.

Checks the folder's program, README.md and corpus.yaml, the recipe's test and its row in recipes/README.md, and runs the
test. With --data_folder, prepares the corpus itself, or a part of it, and checks the rows. Prints a line for each thing
that is missing: file, line, and the fix. Exit status 1 when something is missing.
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

from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import tell_report
from antideepfake.errors import InputError
from antideepfake.protocol.table import SPLITS, read_protocol

FACTS = ("source", "license", "languages", "hours")  # lines of a program's docstring
SECTIONS = ("Getting it", "Preparing it", "What to expect", "License")  # of a README.md
KEYS = {"use", "identifiers", "sources"}  # of a corpus.yaml
USES = ("train", "test", "none")


def name_module(corpus: str) -> str:
    """Give the name that a corpus has in Python: lower case, ``_`` for other characters than letters and digits."""
    return re.sub("[^a-z0-9]", "_", corpus.lower())


def load_program(folder: Path, program: str = "prepare") -> ModuleType:
    """Import ``<folder>/<corpus>_<program>.py``, as it is when it runs as a program."""
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
    """Tell what a recipe lacks, as far as it shows without running its test: a line each."""
    test = folder.parents[1] / "tests" / "recipes" / f"test_{name_module(folder.name)}.py"
    files = [path for path in sorted(folder.iterdir()) if path not in find_left(folder)]
    gaps = [*check_folder(folder, test), *check_placeholders([*files, test])]
    for path, check in (
        (folder / f"{name_module(folder.name)}_prepare.py", check_program),
        (folder / "README.md", check_readme),
        (folder / "corpus.yaml", check_yaml),
        (folder.parent / "README.md", check_index),
    ):
        gaps += check(folder, path) if path.is_file() else [tell(path, 1, "no such file; copy it from templates/")]
    return gaps


def tell(path: Path, line: int, gap: str) -> str:
    """Give the line that is printed of a gap."""
    return f"{path}:{line}: {gap}"


def find_left(folder: Path) -> list[Path]:
    """Give the forms of the template's program that are still there under their own names."""
    return sorted(folder.glob("corpus_prepare_from_*.py"))


def check_folder(folder: Path, test: Path) -> Iterator[str]:
    """Names that others have, a test that is missing, files that are left of the template."""
    for other in folder.parent.iterdir():
        if name_module(other.name) == name_module(folder.name) and other.name != folder.name:
            yield tell(folder, 1, f"{other.name} has this name but for its case or a dash; choose another name")
    for left in find_left(folder):
        yield tell(left, 1, f"left of the template; name one {name_module(folder.name)}_prepare.py, delete the other")
    if (folder / "test_corpus.py").exists():
        yield tell(folder / "test_corpus.py", 1, f"left of the template; move it to {test}")
    if not test.is_file():
        yield tell(test, 1, "no such file; templates/test_corpus.py is a beginning")


def check_placeholders(paths: Iterable[Path]) -> Iterator[str]:
    """What the template left to be filled in."""
    for path in paths:
        if path.suffix in (".py", ".md", ".yaml") and path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if "fixme" in line.lower():
                    yield tell(path, number, f"fill in: {line.strip()}")


def check_program(folder: Path, path: Path) -> Iterator[str]:
    """The docstring, and the functions that others call."""
    name = name_module(folder.name)
    try:
        module = load_program(folder)
    except (Exception, SystemExit) as error:  # SystemExit: of a program that runs when it is imported
        lines = [step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else 1
        yield tell(path, line or 1, f"cannot be imported: {type(error).__name__}: {error}")
        return
    yield from check_docstring(path, module.__doc__ or "")
    parameters = list(inspect.signature(getattr(module, f"prepare_{name}", lambda: None)).parameters)
    if parameters[:2] != ["data_folder", "output"]:
        yield tell(path, 1, f"no function prepare_{name}(data_folder, output, ...); the template's last lines have it")
    last = ast.parse(path.read_text(encoding="utf-8")).body[-1]
    if not hasattr(module, "main") or ast.unparse(last) != "if __name__ == '__main__':\n    run_program(main)":
        yield tell(path, last.lineno, "must end with main(), and run_program(main) if it is run; as the template does")


def check_docstring(path: Path, docstring: str) -> Iterator[str]:
    """What the corpus is, who made it, where it comes from, how it lies on the disk."""
    paragraphs = [*docstring.strip().split("\n\n"), "", ""]
    if not re.search(r"\b(19|20)\d\d\b", paragraphs[1]):
        yield tell(path, 4, "the docstring's second paragraph is no citation; write 'Authors: Title. Venue year.'")
    for fact in FACTS:
        if not re.search(rf"^{fact} +\S", docstring, re.MULTILINE):
            yield tell(path, 2, f"the docstring has no line '{fact:12}...'; add it, 'not told' if it is not known")
    facts_end = max((docstring.rfind(f"\n{fact} ") for fact in FACTS), default=0)
    if not re.search(r"^\S+/", docstring[facts_end:].partition("\n\n")[2], re.MULTILINE):
        yield tell(path, 2, "the docstring does not show how the corpus lies on the disk; add it below the facts")


def check_readme(folder: Path, path: Path) -> Iterator[str]:
    """What the corpus is, getting it, the command, what to expect, license."""
    text = path.read_text(encoding="utf-8")
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    if len([line for line in head.splitlines() if line.strip()]) < 2 or not head.startswith("# "):
        yield tell(path, 1, "must begin with '# ' and the corpus's name, and say below what it is")
    bodies = {title.strip(): body.strip() for title, _, body in (section.partition("\n") for section in sections)}
    for title in SECTIONS:
        if not bodies.get(title):
            yield tell(path, 1, f"no section '## {title}', or an empty one; write it, as in templates/README.md")
    command = f"python {name_module(folder.name)}_prepare.py "
    if command not in text:
        yield tell(path, 1, f"no command; add '{command}--data_folder DATA --output DATA/{folder.name}.csv'")


def read_facts(path: Path) -> dict[str, Any]:
    """Read a corpus.yaml. What is no table gives an empty one."""
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception:  # PyYAML raises a dozen kinds for values that their tag does not fit
        facts = None
    return facts if isinstance(facts, dict) else {}


def check_yaml(folder: Path, path: Path) -> Iterator[str]:
    """Keys, their values, and beginnings of IDs that another corpus has."""
    facts = read_facts(path)
    if set(facts) - {"published_hours"} != KEYS:
        yield tell(path, 1, f"has the keys {', '.join(facts) or 'of none'}; it must have {', '.join(sorted(KEYS))}")
        return
    places = {
        line.partition(":")[0]: number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    }
    if facts["use"] not in USES:
        yield tell(path, places["use"], f"use is '{facts['use']}'; it must be one of {', '.join(USES)}")
    for key, pattern, form in (("identifiers", r"\S+-", "[Corpus-]"), ("sources", r".+", "[LibriTTS, VCTK] or []")):
        values = facts[key] if isinstance(facts[key], list) else [None]
        if not all(isinstance(value, str) and re.fullmatch(pattern, value) for value in values):
            yield tell(path, places[key], f"{key} is {facts[key]}; it must be as {form}")
            return
    if not facts["identifiers"]:
        yield tell(path, places["identifiers"], "identifiers is empty; it must be as [Corpus-]")
    for other in sorted(folder.parent.glob("*/corpus.yaml")):
        theirs = read_facts(other)
        if other.parent.name == folder.name or not theirs:
            continue
        # the longest beginning decides: FLEURS-R- may lengthen FLEURS-, whose speech that corpus holds
        is_related = other.parent.name in facts["sources"] or folder.name in (theirs.get("sources") or ())
        for mine in facts["identifiers"]:
            for their in theirs.get("identifiers") or ():
                if mine == their or (not is_related and (mine.startswith(their) or their.startswith(mine))):
                    clash = f"{mine} could be {their} of {other.parent.name}"
                    yield tell(path, places["identifiers"], f"{clash}; choose another beginning for all IDs")


def check_index(folder: Path, path: Path) -> Iterator[str]:
    """The row in the table of all recipes."""
    row = f"| [{folder.name}]({folder.name}/README.md) |"
    if row not in path.read_text(encoding="utf-8"):
        yield tell(path, 1, f"no row of this corpus; add '{row} languages | hours real | hours fake | - | license |'")


def check_rows(table: pd.DataFrame, identifiers: Iterable[str]) -> Iterator[str]:
    """What the rows of a protocol lack, by the conventions that hold for all corpora; ``identifiers`` begin its IDs."""
    for gap, faulty in (
        (f"ID does not begin with {' or '.join(identifiers)}", ~table["ID"].str.startswith(tuple(identifiers))),
        ("Attack is not - though Label is real", (table["Label"] == "real") & (table["Attack"] != "-")),
        (f"Proportion is none of {', '.join(SPLITS)}, -", ~table["Proportion"].isin([*SPLITS, "-"])),
        ("Language is not in upper case", table["Language"] != table["Language"].str.upper()),
        ("a value is empty; - stands for what is not known", (table == "").any(axis=1)),
    ):
        if faulty.any():
            yield f"{gap}: {table.loc[faulty.idxmax()].to_dict()}"


def run_test(folder: Path) -> Iterator[str]:
    """Run the recipe's test, and those of all recipes on it, in a process of their own."""
    if importlib.util.find_spec("pytest") is None:
        raise InputError(
            "pytest is not installed, so the recipe's test cannot run; install it with: pip install pytest"
        )
    root, name = folder.parents[1], f"test_{name_module(folder.name)}"
    tests = [root / "tests" / "recipes" / f"{test}.py" for test in (name, "test_preparations")]
    command = [sys.executable, "-m", "pytest", "-q", "-k", f"{name} or [{folder.name}]"]
    done = subprocess.run(
        [*command, *(str(test) for test in tests if test.is_file())], cwd=root, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        lines = re.findall(rf"{name}\.py:(\d+): ", done.stdout) or ["1"]
        yield tell(tests[0], int(lines[-1]), "the test fails; see the output of pytest above")


def prepare_here(folder: Path, data_folder: str, quiet: bool) -> Iterator[str]:
    """Prepare the corpus, or what is there of it, and look at the rows."""
    name = name_module(folder.name)
    program = folder / f"{name}_prepare.py"
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, f"{folder.name}.csv")
        module = load_program(folder)
        report = getattr(module, f"prepare_{name}")(data_folder, output, quiet=quiet)
        tell_report(report, output)
        for gap in check_rows(read_protocol(output), read_facts(folder / "corpus.yaml")["identifiers"]):
            yield tell(program, 1, f"{gap}; mend describe")
    for file in report.left_out[:3]:
        yield tell(program, 1, f"leaves {len(report.left_out)} files out, as {file['path']}: {file['reason']}")
    for path in report.unlisted[:3]:
        yield tell(program, 1, f"passes {len(report.unlisted)} files over, as {path}; or tell why in README.md")


def main() -> int:
    """Parse the command line, check, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/check_recipe.py recipes/LJSpeech",
    )
    parser.add_argument("folder", help="recipes/<Corpus>")
    parser.add_argument("--data_folder", help="holds the corpus's folder: prepare what is there of it, too")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()
    folder = Path(args.folder).absolute()
    if not folder.is_dir():
        raise InputError(f"{args.folder}: no such folder; copy templates to it")
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
