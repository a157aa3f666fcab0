#!/usr/bin/env python
"""Train on the labels of utterances and of segments of PartialSpoof, write the model folder, and evaluate it.

    python train.py hparams/train.yaml --data_folder DATA

DATA contains the corpus; its protocol is written if it does not exist. Run the same command to resume training.
"""

import sys
from pathlib import Path

from partialspoof_prepare import prepare_partialspoof
from speechbrain.utils.distributed import run_on_main

from antideepfake.cli.program import run_program
from antideepfake.protocol.table import read_protocol, split_protocol
from antideepfake.training.experiment import (
    begin_experiment,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)
from antideepfake.training.hparams import HyperParameters


def prepare(hparams: HyperParameters) -> None:
    """Write the protocol unless it exists."""
    if not Path(hparams["protocol"]).exists():
        prepare_partialspoof(hparams["data_folder"], hparams["protocol"])


def main() -> int:
    """Prepare, train, export, evaluate."""
    hparams, run_opts = begin_experiment(sys.argv[1:])
    if is_finished(hparams):
        return 0
    run_on_main(prepare, args=[hparams])
    train_set, valid_set, test_set = split_protocol(read_protocol(hparams["protocol"]), hparams["protocol"])

    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    outcome = finish_experiment(brain, hparams, test_set, "PartialSpoof")
    print(outcome.text, end="")
    return outcome.status


if __name__ == "__main__":
    run_program(main)
