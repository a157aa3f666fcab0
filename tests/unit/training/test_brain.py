"""The Brain: learns, validates as one tests, keeps the best, leaves out what is not finite."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch
from torch.utils.data import DataLoader

from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.dataio.datasets import UtteranceDataset
from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import LayerWeightedMeanPooling
from antideepfake.lobes.detector import UtteranceEncoder, compute_logits
from antideepfake.lobes.whisper import Whisper
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
from antideepfake.model_folder.validation_scores import describe_scores
from antideepfake.training.brain import DetectorBrain, _has_unused_weights
from antideepfake.training.checkpointer import AtomicCheckpointer


def _bursts(size, rng):
    return rng.standard_normal(size) * np.where(np.arange(size) // 800 % 2, 1.0, 0.05)


def _dataset(count, seed, noise=1.0):
    """Bursts of noise are real, a steady tone in noise is fake."""
    rng = np.random.default_rng(seed)
    columns = {"id": [str(number) for number in range(count)], "waveform": [], "target": []}
    for number in range(count):
        target = number % 2
        size = int(rng.integers(2400, 4000))
        tone = np.sin(2 * np.pi * rng.uniform(300, 3000) * np.arange(size) / 16000)
        signal = _bursts(size, rng) if target else tone + noise * rng.standard_normal(size)
        waveform = torch.nn.functional.layer_norm(torch.from_numpy(signal).float(), (size,))
        columns["waveform"].append(waveform)
        columns["target"].append(target)
    return UtteranceDataset(columns, list(columns))


def _constant(lr):
    def schedule(optimizer):
        for group in optimizer.param_groups:
            group["lr"] = lr

    return schedule


@pytest.fixture
def fit(tmp_path, make_modules):
    """Train; gives the Brain."""

    def run(
        kind=DetectorBrain,
        train=None,
        valid=None,
        steps=12,
        lr=0.003,
        folder="run",
        run_opts=(),
        batch_seconds=2.0,
        **more,
    ):
        train, valid = train or _dataset(32, 1), valid or _dataset(16, 2)
        modules = {name: module.train() for name, module in make_modules().items()}
        hparams = {
            "modules": modules,
            "loss": torch.nn.CrossEntropyLoss(),
            "lr": lr,
            "lr_schedule": _constant(lr),
            "layer_decay": 1.0,
            "max_steps": steps,
            "number_of_epochs": 1000,
            "valid_interval": 4,
            "patience": None,
            "output_folder": str(tmp_path / folder),
            "seed": 1,
            **more,
        }
        brain = kind(
            modules,
            lambda weights: torch.optim.SGD(weights, lr) if more.get("plain") else torch.optim.Adam(weights, lr),
            hparams,
            {"noprogressbar": True, "max_grad_norm": 100, **dict(run_opts)},
            AtomicCheckpointer(tmp_path / folder / "checkpoints", dict(modules)),
            PlannedBatches(BatchPlan([0.25] * len(train), batch_seconds, 1, 1)),
            PlannedBatches(BatchPlan([0.25] * len(valid), 2.0, 1, 1)),
        )
        loaders = [
            DataLoader(data, batch_sampler=batches, collate_fn=PaddedBatch)
            for data, batches in ((train, brain.train_batches), (valid, brain.valid_batches))
        ]
        brain.fit(brain.rounds(), *loaders, progressbar=False)
        return brain

    return run


def test_a_few_steps_learn_an_easy_task(fit):
    brain = fit(train=_dataset(32, 1, 0.1), valid=_dataset(16, 2, 0.1), steps=20, lr=0.01)
    losses = [row["train_loss"] for row in brain.history]
    assert losses[-1] < 0.5 * losses[0]
    assert brain.history[-1]["valid_eer"] == 0
    bursts = torch.from_numpy(_bursts(4000, np.random.default_rng(7))).float()
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(4000) / 16000) + 0.1 * torch.randn(4000)
    brain.modules.eval()
    with torch.no_grad():
        logits = compute_logits(brain.modules, torch.stack([bursts / bursts.std(), tone / tone.std()]), torch.ones(2))
    assert (logits[:, 1] - logits[:, 0]).sign().tolist() == [1, -1]


class _Recording(DetectorBrain):
    """Keeps what it saw and said in the last validation."""

    def on_stage_start(self, stage, epoch=None):
        super().on_stage_start(stage, epoch)
        if stage == Stage.VALID:
            self.logits, self.targets = [], []

    def compute_objectives(self, predictions, batch, stage):
        if stage == Stage.VALID:
            self.logits.append(predictions.detach())
            self.targets.append(torch.as_tensor(batch.target))
        return super().compute_objectives(predictions, batch, stage)


def test_error_rate_is_that_of_the_scores(fit):
    valid = _dataset(60, 3)
    for number in range(0, 60, 7):  # wrong labels: no detector is without error on them
        valid.data["target"][number] ^= 1
    brain = fit(_Recording, valid=valid, steps=4)
    logits, targets = torch.cat(brain.logits).double().numpy(), torch.cat(brain.targets).numpy()
    scores = logits[:, 1] - logits[:, 0]
    eer, threshold = equal_error_rate(error_rates(sort_trials(scores[targets == 1], scores[targets == 0])))
    assert 0 < eer < 1
    assert brain.history[-1]["valid_eer"] == eer
    brain.load_best()
    assert brain.eer == eer
    assert brain.threshold == threshold  # to the last digit: scores are float64 differences
    assert brain.validation_scores == describe_scores(scores[targets == 1], scores[targets == 0])


def test_validation_loss_is_that_of_all_utterances(fit):
    brain = fit(_Recording, valid=_dataset(11, 3), steps=4)
    expected = torch.nn.functional.cross_entropy(torch.cat(brain.logits), torch.cat(brain.targets)).item()
    assert brain.history[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_follows_the_schedule_and_the_layer(fit):
    seen = []

    class Layered(DetectorBrain):
        def init_optimizers(self):
            super().init_optimizers()
            classifier = list(self.modules["classifier"].parameters())
            self.optimizer.param_groups[0]["params"] = classifier[:1]
            self.optimizer.add_param_group({"params": classifier[1:], "lr_scale": 0.1})

        def _show_progress(self, loss, norm):
            seen.append([group["lr"] for group in self.optimizer.param_groups])

    rates = iter([0.5, 0.25])
    fit(Layered, steps=2, lr_schedule=lambda optimizer: _constant(next(rates))(optimizer))
    assert seen == [[0.5, 0.05], [0.25, 0.025]]


def test_the_best_checkpoint_is_loaded(fit):
    class Spoiling(DetectorBrain):
        def on_stage_start(self, stage, epoch=None):
            super().on_stage_start(stage, epoch)
            if stage == Stage.VALID and epoch > 1:  # as if the second and third round had swapped the classes
                with torch.no_grad():
                    self.modules["classifier"].weight.copy_(-self.first[0])
                    self.modules["classifier"].bias.copy_(-self.first[1])

        def on_stage_end(self, stage, stage_loss, epoch=None):
            super().on_stage_end(stage, stage_loss, epoch)
            if stage == Stage.VALID and epoch == 1:
                self.first = [weight.detach().clone() for weight in self.modules["classifier"].parameters()]

    brain = fit(Spoiling, _dataset(64, 1, 0.05), _dataset(16, 2, 0.05), lr=0.01)
    rates = [row["valid_eer"] for row in brain.history]
    assert rates[0] < min(rates[1:])
    brain.load_best()
    assert brain.eer == rates[0]
    assert torch.equal(brain.modules["classifier"].weight, brain.first[0])


def test_training_ends_when_patience_is_over(fit):
    class Worse(DetectorBrain):
        def compute_forward(self, batch, stage):
            logits = super().compute_forward(batch, stage)
            rounds = len(self.history)  # better in the second validation, worse from then on
            sign = torch.tensor([1.0 if index % 8 >= abs(rounds - 1) else -1.0 for index in map(int, batch.id)])
            labels = 2.0 * torch.as_tensor(batch.target) - 1
            return logits if stage == Stage.TRAIN else torch.stack([0 * labels, sign * labels], 1)

    brain = fit(Worse, steps=40, patience=2)
    errors = [row["valid_eer"] for row in brain.history]
    assert len(errors) == 4 and np.argmin(errors) == 1


def test_validation_of_one_class_is_reported(fit):
    columns = {"id": list("abcd"), "waveform": [torch.randn(3000)] * 4, "target": [1] * 4}
    with pytest.raises(InputError, match="no fake utterance"):
        fit(valid=UtteranceDataset(columns, list(columns)), steps=4)


class _LossOfStep(torch.nn.Module):
    """Cross-entropy, but not a number in some steps."""

    def __init__(self, bad, value=math.nan):
        super().__init__()
        self.bad, self.value, self.calls = bad, value, 0

    def forward(self, logits, targets):
        self.calls += logits.requires_grad
        loss = torch.nn.functional.cross_entropy(logits, targets)
        return loss * self.value if logits.requires_grad and self.calls in self.bad else loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_skips_its_step(fit, value):
    brain = fit(loss=_LossOfStep([2, 3], value), steps=4)
    assert brain.skipped_steps == 2 and brain.history[-1]["skipped_steps"] == 2
    assert all(torch.isfinite(value).all() for value in brain.modules.state_dict().values())
    assert math.isfinite(brain.history[-1]["train_loss"])


def test_a_run_resumes_with_another_number_of_batches_a_step(fit):
    heard = []

    class Listening(DetectorBrain):
        def compute_forward(self, batch, stage):
            if stage == Stage.TRAIN:
                heard.extend(batch.id)
            return super().compute_forward(batch, stage)

    options = {"train": _dataset(32, 1), "batch_seconds": 1.0, "valid_interval": 1}
    fit(Listening, steps=2, run_opts={"grad_accumulation_factor": 2}, **options)  # 4 of the 8 batches of an epoch
    fit(Listening, steps=6, **options)
    assert sorted(heard) == sorted(map(str, range(32)))


@pytest.mark.parametrize(
    ("before", "now", "expected", "said"),
    [
        ((1, 1, 4), 2, (2, 4, 4), "grad_accumulation_factor is now 2, so that a step still has 4 batches"),
        ((1, 1, 4), 1, (4, 4, 8), "resuming with 1 instead of 4 processes"),
        ((1, 1, 4), 3, (1, 3, 2), "a step now has 3 batches instead of 4, so results differ"),
        ((1, 4, 1), 2, (2, 4, 4), "a step still has 4 batches"),  # a node came back
        ((1, 2, 2), 2, (2, 4, 4), ""),  # another one was lost long ago
        ((1, 1, 2), 2, (1, 2, 2), ""),
        ((2, 2, 2), 2, (1, 2, 2), ""),  # the user changed the factor
    ],
)
def test_a_step_keeps_its_batches_with_other_processes(fit, monkeypatch, caplog, before, now, expected, said):
    brain = fit(steps=1)
    monkeypatch.setattr("antideepfake.training.brain.rank_and_size", lambda: (0, now))
    caplog.clear()
    given, accumulated, processes = before
    brain.step = 2 * accumulated  # two steps of the round are done
    brain._keep_step_size(given, accumulated, processes)
    assert (brain.grad_accumulation_factor, brain.step_batches, brain.step) == expected
    assert said in caplog.text and bool(caplog.text) == bool(said)


def test_a_run_resumed_within_a_round_takes_whole_steps(fit):
    class Stopped(DetectorBrain):
        def _save_intra_epoch_ckpt(self):
            super()._save_intra_epoch_ckpt()
            if self.optimizer_step == 3:
                raise KeyboardInterrupt

    class Counting(DetectorBrain):
        def optimizers_step(self):
            counts.append(len(self._losses))
            super().optimizers_step()

    counts: list = []
    with pytest.raises(KeyboardInterrupt):
        fit(Stopped, steps=8, run_opts={"ckpt_interval_steps": 1})
    brain = fit(Counting, steps=8, run_opts={"grad_accumulation_factor": 2})
    assert counts == [2] * 5
    assert brain.optimizer_step == 8 and brain.taken == 3 + 2 * 5


def test_too_many_skipped_steps_end_training(fit):
    with pytest.raises(InputError, match="3 steps had a loss or gradient that is not finite"):
        fit(loss=_LossOfStep(range(100)), steps=8, run_opts={"nonfinite_patience": 2})


def test_gradients_of_all_groups_are_clipped_together(fit):
    norms = []

    class Grouped(DetectorBrain):
        def init_optimizers(self):
            super().init_optimizers()
            (group,) = self.optimizer.param_groups
            self.optimizer.add_param_group({"params": [group["params"].pop()], "lr_scale": 1.0})

        def _show_progress(self, loss, norm):
            norms.append(norm)

    before = fit(Grouped, steps=1, plain=True, lr=1.0, lr_schedule=_constant(0.0), folder="a")
    after = fit(
        Grouped, steps=1, plain=True, lr=1.0, lr_schedule=_constant(1.0), run_opts={"max_grad_norm": 0.01}, folder="b"
    )
    moved = [
        (new - old).flatten() for new, old in zip(after.modules.parameters(), before.modules.parameters(), strict=True)
    ]
    assert norms[1] > 0.1
    assert torch.cat(moved).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_accumulated_gradients_are_those_of_all_batches(fit):
    train = _dataset(8, 1)
    weights = [
        torch.cat([value.flatten() for name, value in brain.modules.named_parameters()])
        for brain in (
            fit(train=train, steps=1, plain=True, folder="a", batch_seconds=2.0),
            fit(
                train=train,
                steps=1,
                plain=True,
                folder="b",
                batch_seconds=1.0,
                run_opts={"grad_accumulation_factor": 2},
            ),
        )
    ]
    # batch normalization alone sees that there are two
    assert torch.nn.functional.cosine_similarity(*weights, dim=0) > 0.9999


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_is_really_entered_and_left_for_validation(fit, precision, dtype):
    seen = {}

    def forward(module, inputs, output):
        seen[module.training] = output.dtype

    class Watched(DetectorBrain):
        def on_fit_start(self):
            super().on_fit_start()
            self.modules["classifier"].register_forward_hook(forward)

    fit(Watched, steps=4, run_opts={"precision": precision})
    assert seen == {True: dtype, False: torch.float32}


def test_the_weights_of_classes_count(fit):
    brain = fit(loss=torch.nn.CrossEntropyLoss(torch.tensor([1e-6, 1.0])), steps=12, lr=0.01)
    brain.modules.eval()
    batch = PaddedBatch([_dataset(2, 5)[0]])
    logits = brain.compute_forward(batch, Stage.VALID)
    assert batch.target.tolist() == [0] and logits[0, 1] > logits[0, 0]


def test_audio_heard_is_counted_without_padding(fit):
    train = _dataset(8, 1)
    brain = fit(train=train, steps=4, batch_seconds=1.0)
    heard = sum(len(train[index]["waveform"]) for index in range(8)) / 16000
    assert brain.seconds == pytest.approx(2 * heard, rel=1e-5)  # 8 clips of 0.25 s are two batches of a second


@pytest.mark.parametrize(
    ("max_steps", "epochs", "accumulated", "last_step"), [(3, 10, 1, 3), (100, 2, 1, 8), (100, 2, 3, 3)]
)
def test_training_ends_at_the_first_of_two_limits(fit, max_steps, epochs, accumulated, last_step):
    run_opts = {"grad_accumulation_factor": accumulated}  # an epoch has 4 batches
    brain = fit(steps=max_steps, number_of_epochs=epochs, run_opts=run_opts)
    assert brain.last_step == brain.optimizer_step == last_step


def test_padding_is_masked_unless_asked_otherwise(fit):
    dataset = _dataset(8, 1)
    batch = [dataset[index] for index in range(8)]
    brains = [fit(steps=1, folder=str(mask), mask_padding=mask) for mask in (True, False)]
    for brain, equal in zip(brains, (True, False), strict=True):
        brain.modules.eval()
        shortest = min(range(8), key=lambda index: len(batch[index]["waveform"]))
        together = brain.compute_forward(PaddedBatch(batch), Stage.VALID)[shortest]
        alone = brain.compute_forward(PaddedBatch([batch[shortest]]), Stage.VALID)[0]
        assert torch.allclose(together, alone, atol=1e-5) == equal


@pytest.mark.parametrize("choice", [{"ema_decay": 0.5}, {"average_validations": 2}])
def test_the_average_is_validated_and_loaded(fit, choice):
    valid = _dataset(16, 2)
    brain = fit(_Recording, valid=valid, steps=8, lr=0.01, **choice)
    trained = [weight.detach().clone() for weight in brain.modules.parameters()]
    (last,) = [item for item in brain.checkpointer.list_checkpoints() if item.meta["step"] == 8]
    brain.checkpointer.load_checkpoint(last)
    brain.average.swap()
    averaged = list(brain.modules.parameters())
    assert not all(torch.equal(one, other) for one, other in zip(trained, averaged, strict=True))
    brain.modules.eval()
    batches = PlannedBatches(BatchPlan([0.25] * 16, 2.0, 1, 1))
    loader = DataLoader(valid, batch_sampler=batches, collate_fn=PaddedBatch)
    with torch.no_grad():
        logits = torch.cat([brain.compute_forward(batch, Stage.VALID) for batch in loader])
    assert torch.allclose(logits, torch.cat(brain.logits), atol=1e-5)


def test_sharpness_aware_steps_with_a_small_radius_are_plain_steps(fit):
    plain, small, large = (
        torch.nn.utils.parameters_to_vector(fit(plain=True, folder=str(rho), sam_rho=rho).modules.parameters())
        for rho in (None, 1e-6, 1.0)
    )
    assert torch.allclose(plain, small, atol=1e-4)
    assert not torch.allclose(plain, large, atol=1e-4)


@pytest.mark.parametrize("final_norm", [False, True])
def test_several_processes_know_that_the_last_normalization_is_unused(final_norm):
    """Without this, DistributedDataParallel fails at the second step."""
    front_end = Whisper(hidden_size=16, num_attention_heads=2, all_layers=True, final_norm=final_norm)
    assert _has_unused_weights(UtteranceEncoder(front_end, LayerWeightedMeanPooling(5))) is not final_norm


class _Unsharded(DetectorBrain):
    can_shard = False


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (DetectorBrain, {"ema_decay": 0.9}, "fsdp cannot be combined with ema_decay"),
        (DetectorBrain, {"average_validations": 2}, "fsdp cannot be combined with average_validations"),
        (DetectorBrain, {"sam_rho": 0.1, "compile": True}, "fsdp cannot be combined with sam_rho, compile"),
        (_Unsharded, {}, "fsdp cannot be combined with brain_class _Unsharded"),
    ],
)
def test_what_sharding_does_not_support_is_refused(fit, kind, given, said):
    with pytest.raises(InputError, match=said):
        fit(kind, fsdp=True, **given)


def test_sharding_refuses_layer_drop_and_scaled_gradients(fit, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(InputError, match="set layerdrop of the front end to 0"):
        patch.setattr("antideepfake.training.brain._drops_layers", lambda module: True)
        fit(fsdp=True)
    monkeypatch.setattr(torch.amp.GradScaler, "is_enabled", lambda self: True)
    with pytest.raises(InputError, match="fsdp needs gradients that are not scaled"):
        fit(fsdp=True)


def test_one_process_is_not_sharded(fit, caplog):
    brain = fit(fsdp=True, steps=4)
    assert not brain.is_sharded and "fsdp has no effect on one process" in caplog.text


@pytest.mark.parametrize(
    ("batches", "rank", "debug", "joined"), [(3, 1, 0, 1), (3, 0, 0, 0), (4, 1, 0, 0), (5, 1, 2, 0)]
)
def test_a_process_with_fewer_validation_batches_joins_the_last_one(fit, monkeypatch, batches, rank, debug, joined):
    brain = fit(steps=4)
    brain.valid_batches = PlannedBatches(BatchPlan([1.0] * batches, 1.0, 1, 1), rank, 2)
    brain.debug, brain.debug_batches = bool(debug), debug
    passes = []
    monkeypatch.setattr("antideepfake.training.brain.rank_and_size", lambda: (rank, 2))
    monkeypatch.setattr("antideepfake.training.brain.compute_logits", lambda *inputs: passes.append(inputs))
    brain._join_last_batch()
    assert len(passes) == joined


def test_processes_of_a_debug_run_share_their_checkpoints(fit, monkeypatch, tmp_path):
    """Guards against the temporary folder that SpeechBrain makes in each process: one of them writes."""
    first = tmp_path / "of the first process"
    first.mkdir()
    gather = lambda values: [first] if isinstance(next(iter(values), None), Path) else values  # noqa: E731
    monkeypatch.setattr("antideepfake.training.brain.gather", gather)
    fit(steps=4, run_opts={"debug": True})
    assert list(first.glob("CKPT*"))
