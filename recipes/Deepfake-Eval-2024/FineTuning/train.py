#!/usr/bin/env python
"""Fine-tune a detector on segments of Deepfake-Eval-2024, write its model folder, and evaluate it on the test split.

    python train.py hparams/fine_tuning.yaml --data_folder DATA --start_from MODEL --segment_seconds 10

Run the same command to resume training from the last checkpoint.
"""

import sys

from antideepfake.cli.program import run_program
from antideepfake.protocol.table import read_split
from antideepfake.training.experiment import (
    begin_experiment,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)


def main() -> int:
    """Train, export, evaluate."""
    hparams, run_opts = begin_experiment(sys.argv[1:])
    if is_finished(hparams):
        return 0
    train_set, test_set = (read_split(hparams["protocol"], split) for split in ("train", "test"))
    valid_set = read_split(hparams["valid_protocol"], "valid")
    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    outcome = finish_experiment(brain, hparams, test_set, "Deepfake-Eval-2024, test split")
    print(outcome.text, end="")
    return outcome.status


if __name__ == "__main__":
    run_program(main)
