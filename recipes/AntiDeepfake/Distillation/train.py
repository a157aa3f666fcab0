#!/usr/bin/env python
"""Distill a trained detector into a smaller one, write its model folder, and evaluate it on the test set.

    python train.py hparams/small.yaml --data_folder DATA --teacher MODEL_FOLDER

Run the same command to resume training.
"""

import sys

from antideepfake.cli.program import run_program
from antideepfake.protocol.table import read_protocol, split_protocol
from antideepfake.training.distillation_brain import DistillationBrain
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
    train_set, valid_set, test_set = split_protocol(read_protocol(hparams["protocol"]), hparams["protocol"])
    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    assert isinstance(brain, DistillationBrain)
    # what the teacher was trained on is no test for the student either
    taught = brain.teacher.metadata.training_corpora
    hparams["start_corpora"] = [*hparams["start_corpora"], *(name for name in taught if name not in hparams["corpora"])]
    export_model(brain, hparams, train_set, valid_set)
    outcome = finish_experiment(brain, hparams, test_set, "Distilled detector")
    print(outcome.text, end="")
    return outcome.status


if __name__ == "__main__":
    run_program(main)
