#!/usr/bin/env python
"""Evaluate detectors on the six test sets of the AntiDeepfake paper, and compare them with the published results.

Evaluates every test set below --data_folder, given as its protocol (In-the-Wild.csv ...) or as the folder of the
corpus, which is then prepared. After an interruption, run the same command again to continue: existing score files are
kept.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from antideepfake.audit.leakage import format_overlap
from antideepfake.cli import options
from antideepfake.cli.program import run_program
from antideepfake.corpora.registry import read_corpora
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Group
from antideepfake.evaluation.report import write_report
from antideepfake.evaluation.systems import describe_test_set, evaluate_file
from antideepfake.evaluation.tables import format_markdown, format_text
from antideepfake.files import atomic_open
from antideepfake.inference.detector import load_detector
from antideepfake.model_folder.windowing import WHOLE
from antideepfake.protocol.table import read_split
from antideepfake.scoring.scorer import score_protocol

HERE = Path(__file__).resolve().parent
RECIPES = HERE.parents[1]
PUBLISHED: dict[str, list[float]] = yaml.safe_load((HERE / "published.yaml").read_text())

# In the order of the published table: folder of the recipe, folder of the corpus, and further options of its program.
TEST_SETS = {
    "ADD2023": ("ADD2023", "ADD2023", []),
    "DeepVoice": ("DeepVoice", "DeepVoice", []),
    "FakeOrReal": ("FakeOrReal", "FakeOrReal/for-original", []),
    "FakeOrReal-norm": ("FakeOrReal", "FakeOrReal/for-norm", ["--version", "norm"]),
    "In-the-Wild": ("In-the-Wild", "In-the-Wild", []),
    "Deepfake-Eval-2024": ("Deepfake-Eval-2024", "Deepfake-Eval-2024", []),
}
HEADS = ["test set", "real", "fake", "EER %", "95 % interval", "published", "difference"]


def find_protocols(data_folder: Path) -> dict[str, pd.DataFrame]:
    """Read the protocol of each available test set; prepare the corpora that have no protocol yet."""
    protocols = {}
    for name, (recipe, corpus_folder, further) in TEST_SETS.items():
        path = data_folder / f"{name}.csv"
        if not path.exists() and (data_folder / corpus_folder).is_dir():
            module = re.sub("[^a-z0-9]", "_", recipe.lower()) + "_prepare.py"
            command = [sys.executable, str(RECIPES / recipe / module), "--data_folder", str(data_folder)]
            print(f"preparing {name}", file=sys.stderr)
            status = subprocess.run([*command, "--output", str(path), *further], stdout=subprocess.DEVNULL).returncode
            if status > 1:
                raise InputError(f"{name} could not be prepared; see its error message")
        if path.exists():
            # Deepfake-Eval-2024 has a split for training; the paper tests on all of the other corpora
            protocols[name] = read_split(path, "test" if name == "Deepfake-Eval-2024" else "")
    if not protocols:
        raise InputError(f"{data_folder}: contains none of {', '.join(TEST_SETS)}, neither as .csv nor as a folder")
    return protocols


def published_name(provenance: str) -> str:
    """Find the published detector that a model folder was made from; return an empty string if there is none."""
    found = re.search(r"/([\w-]+?)-anti-deepfake(-nda)?\b", provenance)
    return f"{found[1]}{found[2] or ''}" if found else ""


def compare(results: dict[str, Group], published: list[float] | None) -> pd.DataFrame:
    """Compare the error rates of a detector with the published ones; the average is over the available test sets."""
    rows, ours, theirs = [], [], []
    for index, name in enumerate(TEST_SETS):
        if name not in results:
            continue
        group = results[name]
        eer, low, high = (100 * value for value in group.metrics["eer"])
        ours.append(eer)
        row = [name, f"{group.real}", f"{group.fake}", f"{eer:.2f}", f"{low:.2f} - {high:.2f}"]
        if published:
            theirs.append(published[index])
            row += [f"{published[index]:.2f}", f"{eer - published[index]:+.2f}"]
        rows.append(row + ["-"] * (len(HEADS) - len(row)))
    average = [f"average of {len(ours)}", "", "", f"{np.mean(ours):.2f}", ""]
    if published:
        average += [f"{np.mean(theirs):.2f}", f"{np.mean(ours) - np.mean(theirs):+.2f}"]
    return pd.DataFrame([*rows, average + ["-"] * (len(HEADS) - len(average))], columns=HEADS)


def main() -> int:
    """Parse the command line; score, evaluate and compare each detector."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python evaluate.py models/mms-300m models/xls-r-2b --data_folder data --output results",
    )
    parser.add_argument("models", nargs="+", help="model folders or Hub ids")
    parser.add_argument(
        "--data_folder", required=True, type=Path, help="contains the test sets; $ROOT in their protocols"
    )
    parser.add_argument("--output", required=True, type=Path, help="folder for scores, reports and the table")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default: cpu)")
    parser.add_argument("--precision", default="fp32", help="fp32, as published, or bf16 (default: fp32)")
    parser.add_argument("--batch_seconds", type=float, default=16.0, help="audio in a batch, s (default: 16; GPU: 100)")
    options.add_num_workers(parser)
    options.add_quiet(parser)
    args = parser.parse_args()
    names = [Path(model).name for model in args.models]
    if len(set(names)) < len(names):
        raise InputError("two of the models have the same name; rename a folder")

    corpora = read_corpora(RECIPES)
    protocols, tables, skipped = find_protocols(args.data_folder), [], 0
    for model, name in zip(args.models, names, strict=True):
        detector = load_detector(model, args.device, args.precision)
        metadata = detector.hparams.metadata
        results = {}
        for test_set, protocol in protocols.items():
            path = args.output / name / f"{test_set}.csv"
            if not path.exists():
                how = (args.batch_seconds, args.num_workers, args.quiet)
                result = score_protocol(detector, protocol, args.data_folder, path, *how, windowing=WHOLE)
                skipped += len(result)
            system = evaluate_file(path, f"{name} on {test_set}", corpora, metadata=metadata, quiet=args.quiet)
            results[test_set] = system.evaluation.overall
            print(format_overlap(system.overlap), file=sys.stderr, end="\n" if system.overlap else "")
            write_report(args.output / name / test_set, [system], describe_test_set(system, corpora))
        table = compare(results, PUBLISHED.get(published_name(metadata.provenance)))
        tables.append((name, table))
        print(f"{name}\n{format_text(table)}\n")
    with atomic_open(args.output / "table.md") as file:
        file.write("\n".join(f"## {name}\n\n{format_markdown(table)}\n" for name, table in tables))
    print(f"table: {args.output / 'table.md'}; the report of each test set is beside its scores", file=sys.stderr)
    if skipped:
        print(f"{skipped} files could not be read; see the .skipped.csv beside the scores", file=sys.stderr)
    return 1 if skipped else 0


if __name__ == "__main__":
    run_program(main)
