"""What the tests of the Brains share."""

import pytest
import torch

from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.training.checkpointer import AtomicCheckpointer


@pytest.fixture
def make_brain(tmp_path):
    """Build a Brain of any class for utterances of equal length in batches of four; further options are its own."""

    def build(kind, modules, utterances=4, max_steps=4, optimizer=torch.optim.SGD, lr=0.1, **options):
        hparams = {
            "modules": modules, "loss": torch.nn.CrossEntropyLoss(), "lr": 0.1, "lr_schedule": lambda optimizer: None,
            "layer_decay": 1.0, "max_steps": max_steps, "number_of_epochs": 9, "valid_interval": 2, "patience": None,
            "output_folder": str(tmp_path), "seed": 1,
        }  # fmt: skip
        batches = [PlannedBatches(BatchPlan([0.5] * utterances, 2.0, 1, 1)) for _ in range(2)]
        checkpointer = AtomicCheckpointer(tmp_path / "checkpoints", dict(modules))
        run_opts = {"noprogressbar": True}
        return kind(modules, lambda groups: optimizer(groups, lr), hparams, run_opts, checkpointer, *batches, **options)

    return build
