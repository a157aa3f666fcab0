#!/usr/bin/env python
"""Post-train a self-supervised model on the union of many corpora, and write its model folder.

    python train.py hparams/post_training.yaml --data_folder DATA
    torchrun --nproc_per_node=4 train.py hparams/post_training.yaml --data_folder DATA

Run the same command to resume training from the last checkpoint.
"""

import sys

from antideepfake.cli.program import run_program
from antideepfake.protocol.table import read_protocol
from antideepfake.training.experiment import (
    begin_experiment,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)


def main() -> int:
    """Train, export."""
    hparams, run_opts = begin_experiment(sys.argv[1:])
    if is_finished(hparams):
        return 0
    train_set, valid_set = (read_protocol(hparams[key]) for key in ("train_protocol", "valid_protocol"))
    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    outcome = finish_experiment(brain, hparams)
    print(outcome.text, end="")
    return outcome.status


if __name__ == "__main__":
    run_program(main)
