#!/usr/bin/env python
"""Train a detector without one spoofing system at a time, and test it on that system.

Takes the YAML of any recipe whose protocol has the splits train, valid and test, and keys of that YAML. Trains once on
all spoofing systems and once without each; writes a folder for each run, and leave_one_out.csv. Run the same command to
resume: finished runs are skipped.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.run_opts import RunOptions

from antideepfake.cli import options
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.evaluation.held_out import compare_held_out, find_systems, format_held_out, hold_out
from antideepfake.files import atomic_open
from antideepfake.protocol.table import read_protocol, split_protocol
from antideepfake.scoring.score_file import read_scores
from antideepfake.training.experiment import (
    begin_experiment,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)
from antideepfake.training.hparams import HyperParameters

ALL = "all_systems"
EXAMPLE = "python leave_one_out.py ../../MiniCorpus/hparams/train.yaml --data_folder DATA --output_folder results/out"


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the program's own options; everything else is passed on to the YAML."""
    parser = options.Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example:\n  {EXAMPLE}",
        allow_abbrev=False,
    )
    parser.add_argument("hparams_file", help="YAML of a recipe; its keys are options, such as --data_folder and --seed")
    parser.add_argument("--output_folder", required=True, help="takes a folder for each run and leave_one_out.csv")
    parser.add_argument(
        "--groups",
        nargs="+",
        metavar="A,B",
        help="systems to hold out, one run each; those with commas between them are held out together "
        "(default: each system of the test set that is also in train or valid)",
    )
    return parser.parse_known_args(argv)


def choose_groups(table: pd.DataFrame, given: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the systems to hold out in each run, by the name of the run."""
    groups = [group.split(",") for group in given] if given else [[system] for system in find_systems(table)]
    if not groups:
        raise InputError("no spoofing system of the test set is in train or valid; there is nothing to hold out")
    return {"+".join(group): group for group in groups}


def train(hparams: HyperParameters, run_opts: RunOptions, sets: Sequence[pd.DataFrame], title: str) -> int:
    """Train, export and evaluate a detector, unless this is done; return the exit status."""
    if is_finished(hparams):
        return 0
    train_set, valid_set, test_set = sets
    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    return finish_experiment(brain, hparams, test_set, title).status


def main() -> int:
    """Train on all systems and without each group, and compare."""
    args, given = parse_arguments(sys.argv[1:])
    folder = Path(args.output_folder)

    def begin(name: str) -> tuple[HyperParameters, RunOptions]:
        return begin_experiment([args.hparams_file, *given, "--output_folder", str(folder / name)])

    hparams, run_opts = begin(ALL)
    table = read_protocol(hparams["protocol"])
    groups = choose_groups(table, args.groups)
    sets = {name: hold_out(table, systems) for name, systems in groups.items()}  # an error ends here, before training
    status = train(hparams, run_opts, split_protocol(table, hparams["protocol"]), "trained on all systems")
    for name in groups:
        status |= train(*begin(f"without_{name}"), sets[name], f"held out: {name}")
    if if_main_process():
        scores = {name: read_scores(folder / f"without_{name}" / "scores.csv") for name in groups}
        compared = compare_held_out(scores, read_scores(folder / ALL / "scores.csv"), groups)
        with atomic_open(folder / "leave_one_out.csv") as file:
            compared.to_csv(file, index=False)
        print(format_held_out(compared))
    return status


if __name__ == "__main__":
    run_program(main)
