"""Merge the protocols of corpora into a union.

The union has train, valid and test, as that of the AntiDeepfake paper. Every utterance of a corpus that the paper tests
on, and of --test_protocols, goes to test, whatever its Proportion. Of every other corpus, utterances with the
Proportion valid go to valid and all others, including those of its test split, to train, as published. Of utterances
with the same ID the first is kept. train is shuffled; the result does not depend on the order of the command line.
Segments beside the protocols, <protocol>.segments.csv, are merged, too. The file merge.report.json in --output counts
and lists what was left out.
"""

import argparse
import os
import sys
from pathlib import Path

from antideepfake.cli import options
from antideepfake.errors import InputError

FORMS = ("csv", "arrow")
GROUPS = ("corpus", "attack", "language", "label")
SEED = 42  # of the published shuffle
EXAMPLE = "merge data/MiniCorpus.csv --output data/union"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("protocols", nargs="+", metavar="protocol", help="protocols of corpora (.csv, .arrow)")
    options.add_output(parser, "folder for train, valid and test")
    parser.add_argument(
        "--test_protocols", nargs="+", default=[], metavar="PROTOCOL", help="protocols to keep out of training"
    )
    options.add_seed(parser, "the shuffle of train", SEED)
    parser.add_argument(
        "--balance",
        action=options.Names,
        allowed=GROUPS,
        metavar="GROUP",
        help="give train a column Weight by which every group has the same weight in training: "
        "corpus, attack, language, label, or several",
    )
    parser.add_argument(
        "--balance_power",
        type=float,
        default=0.0,
        help="weight groups by their size to this power, from 0, all the same, to 1, by size (default: 0)",
    )
    parser.add_argument(
        "--balance_cap",
        type=float,
        metavar="N",
        help="sample an utterance at most N times an epoch, on average (default: any number)",
    )
    parser.add_argument(
        "--form", choices=FORMS, default="csv", help="form of the protocols; arrow for millions of rows (default: csv)"
    )
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Merge and print."""
    import pandas as pd
    import yaml

    from antideepfake.corpora.registry import read_corpora
    from antideepfake.corpora.union import REPORT, format_merge, list_outputs, merge_protocols
    from antideepfake.resources import find_resource

    if not args.balance and (args.balance_power or args.balance_cap is not None):
        raise InputError("--balance_power and --balance_cap change the weights of --balance; pass it, too")
    if os.path.exists(args.output) and not os.path.isdir(args.output):
        raise InputError(f"{args.output}: a file; --output names a folder")
    existing = list_outputs(args.output)
    for path in existing:
        options.refuse_existing(path, args.overwrite)
    sources = {Path(path).resolve() for path in (*args.protocols, *args.test_protocols)}
    if replaced := [path for path in existing if path.resolve() in sources]:
        raise InputError(f"{replaced[0]}: a source that would be replaced; choose another --output")

    corpora = read_corpora(find_resource("recipes"))
    order = yaml.safe_load(find_resource("hparams/union.yaml").read_text(encoding="utf-8"))
    report = merge_protocols(
        args.protocols,
        args.output,
        corpora,
        order,
        args.test_protocols,
        args.seed,
        args.balance,
        f".{args.form}",
        args.quiet,
        args.balance_power,
        args.balance_cap,
    )
    if args.format == "table":
        print(format_merge(report, corpora))
        print(f"the union is in {args.output}; seed {args.seed}")
    else:
        rows = [
            {"corpus": corpus, "split": split, "label": label, "utterances": int(count), "hours": seconds / 3600}
            for corpus, splits in report.counts.items()
            for split, labels in splits.items()
            for label, (count, seconds) in labels.items()
        ]
        options.print_table(pd.DataFrame(rows), args.format)
    if report.missing:
        print(f"of the paper's union, but not here: {', '.join(report.missing)}", file=sys.stderr)
    if report.unlisted:
        print(f"not of the paper's union, but trained on here: {', '.join(report.unlisted)}", file=sys.stderr)
    if report.repeated:
        print(f"left out: {report.repeated} rows with the ID of another, see {args.output}/{REPORT}", file=sys.stderr)
    return 1 if report.repeated else 0
