#!/usr/bin/env python
"""Merge the protocols of corpora into train, valid and test of a union, as those of the AntiDeepfake paper.

Of a corpus that the paper tests on, and of --test, every row goes to test, whatever its Proportion. Of every other,
rows with the Proportion valid go to valid and all others, those of its test split too, to train, as published. Of rows
with the same ID the first is kept. train is shuffled; the result does not depend on the order of the command line.
FOLDER/merge.report.json counts and lists what was left out.
"""

import argparse
import os
import sys
from pathlib import Path

import yaml

from antideepfake.cli.program import run_program
from antideepfake.corpora.registry import read_corpora
from antideepfake.corpora.union import GROUPS, REPORT, SEED, format_merge, list_outputs, merge_protocols
from antideepfake.errors import InputError

HOME = Path(__file__).resolve().parents[1]
FORMATS = ("csv", "arrow")


def main() -> int:
    """Parse the command line, merge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/merge_protocols.py data/LJSpeech.csv data/WaveFake.csv data/In-the-Wild.csv "
        "--output data/union",
    )
    parser.add_argument("protocols", nargs="+", metavar="PROTOCOL", help="protocols of corpora (.csv, .arrow)")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="takes train, valid and test")
    parser.add_argument("--test", nargs="+", default=[], metavar="PROTOCOL", help="protocols to keep out of training")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the shuffle of train (default: {SEED}, published)")
    parser.add_argument(
        "--balance",
        default="",
        metavar="COLUMNS",
        help="give train a column Weight by which every group has the same weight in training: "
        "corpus, language, label, or several with commas",
    )
    parser.add_argument("--format", choices=FORMATS, default="csv", help="arrow for millions of rows (default: csv)")
    parser.add_argument("--overwrite", action="store_true", help="replace a union that is there")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()
    balance = args.balance.split(",") if args.balance else []
    if wrong := sorted(set(balance) - set(GROUPS)):
        raise InputError(f"--balance: '{', '.join(wrong)}' is no group; it takes {', '.join(GROUPS)}")
    if os.path.exists(args.output) and not os.path.isdir(args.output):
        raise InputError(f"{args.output}: a file; --output names a folder")
    there = list_outputs(args.output)
    if there and not args.overwrite:
        raise InputError(f"{there[0]}: already exists; choose another --output or pass --overwrite")
    sources = {Path(path).resolve() for path in (*args.protocols, *args.test)}
    if replaced := [path for path in there if path.resolve() in sources]:
        raise InputError(f"{replaced[0]}: a source that would be replaced; choose another --output")

    corpora = read_corpora(HOME / "recipes")
    order = yaml.safe_load((HOME / "hparams" / "union.yaml").read_text(encoding="utf-8"))
    report = merge_protocols(
        args.protocols, args.output, corpora, order, args.test, args.seed, balance, f".{args.format}", args.quiet
    )
    print(format_merge(report, corpora))
    print(f"the union is in {args.output}; seed {args.seed}")
    if report.missing:
        print(f"of the paper's union, but not here: {', '.join(report.missing)}", file=sys.stderr)
    if report.unlisted:
        print(f"not of the paper's union, but trained on here: {', '.join(report.unlisted)}", file=sys.stderr)
    if report.repeated:
        print(f"left out: {report.repeated} rows with the ID of another, see {args.output}/{REPORT}", file=sys.stderr)
    return 1 if report.repeated else 0


if __name__ == "__main__":
    run_program(main)
