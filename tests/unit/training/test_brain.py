"""The Brain: learns, validates as one tests, keeps the best."""

import math

import numpy as np
import pytest
import torch
from speechbrain import Stage
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.epoch_loop import EpochCounter

from antideepfake.errors import InputError
from antideepfake.lobes import compute_logits
from antideepfake.scoring import equal_error_rate
from antideepfake.training import DetectorBrain


class _Log:
    """Takes the place of SpeechBrain's train logger."""

    def __init__(self):
        self.rows = []

    def log_stats(self, stats_meta, train_stats, valid_stats):
        self.rows.append(
            {**stats_meta, "train loss": train_stats["loss"], "valid loss": valid_stats["loss"], **valid_stats}
        )


def _bursts(size, rng):
    return rng.standard_normal(size) * np.where(np.arange(size) // 800 % 2, 1.0, 0.05)


def _dataset(count, seed, noise=1.0):
    """Bursts of noise are real, a steady tone in noise is fake."""
    rng = np.random.default_rng(seed)
    rows = {}
    for number in range(count):
        target = number % 2
        size = int(rng.integers(2400, 4000))
        tone = np.sin(2 * np.pi * rng.uniform(300, 3000) * np.arange(size) / 16000)
        signal = _bursts(size, rng) if target else tone + noise * rng.standard_normal(size)
        waveform = torch.nn.functional.layer_norm(torch.from_numpy(signal).float(), (size,))
        rows[str(number)] = {"waveform": waveform, "target": target}
    return DynamicItemDataset(rows, output_keys=["id", "waveform", "target"])


@pytest.fixture
def make_brain(tmp_path, make_modules):
    """Make a Brain with modules of its own."""

    def make(kind=DetectorBrain, epochs=3, lr=0.003, **more):
        modules = {name: module.train() for name, module in make_modules().items()}
        counter = EpochCounter(epochs)
        hparams = {
            "loss": torch.nn.CrossEntropyLoss(),
            "lr_schedule": lambda epoch: (lr, lr / 2**epoch),
            "epoch_counter": counter,
            "train_logger": _Log(),
            **more,
        }
        parts = {name: modules[name] for name in ("embedding_model", "classifier")}
        checkpointer = Checkpointer(tmp_path / "checkpoints", {**parts, "epoch_counter": counter})
        run_opts = {"noprogressbar": True}
        return kind(
            modules, lambda weights: torch.optim.Adam(weights, lr), hparams, run_opts, checkpointer=checkpointer
        )

    return make


def _fit(brain, train=None, valid=None):
    loader = {"batch_size": 8}
    train, valid = train or _dataset(32, 1), valid or _dataset(16, 2)
    brain.fit(brain.hparams.epoch_counter, train, valid, train_loader_kwargs=dict(loader), valid_loader_kwargs=loader)
    return brain


def test_a_few_steps_learn_what_is_easy(make_brain):
    """The gradient would not arrive, go the wrong way, or the classes be swapped: 0 is fake, 1 is real."""
    brain = _fit(make_brain(epochs=5, lr=0.01), _dataset(32, 1, 0.1), _dataset(16, 2, 0.1))
    losses = [row["train loss"] for row in brain.hparams.train_logger.rows]
    assert losses[-1] < 0.5 * losses[0]
    assert brain.hparams.train_logger.rows[-1]["EER %"] == 0
    bursts = torch.from_numpy(_bursts(4000, np.random.default_rng(7))).float()
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(4000) / 16000) + 0.1 * torch.randn(4000)
    brain.modules.eval()
    with torch.no_grad():
        logits = compute_logits(brain.modules, torch.stack([bursts / bursts.std(), tone / tone.std()]), torch.ones(2))
    assert (logits[:, 1] - logits[:, 0]).sign().tolist() == [1, -1]


class _Recording(DetectorBrain):
    """Keeps what it saw and said in validation."""

    logits: list
    targets: list

    def on_stage_start(self, stage, epoch=None):
        super().on_stage_start(stage, epoch)
        self.logits, self.targets = [], []

    def compute_objectives(self, predictions, batch, stage):
        self.logits += predictions.detach().double().tolist()
        self.targets += torch.as_tensor(batch.target).tolist()
        return super().compute_objectives(predictions, batch, stage)


def test_error_rate_is_that_of_the_scores(make_brain):
    """Training would choose its best epoch, and the threshold, by other figures than those of testing."""
    valid = _dataset(60, 3)
    for number in range(0, 60, 7):  # wrong labels: no detector is without error on them
        valid.data[str(number)]["target"] ^= 1
    brain = _fit(make_brain(_Recording, epochs=1), valid=valid)
    brain.evaluate(valid, test_loader_kwargs={"batch_size": 7})
    scores = np.array([real - fake for fake, real in brain.logits])
    real = np.array(brain.targets) == 1
    expected = equal_error_rate(scores[real], scores[~real])
    assert 0 < expected.eer < 1
    assert brain.eer == expected.eer
    assert brain.hparams.train_logger.rows[-1]["EER %"] == 100 * brain.eer
    assert brain.threshold == expected.threshold  # to the last digit: scores are float64 differences


def test_augmentation_is_for_training_only(make_brain):
    """Validation would be on distorted speech."""
    calls = []

    class _Augmenter:
        def __call__(self, waveforms, lengths):
            calls.append((len(waveforms), lengths.max().item()))
            return torch.zeros_like(waveforms), lengths

        def replicate_labels(self, targets):
            return targets

    brain = _fit(make_brain(_Recording, epochs=2, wav_augment=_Augmenter()))
    assert calls == [(8, 1.0)] * (2 * 4)
    scores = np.array(brain.logits)
    assert len(np.unique(scores.round(6), axis=0)) > 1


def test_the_crop_is_told_the_epoch(make_brain):
    """Every epoch would train on the same part of each file."""

    told = []

    class Crop:
        def __setattr__(self, name, value):
            told.append((name, value))

    _fit(make_brain(epochs=3, crop=Crop()))
    assert told == [("epoch", 1), ("epoch", 2), ("epoch", 3)]


def test_the_learning_rate_follows_the_schedule(make_brain):
    """The schedule of the YAML would be without effect."""
    brain = _fit(make_brain(epochs=2, lr=0.01))
    assert [row["lr"] for row in brain.hparams.train_logger.rows] == [0.01, 0.01]
    assert brain.optimizer.param_groups[0]["lr"] == 0.01 / 4


def test_the_best_checkpoint_is_evaluated(make_brain):
    """The model folder would hold the last weights, not those that were best on the validation set."""

    class Spoiling(DetectorBrain):
        def on_stage_start(self, stage, epoch=None):
            super().on_stage_start(stage, epoch)
            if stage == Stage.VALID and epoch > 1:  # as if the second and third epoch had swapped the classes
                with torch.no_grad():
                    self.modules["classifier"].weight.copy_(-self.first[0])
                    self.modules["classifier"].bias.copy_(-self.first[1])

        def on_stage_end(self, stage, stage_loss, epoch=None):
            super().on_stage_end(stage, stage_loss, epoch)
            if stage == Stage.VALID and epoch == 1:
                self.first = [weight.detach().clone() for weight in self.modules["classifier"].parameters()]

    easy = _dataset(16, 2, 0.05)
    brain = _fit(make_brain(Spoiling, epochs=3, lr=0.01), _dataset(64, 1, 0.05), easy)
    rates = [row["EER %"] for row in brain.hparams.train_logger.rows]
    assert rates[0] < min(rates[1:])
    brain.evaluate(easy, min_key="EER", test_loader_kwargs={"batch_size": 8})
    assert 100 * brain.eer == rates[0]


def test_validation_of_one_class_is_told(make_brain):
    """Training would stop with a division by zero after its first epoch."""
    rows = {str(n): {"waveform": torch.randn(3000), "target": 1} for n in range(4)}
    with pytest.raises(InputError, match="no fake utterance"):
        _fit(make_brain(epochs=1), valid=DynamicItemDataset(rows, output_keys=["id", "waveform", "target"]))
