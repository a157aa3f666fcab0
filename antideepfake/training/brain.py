"""Training: SpeechBrain's Brain, hooks only."""

import json
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from speechbrain import Brain, Stage
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver, register_checkpoint_hooks
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from speechbrain.utils.run_opts import RunOptions
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.dataio.batches import PlannedBatches
from antideepfake.distributed import average, gather, rank_and_size
from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.lobes.detector import compute_logits
from antideepfake.metrics.rates import decision_rates, equal_error_rate, error_rates, sort_trials
from antideepfake.model_folder.validation_scores import describe_scores
from antideepfake.seeds import derive_seed
from antideepfake.training.adaptation import parameter_groups
from antideepfake.training.averaging import MovingAverage, ValidationAverage, WeightAverage
from antideepfake.training.checkpointer import AtomicCheckpointer
from antideepfake.training.fsdp import broadcast, load_sharded, load_whole, save_sharded, shard
from antideepfake.training.sharpness import SharpnessAware

logger = get_logger(__name__)


@register_checkpoint_hooks
class DetectorBrain(Brain):
    """Train a detector on batches of ``waveform`` and ``target``; keep the last checkpoint and the one of the best EER.

    ``fit`` runs in rounds of ``valid_interval`` optimizer steps, each of which ends with a validation. The future of a
    run depends only on the number of batches that it has consumed: this number determines the next batches
    (:class:`antideepfake.dataio.BatchPlan`) and the random numbers of dropout, since the generator is seeded for every
    batch. So a run that was stopped continues exactly as if it had not been, and N processes compute the same as one
    process that accumulates gradients over N batches. A run that is resumed with another number of processes, for
    instance without a node that was lost, changes ``grad_accumulation_factor`` so that a step has as many batches as
    before, if that is possible; its steps are then the same except for rounding.

    The validation error is that of testing: the EER of the difference of the logits over whole, unaugmented files.
    If a loss or a gradient is not finite, the step is skipped. Utterances that cannot be used
    (:class:`antideepfake.dataio.SkippingDataset`) are listed in ``skipped.csv`` of the output folder.

    Arguments
    ---------
    modules : mapping
        ``embedding_model``, a :class:`antideepfake.lobes.UtteranceEncoder`, and ``classifier``.
    opt_class : callable
        Makes the optimizer from the groups of :func:`antideepfake.training.parameter_groups`.
    hparams : mapping
        The keys of ``HPARAMS_NEEDED`` and ``output_folder``, as described in
        :class:`antideepfake.training.ExperimentSettings`; ``skip_limit``, ``mask_padding``, ``ema_decay``,
        ``average_validations``, ``sam_rho`` and ``fsdp`` are optional.
    run_opts : RunOptions or mapping
        SpeechBrain's. ``precision``, ``grad_accumulation_factor``, ``max_grad_norm``, ``nonfinite_patience`` and
        ``ckpt_interval_minutes`` are used; they may be keys of ``hparams`` instead.
    checkpointer : AtomicCheckpointer
        Holds the modules and the schedule; the Brain adds itself and the optimizer.
    train_batches, valid_batches : PlannedBatches
        Batches of the training and of the validation set; ``fit`` takes the loaders that read them.
    """

    HPARAMS_NEEDED = (
        "modules",
        "loss",
        "lr",
        "lr_schedule",
        "layer_decay",
        "max_steps",
        "number_of_epochs",
        "valid_interval",
        "patience",
        "seed",
    )
    learns_frames = False
    """Whether batches must have ``frame_targets``."""
    can_shard = True
    """Whether ``fsdp`` is possible."""
    KEPT = (
        "step",
        "avg_train_loss",
        "optimizer_step",
        "taken",
        "seconds",
        "skipped_steps",
        "skipped_utterances",
        "history",
        "round_loss",
    )
    """Attributes that a checkpoint stores."""

    grad_accumulation_factor: int  # of the parent, like the next one
    step: int
    batch_seed: int
    """Seed of the random numbers of the current training batch."""
    eer: float
    """Of the best checkpoint, set by :meth:`load_best`, as are the next three."""
    threshold: float
    threshold_errors: dict[str, float]
    """Errors at the threshold on the validation set, as in :class:`antideepfake.model_folder.ModelMetadata`."""
    validation_scores: dict[str, list[float]]
    """Histogram of the scores of the validation set, as there."""
    threshold_source: str
    """How the threshold was chosen, for people."""

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module],
        opt_class: Callable[..., torch.optim.Optimizer],
        hparams: Mapping[str, Any],
        run_opts: RunOptions | Mapping[str, Any],
        checkpointer: AtomicCheckpointer,
        train_batches: PlannedBatches,
        valid_batches: PlannedBatches,
    ) -> None:
        super().__init__(modules, opt_class, hparams, run_opts, checkpointer)
        if self.debug:  # SpeechBrain takes another temporary folder in each process
            self.checkpointer.checkpoints_dir = gather([self.checkpointer.checkpoints_dir])[0]
        self.train_batches, self.valid_batches = train_batches, valid_batches
        self._given_accumulation = self.grad_accumulation_factor
        self._recovered_step_size = self._step_size()
        if isinstance(self.hparams.loss, torch.nn.Module):
            self.hparams.loss.to(self.device)  # weights of classes
        self.mask_padding = getattr(self.hparams, "mask_padding", True)
        self.average = self._make_average()
        if self.average:
            self.checkpointer.add_recoverable("average", self.average)
        rho = getattr(self.hparams, "sam_rho", None)
        self.sharpness_aware = None if rho is None else SharpnessAware(modules, rho)
        if self.sharpness_aware and self.scaler.is_enabled():
            raise InputError("sam_rho needs gradients that are not scaled; use --precision fp32 or bf16")
        self.is_sharded = self._check_sharding()
        self._whole: dict[str, torch.nn.Module] = {}  # what load_best fills if the modules are sharded
        self.taken = 0
        """Batches that all steps so far have consumed, summed over processes."""
        self.seconds = 0.0
        """Seconds of audio in all steps so far, without padding, summed over processes."""
        self.skipped_steps = 0
        self.skipped_utterances: dict[str, str] = {}
        """Reasons why training and validation utterances cannot be used, by ID; the same in every process."""
        self.skip_limit = getattr(self.hparams, "skip_limit", 100)
        self._newly_skipped: list[tuple[str, str]] = []  # in this process, since the last step
        self.history: list[dict[str, float]] = []
        """A row of ``train_log.csv`` for each validation."""
        self._losses: list[torch.Tensor] = []  # of the batches since the last step
        self.round_loss = [0.0, 0.0]
        """Sum of the losses of the steps of the current round, and their number."""
        self._stop_requested = False  # in this process, by a signal
        self._stopping = False  # in all processes
        self._writer: SummaryWriter | None = None
        self._bar = self._valid_bar = tqdm(disable=True)

    def _make_average(self) -> WeightAverage | None:
        decay, count = (getattr(self.hparams, name, None) for name in ("ema_decay", "average_validations"))
        if decay is not None and count is not None:
            raise InputError("ema_decay and average_validations are both set; choose one and set the other to null")
        if decay is not None:
            return MovingAverage(self.hparams.modules, decay)
        return None if count is None else ValidationAverage(self.hparams.modules, count)

    def _check_sharding(self) -> bool:
        """Check whether to shard the modules; refuse what is not possible with it."""
        if not getattr(self.hparams, "fsdp", False):
            return False
        if not self.can_shard:
            raise InputError(f"fsdp cannot be combined with brain_class {type(self).__name__}; set fsdp to false")
        chosen = [name for name in ("ema_decay", "average_validations", "sam_rho") if getattr(self.hparams, name, None)]
        chosen += [name for name in ("jit", "compile") if getattr(self, name)]
        if chosen:
            raise InputError(f"fsdp cannot be combined with {', '.join(chosen)}; set fsdp to false or turn these off")
        if self.scaler.is_enabled():
            raise InputError("fsdp needs gradients that are not scaled; use --precision fp32 or bf16")
        if any(map(_drops_layers, self.modules.values())):
            raise InputError("fsdp needs the same layers in all processes; set layerdrop of the front end to 0")
        if rank_and_size()[1] == 1:
            logger.warning("fsdp has no effect on one process; start several with torchrun")
            return False
        return True

    @property
    def step_batches(self) -> int:
        """Batches in an optimizer step, summed over processes."""
        return self.grad_accumulation_factor * rank_and_size()[1]

    @property
    def last_step(self) -> int:
        """Number of optimizer steps after which training ends."""
        batches = self.hparams.number_of_epochs * len(self.train_batches.plan)
        return min(self.hparams.max_steps, ceil(batches / self.step_batches))

    def rounds(self) -> Iterator[int]:
        """Number the remaining rounds, starting with the interrupted one; ``fit`` takes them as epochs."""
        while self._validated_step() < self.last_step and not self._patience_is_over():
            yield len(self.history) + 1

    def _validated_step(self) -> int:
        return int(self.history[-1]["step"]) if self.history else 0

    def _patience_is_over(self) -> bool:
        if not self.hparams.patience or not self.history:
            return False
        errors = [row["valid_eer"] for row in self.history]
        return len(errors) - 1 - int(np.argmin(errors)) >= self.hparams.patience

    # Starting ---------------------------------------------------------------------------------------------------------

    def _wrap_distributed(self) -> None:
        if self.is_sharded:
            self._whole = shard(self.modules, self.device_type)
            for name, module in self.modules.items():
                self.checkpointer.add_recoverable(name, module, load_sharded, save_sharded)
        elif self.distributed_launch:
            # Unlike the parent, keep batch normalization per process: torch cannot synchronize it on a CPU.
            devices = None if self.device_type == "cpu" else [self.device]
            for name, module in self.modules.items():
                if any(parameter.requires_grad for parameter in module.parameters()):
                    unused = self.find_unused_parameters or _drops_layers(module) or _has_unused_weights(module)
                    self.modules[name] = DistributedDataParallel(module, devices, find_unused_parameters=unused)

    def init_optimizers(self) -> None:
        """Make the optimizer; lower layers of the front end learn more slowly where ``layer_decay`` is below 1."""
        groups = parameter_groups(self.hparams.modules, self.hparams.lr, self.hparams.layer_decay)
        if not groups:
            raise InputError("every parameter is frozen; train at least one, for instance with fewer frozen_layers")
        self.optimizer = self.opt_class(groups)
        self.optimizers_dict = {"opt_class": self.optimizer}
        hooks = (load_sharded, save_sharded) if self.is_sharded else ()
        self.checkpointer.add_recoverable("optimizer", self.optimizer, *hooks)

    def on_fit_start(self) -> None:
        """Load the last checkpoint, if there is one; open the logs."""
        super().on_fit_start()
        self._keep_step_size(**self._recovered_step_size)
        if if_main_process():
            if self.optimizer_step:
                logger.info(f"resuming from step {self.optimizer_step} of {self.last_step}")
            self._write_log()
            self._write_skipped()
            self._writer = SummaryWriter(
                os.path.join(self.hparams.output_folder, "tensorboard"), purge_step=self.optimizer_step
            )
        self._bar = tqdm(
            total=self.last_step,
            initial=self.optimizer_step,
            desc="training",
            unit="step",
            disable=self.noprogressbar or not if_main_process(),
        )

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Begin the remaining steps of a round, or a validation."""
        if stage == Stage.TRAIN:
            end = min(self._validated_step() + self.hparams.valid_interval, self.last_step)
            self.train_batches.range = (self.taken, self.taken + (end - self.optimizer_step) * self.step_batches)
        else:
            if self.is_sharded:
                broadcast(self.modules.buffers())  # statistics of batch normalization: checkpoints have the first one's
            if self.average:
                self.average.before_validation()
                self.average.swap()
            self._scores: list[tuple[str, float, float, int]] = []
            self._valid_bar = tqdm(
                total=len(self.valid_batches), desc="validation", unit="batch", leave=False, disable=self._bar.disable
            )

    # Training ---------------------------------------------------------------------------------------------------------

    def on_fit_batch_start(self, batch: PaddedBatch, should_step: bool) -> None:
        """Seed the random numbers of this batch, such as dropout, by its index among all batches of the run."""
        rank, size = rank_and_size()
        accumulated = (self.step - 1) % self.grad_accumulation_factor
        number = self.taken + accumulated * size + rank
        self.batch_seed = derive_seed(self.hparams.seed, "batch", number)
        torch.manual_seed(self.batch_seed)

    def fit_batch(self, batch: PaddedBatch) -> torch.Tensor:
        """Fit a batch; with ``sam_rho``, take its gradient at the worst weights nearby, with the same dropout."""
        if self.sharpness_aware:
            self.on_fit_batch_start(batch, False)
            with self.no_sync(), self.training_ctx:
                loss = self.compute_objectives(self.compute_forward(batch, Stage.TRAIN), batch, Stage.TRAIN)
            self._losses.pop()  # the loss of the step is that at the moved weights
            self.sharpness_aware.ascend(loss)
        return super().fit_batch(batch)

    def on_fit_batch_end(self, batch: PaddedBatch, outputs: Any, loss: torch.Tensor, should_step: bool) -> None:
        """Give back the weights that ``sam_rho`` moved, unless a step did."""
        if self.sharpness_aware:
            self.sharpness_aware.restore()

    def compute_forward(self, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Turn a batch into logits [batch, 2]."""
        # processes validate unequal numbers of batches: modules in DistributedDataParallel would wait for each other
        modules = self.modules if stage == Stage.TRAIN else self.hparams.modules
        return compute_logits(modules, *self.inputs(batch))

    def inputs(self, batch: PaddedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the waveforms of a batch and their relative lengths."""
        waveforms, lengths = batch.to(self.device).waveform
        return waveforms, lengths if self.mask_padding else torch.ones_like(lengths)

    def compute_objectives(self, predictions: torch.Tensor, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Compute the loss; in validation, also keep the logits."""
        targets = torch.as_tensor(batch.target, device=predictions.device)
        loss = self.hparams.loss(predictions, targets)
        if stage == Stage.TRAIN:
            self.note_loss(loss, batch)
        else:
            self._newly_skipped += read_skipped(batch)
            readable = getattr(batch, "readable", torch.ones(len(targets), dtype=torch.bool)).tolist()
            scores = zip(batch.id, *predictions.T.tolist(), targets.tolist(), strict=True)
            self._scores.extend(score for score, is_readable in zip(scores, readable, strict=True) if is_readable)
            self._valid_bar.update()
        return loss

    def note_loss(self, loss: torch.Tensor, batch: PaddedBatch) -> None:
        """Keep the loss and duration of a training batch for the report of the next step."""
        waveforms, lengths = batch.waveform
        seconds = lengths.float().sum() * waveforms.shape[1] / SAMPLE_RATE
        self._losses.append(torch.stack([loss.detach().float(), seconds]))
        self._newly_skipped += read_skipped(batch)

    def check_loss_isfinite(self, loss: torch.Tensor) -> None:
        """Do nothing: ``optimizers_step`` checks the losses of all processes, so that all skip the same step."""

    def optimizers_step(self) -> None:
        """Take an optimizer step, unless a loss or a gradient is not finite."""
        if self.sharpness_aware:
            self.sharpness_aware.restore()
        events = torch.tensor([len(self._newly_skipped), self._stop_requested], device=self.device)
        loss, seconds, skipped, stop = average(torch.cat([torch.stack(self._losses).mean(0), events])).tolist()
        self.seconds += seconds * self.step_batches
        self._losses.clear()
        self._stopping = stop > 0  # in every process after the same step
        if skipped > 0:
            self._count_skipped_utterances()

        self.hparams.lr_schedule(self.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] *= group["lr_scale"]
        self.scaler.unscale_(self.optimizer)
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        # with scaled gradients, overflow is how the scaler finds its scale: it skips such steps itself
        if math.isfinite(loss) and (self.scaler.is_enabled() or torch.isfinite(norm)):
            self.scaler.step(self.optimizer)
        else:
            self._count_skipped_step(loss)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer_step += 1
        if self.average:
            self.average.after_step(self.optimizer_step)
        self.taken += self.step_batches
        if math.isfinite(loss):
            self.round_loss = [self.round_loss[0] + loss, self.round_loss[1] + 1]
        self._show_progress(loss, norm.item())

    def _count_skipped_utterances(self) -> None:
        """Merge the skipped utterances of all processes; end training when there are too many."""
        self.skipped_utterances |= dict(gather(self._newly_skipped))
        self._newly_skipped = []
        if if_main_process():
            self._write_skipped()
        if len(self.skipped_utterances) > self.skip_limit:
            raise InputError(
                f"{self._skipped_path}: {len(self.skipped_utterances)} training and validation utterances cannot be "
                f"used, more than skip_limit ({self.skip_limit}); fix these files, or pass a higher --skip_limit"
            )

    @property
    def _skipped_path(self) -> Path:
        return Path(self.hparams.output_folder, "skipped.csv")

    def _write_skipped(self) -> None:
        if self.skipped_utterances:
            with atomic_path(self._skipped_path) as temporary:
                pd.DataFrame(self.skipped_utterances.items(), columns=["ID", "Reason"]).to_csv(temporary, index=False)
        else:  # left by an earlier run
            self._skipped_path.unlink(missing_ok=True)

    def _count_skipped_step(self, loss: float) -> None:
        self.skipped_steps += 1
        if self.skipped_steps > self.nonfinite_patience:
            raise InputError(
                f"{self.hparams.output_folder}: {self.skipped_steps} steps had a loss or gradient that is not finite "
                f"(last loss: {loss}), more than nonfinite_patience ({self.nonfinite_patience}); lower --lr or check "
                "the data"
            )

    def _show_progress(self, loss: float, norm: float) -> None:
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        self._bar.update()
        # fits into 80 columns; the learning rate is in train_log.csv and TensorBoard
        self._bar.set_postfix_str(f"loss {loss:.3f}, {self.seconds / 3600:.2f} h of audio", refresh=False)
        if self._writer:
            for name, value in (("loss", loss), ("learning rate", rate), ("gradient norm", norm)):
                self._writer.add_scalar(f"training/{name}", value, self.optimizer_step)

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time: float, steps_since_ckpt: int) -> bool:
        # never between two batches of one optimizer step: the gradients are not in the checkpoint
        is_whole = self.step % self.grad_accumulation_factor == 0
        if is_whole and self._stopping:
            return True
        return is_whole and super()._should_save_intra_epoch_ckpt(last_ckpt_time, steps_since_ckpt)

    def _save_intra_epoch_ckpt(self) -> None:
        super()._save_intra_epoch_ckpt()
        if self._stopping:
            raise KeyboardInterrupt

    @contextmanager
    def stop_on_signal(self) -> Iterator[None]:
        """On Ctrl-C or SIGTERM, finish the training step, save a checkpoint and raise KeyboardInterrupt.

        A second signal, or one during validation, stops at once; the run then resumes from an older checkpoint.
        """
        if threading.current_thread() is not threading.main_thread():  # Python allows handlers only there
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # a background job ignores Ctrl-C, which is meant for another process
        before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}

        def request_stop(number: int, frame: Any) -> None:
            if self._stop_requested or not self.modules.training:
                raise KeyboardInterrupt
            self._stop_requested = True
            logger.warning("stopping after this training step; press Ctrl-C again to stop at once")

        for number in before:
            signal.signal(number, request_stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # Validation and logs ----------------------------------------------------------------------------------------------

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """After a validation, save a checkpoint and log."""
        if stage != Stage.VALID:
            return
        self._valid_bar.close()
        if self.is_sharded:
            self._join_last_batch()
        if self.average:
            self.average.swap()
        self._count_skipped_utterances()
        # sorted, since the sum of the losses depends on their order and so on the number of processes
        scores = sorted(gather(self._scores))
        logits = np.array([(fake, real) for _, fake, real, _ in scores])
        targets = np.array([target for *_, target in scores])
        difference = logits[:, 1] - logits[:, 0]
        real, fake = difference[targets == 1], difference[targets == 0]
        measured = measure_errors(real, fake)
        error = measured["EER"]
        loss = self.hparams.loss(
            torch.tensor(logits, dtype=torch.float32, device=self.device), torch.tensor(targets, device=self.device)
        ).item()
        row = {
            "step": self.optimizer_step,
            "epoch": self.taken / len(self.train_batches.plan),
            "hours": self.seconds / 3600,
            "lr": max(group["lr"] for group in self.optimizer.param_groups),
            "train_loss": self.round_loss[0] / max(self.round_loss[1], 1),
            "valid_loss": loss,
            "valid_eer": error,
            "skipped_steps": self.skipped_steps,
        }
        self.history.append(row)
        self.round_loss = [0.0, 0.0]
        self.checkpointer.save_and_keep_only({**measured, "loss": loss, "step": self.optimizer_step})
        if if_main_process():
            self._write_log()
            logger.info(
                f"step {row['step']}, epoch {row['epoch']:.2f}, {row['hours']:.2f} h of audio: training loss "
                f"{row['train_loss']:.4f}; validation loss {loss:.4f}, EER {100 * error:.2f} %"
            )
        if self._writer:
            self._writer.add_scalar("validation/EER %", 100 * error, self.optimizer_step)
            self._writer.add_scalar("validation/loss", loss, self.optimizer_step)
            self._writer.flush()

    def _join_last_batch(self) -> None:
        """Provide weights for the last validation batch of other processes, if this one has a batch less than they."""
        own = len(self.valid_batches)
        if own * rank_and_size()[1] >= len(self.valid_batches.plan) or (self.debug and own >= self.debug_batches):
            return
        size = max(SAMPLE_RATE, self.hparams.modules["embedding_model"].min_samples)
        with torch.no_grad():
            compute_logits(self.modules, torch.zeros(1, size, device=self.device), torch.ones(1, device=self.device))

    def close_logs(self) -> None:
        """Close the progress bars, so that the next message begins a line, and the log of TensorBoard."""
        for bar in (self._valid_bar, self._bar):
            bar.close()
        if self._writer:
            self._writer.close()

    def load_best(self) -> None:
        """Load the best checkpoint and set ``eer``, ``threshold`` and what else it measured."""
        best = self.checkpointer.find_best()
        if best is None:
            raise InputError(
                f"{self.checkpointer.checkpoints_dir}: contains no validated checkpoint; train for at least "
                "valid_interval steps"
            )
        for name, module in self._whole.items():  # for the export
            self.modules[name] = self.hparams.modules[name] = module
            self.checkpointer.add_recoverable(name, module, load_whole)
        self.checkpointer.load_checkpoint(best)
        if self.average:
            self.average.swap()
        self.set_threshold(best.meta, "on the validation set")

    def set_threshold(self, measured: Mapping[str, Any], place: str) -> None:
        """Set ``eer``, ``threshold`` and what belongs to them to what :func:`measure_errors` gave at a place."""
        self.eer, self.threshold = measured["EER"], measured["threshold"]
        self.threshold_errors = measured.get("threshold_errors", {})
        self.validation_scores = measured.get("validation_scores", {})
        self.threshold_source = f"equal error rate {place} ({100 * self.eer:.2f} %)"

    def _write_log(self) -> None:
        with atomic_path(Path(self.hparams.output_folder, "train_log.csv")) as temporary:
            pd.DataFrame(self.history).to_csv(temporary, index=False)

    @mark_as_saver
    def _save(self, path: str | os.PathLike) -> None:
        kept = {name: getattr(self, name) for name in self.KEPT}
        Path(path).write_text(json.dumps(kept | {"step_size": self._step_size()}))

    @mark_as_loader
    def _recover(self, path: str | os.PathLike, end_of_epoch: bool) -> None:
        kept = json.loads(Path(path).read_text())
        self._recovered_step_size = kept.pop("step_size", self._step_size())  # missing from older checkpoints
        for name, value in kept.items():
            setattr(self, name, value)

    def _step_size(self) -> dict[str, int]:
        factors = {"given": self._given_accumulation, "accumulated": self.grad_accumulation_factor}
        return factors | {"processes": rank_and_size()[1]}

    def _keep_step_size(self, given: int, accumulated: int, processes: int) -> None:
        """Take as many batches in a step as the run that wrote the checkpoint, unless the user changed the factor."""
        before, size = accumulated * processes, rank_and_size()[1]
        if given == self._given_accumulation and before % size == 0:
            self.grad_accumulation_factor = before // size
        # a step of the parent is a batch of this process
        self.step = self.step // accumulated * self.grad_accumulation_factor
        if processes == size or not if_main_process():
            return
        change = f"resuming with {size} instead of {processes} processes"
        if self.step_batches == before:
            logger.warning(
                f"{change}: grad_accumulation_factor is now {self.grad_accumulation_factor}, so that a step still has "
                f"{before} batches; results differ by rounding only"
            )
        else:
            logger.warning(
                f"{change}: a step now has {self.step_batches} batches instead of {before}, so results differ; for the "
                f"same steps, use a number of processes that divides {before}"
            )


def measure_errors(real: NDArray[np.float64], fake: NDArray[np.float64]) -> dict[str, Any]:
    """Measure the equal error rate of scores, its threshold and what else a model folder says about them.

    Example
    -------
    >>> measured = measure_errors(np.array([1.0, 2.0]), np.array([-1.0, 0.0]))
    >>> measured["EER"], measured["threshold_errors"]["fnr"]
    (0.0, 0.0)
    """
    trials = sort_trials(real, fake)
    error, threshold = map(float, equal_error_rate(error_rates(trials)))
    rates = decision_rates(trials, threshold)
    errors = {"eer": error, "fnr": float(rates["fnr"]), "fpr": float(rates["fpr"])}
    errors |= {"real": len(real), "fake": len(fake)}
    scores = describe_scores(real, fake)
    return {"EER": error, "threshold": threshold, "threshold_errors": errors, "validation_scores": scores}


def _drops_layers(module: torch.nn.Module) -> bool:
    """Check whether layer drop skips layers of a module in training, different ones in every process."""
    return any(getattr(getattr(part, "config", None), "layerdrop", 0) for part in module.modules())


def _has_unused_weights(module: torch.nn.Module) -> bool:
    """Check whether a front end leaves out its final normalization."""
    return not all(getattr(part, "final_norm", True) for part in module.modules())


def read_skipped(batch: PaddedBatch) -> list[tuple[str, str]]:
    """List ID and reason of the utterances that were skipped when a batch was loaded."""
    return [(name, reason) for text in getattr(batch, "skipped", []) for name, reason in json.loads(text)]
