"""Write a submission to ASVspoof 5 or an Arena from a score file."""

import argparse

from antideepfake.cli import options

FORMS = ("asvspoof5", "speech_df_arena", "anti_spoofing_arena")
EXAMPLE = "export-scores scores.csv --form asvspoof5 --output submission.tsv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("scores", help="score file")
    parser.add_argument("--form", required=True, choices=FORMS, help="form of the submission")
    options.add_output(parser, "submission to write")


def run(args: argparse.Namespace) -> int:
    """Read and write."""
    from antideepfake.scoring.score_file import read_scores
    from antideepfake.scoring.submissions import write_submission

    options.refuse_existing(args.output, args.overwrite)
    scores = read_scores(args.scores)
    write_submission(scores, args.output, args.form)
    print(f"{len(scores)} scores: {args.output}")
    return 0
