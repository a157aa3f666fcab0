#!/usr/bin/env python
"""Train a detector on one's own data, write its model folder, and evaluate it on the test set.

    python train.py hparams/train.yaml --data_folder MY_DATA

MY_DATA contains real/ and fake/; its protocol is written if it does not exist. Run the same command to resume training.
"""

import sys

from owndata_prepare import prepare_owndata
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


def main() -> int:
    """Prepare, train, export, evaluate."""
    hparams, run_opts = begin_experiment(sys.argv[1:])
    if is_finished(hparams):
        return 0
    run_on_main(
        prepare_owndata,
        kwargs={"data_folder": hparams["data_folder"], "output": hparams["protocol"], "name": hparams["name"]},
    )
    train_set, valid_set, test_set = split_protocol(read_protocol(hparams["protocol"]), hparams["protocol"])

    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    outcome = finish_experiment(brain, hparams, test_set, "test set")
    print(outcome.text, end="")
    return outcome.status


if __name__ == "__main__":
    run_program(main)
