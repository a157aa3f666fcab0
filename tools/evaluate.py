#!/usr/bin/env python
"""Score a test set with a model folder: a table of error rates, a picture, and the score of every utterance.

Run again after an interruption, it goes on where it stopped.
"""

import argparse
import sys

from antideepfake.errors import run_program
from antideepfake.protocol import read_protocol
from antideepfake.training import evaluate_model


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/evaluate.py models/mms-300m data/In-the-Wild.csv --data_folder data "
        "--output results/in-the-wild",
    )
    parser.add_argument("model", help="a model folder, or the id of one on the Hugging Face hub")
    parser.add_argument("protocol", help="of the test set")
    parser.add_argument("--data_folder", required=True, help="what $ROOT stands for in the protocol")
    parser.add_argument("--output", required=True, help="folder for scores.csv, eer.csv and scores.png")
    parser.add_argument(
        "--split", default="", help="take these rows only, by Proportion: test, valid ... (default: all)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default: cpu)")
    args = parser.parse_args()
    table = read_protocol(args.protocol)
    if args.split:
        table = table[table["Proportion"] == args.split]
    skipped = evaluate_model(args.model, table, args.data_folder, args.output, args.protocol, args.device)
    print(f"scores, table and picture: {args.output}", file=sys.stderr)
    return 1 if skipped else 0


if __name__ == "__main__":
    run_program(main)
