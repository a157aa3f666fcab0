"""Fuse the scores of several systems.

The fused score is a weighted sum, fitted by logistic regression on a development set. The fused scores are natural
log-likelihood ratios: above 0 means rather real.
"""

import argparse
import sys

from antideepfake.cli import options

EXAMPLE = "fuse --fit scores.csv --apply scores.csv --output fused.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument(
        "--fit", nargs="+", required=True, metavar="SCORES", help="score files of a development set, one a system"
    )
    parser.add_argument(
        "--apply", nargs="+", required=True, metavar="SCORES", help="score files of a test set, systems in that order"
    )
    options.add_output(parser, "score file to write")
    options.add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Fuse and print the weights."""
    options.refuse_existing(args.output, args.overwrite)

    import pandas as pd

    from antideepfake.scoring.fusion import fuse_scores

    fusion = fuse_scores(args.fit, args.apply, args.output)
    rows = [*zip(args.fit, fusion.weights, strict=True), ("offset", fusion.offset)]
    options.print_table(pd.DataFrame(rows, columns=["system", "weight"]), args.format)
    print(f"fused scores: {args.output}", file=sys.stderr)
    return 0
