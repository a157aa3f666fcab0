"""Fine-tuning by reinforcement: the reference stays, the old policy is renewed in time, a resumed run is the same."""

import pytest
import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch
from torch.utils.data import DataLoader

from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.dataio.datasets import UtteranceDataset
from antideepfake.training.checkpointer import AtomicCheckpointer
from antideepfake.training.policy_brain import PolicyBrain


def _dataset(count=16):
    generator = torch.Generator().manual_seed(1)
    targets = [number % 2 for number in range(count)]
    noise = [torch.randn(3000, generator=generator) for _ in targets]
    waveforms = [waveform * (1 + 3 * target * (waveform > 0)) for waveform, target in zip(noise, targets, strict=True)]
    columns = {"id": [str(number) for number in range(count)], "waveform": waveforms, "target": targets}
    return UtteranceDataset(columns, list(columns))


def _constant(optimizer):
    """Leave the rate as it is."""


@pytest.fixture
def make_brain(tmp_path, make_modules):
    """Make a Brain and its loaders."""

    def make(folder="run", steps=6, interval=3, lr=0.001, kind=PolicyBrain, **policy):
        modules = make_modules()
        hparams = {
            "modules": modules,
            "loss": torch.nn.CrossEntropyLoss(),
            "lr": lr,
            "lr_schedule": _constant,
            "layer_decay": 1.0,
            "max_steps": steps,
            "number_of_epochs": 1000,
            "valid_interval": interval,
            "patience": None,
            "output_folder": str(tmp_path / folder),
            "seed": 1,
        }
        brain = kind(
            modules,
            torch.optim.SGD,
            hparams,
            {"noprogressbar": True, "ckpt_interval_steps": 1, "device": "cpu"},
            AtomicCheckpointer(tmp_path / folder / "checkpoints", dict(modules)),
            *(PlannedBatches(BatchPlan([1.0] * 16, 8.0, 1, 1)) for _ in range(2)),
            **policy,
        )
        loaders = [
            DataLoader(_dataset(), batch_sampler=batches, collate_fn=PaddedBatch)
            for batches in (brain.train_batches, brain.valid_batches)
        ]
        return brain, loaders

    return make


def _fit(brain, loaders):
    brain.fit(brain.rounds(), *loaders, progressbar=False)
    return brain


def _flat(modules):
    return torch.cat([weight.flatten() for module in modules.values() for weight in module.parameters()])


def test_the_reference_stays_and_the_detector_moves(make_brain):
    brain, loaders = make_brain()
    before = _flat(brain.hparams.modules).detach().clone()
    _fit(brain, loaders)
    assert torch.equal(_flat(brain.reference), before)
    assert not torch.equal(_flat(brain.hparams.modules), before)
    assert not any(weight.requires_grad for weight in brain.reference.parameters()) and not brain.reference.training


def test_the_detector_learns(make_brain):
    brain, loaders = make_brain(steps=60, interval=60, lr=0.05)
    with torch.no_grad():
        batch = PaddedBatch([_dataset()[index] for index in range(16)])
        brain.modules.eval()
        before = torch.nn.functional.cross_entropy(brain.compute_forward(batch, Stage.VALID), batch.target)
    _fit(brain, loaders)
    assert brain.history[-1]["valid_loss"] < 0.9 * before.item()


@pytest.mark.parametrize("refresh", [None, 2])
def test_the_policy_that_is_sampled_from_is_renewed_in_time(make_brain, refresh):
    seen = []

    class Watched(PolicyBrain):
        def on_fit_batch_start(self, batch, should_step):
            super().on_fit_batch_start(batch, should_step)
            if self.old_policy is not None:
                seen.append(torch.equal(_flat(self.old_policy), _flat(self.hparams.modules)))

    brain, loaders = make_brain(kind=Watched, steps=5, interval=5, policy_refresh=refresh)
    _fit(brain, loaders)
    assert seen == ([] if refresh is None else [True, False, True, False, True])


@pytest.mark.parametrize("refresh", [None, 3])
def test_a_resumed_run_is_the_same_to_the_last_bit(make_brain, refresh):
    whole = _fit(*make_brain("whole", 7, 7, policy_refresh=refresh))

    class Dying(PolicyBrain):
        def on_fit_batch_start(self, batch, should_step):
            if self.optimizer_step == 5:
                raise KeyboardInterrupt
            super().on_fit_batch_start(batch, should_step)

    with pytest.raises(KeyboardInterrupt):
        _fit(*make_brain("parts", 7, 7, kind=Dying, policy_refresh=refresh))
    resumed = _fit(*make_brain("parts", 7, 7, policy_refresh=refresh))
    assert torch.equal(_flat(whole.hparams.modules), _flat(resumed.hparams.modules))
    assert whole.history == resumed.history
