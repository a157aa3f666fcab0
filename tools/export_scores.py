#!/usr/bin/env python
"""Write a score file in the form that an evaluation takes: ASVspoof 5, or one of the two Arenas."""

import argparse

from antideepfake.cli.program import run_program
from antideepfake.scoring.score_file import read_scores
from antideepfake.scoring.submissions import FORMS, write_submission


def main() -> int:
    """Parse the command line, read, write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/export_scores.py scores.csv --form asvspoof5 --output submission.tsv",
    )
    parser.add_argument("scores", help="score file")
    parser.add_argument("--form", required=True, help=f"one of {', '.join(FORMS)}")
    parser.add_argument("--output", required=True, help="the file to write")
    args = parser.parse_args()
    scores = read_scores(args.scores)
    write_submission(scores, args.output, args.form)
    print(f"{len(scores)} scores: {args.output}")
    return 0


if __name__ == "__main__":
    run_program(main)
