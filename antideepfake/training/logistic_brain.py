"""Training of a linear classifier on a frozen encoder, in one pass and without a learning rate."""

import os
from collections.abc import Mapping
from itertools import compress
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver, register_checkpoint_hooks

from antideepfake.distributed import gather
from antideepfake.errors import InputError
from antideepfake.lobes.batch_norm import Standardization
from antideepfake.training.brain import DetectorBrain, measure_errors
from antideepfake.training.refit import fit_classifier, fit_logistic_regression


@register_checkpoint_hooks
class CollectedEmbeddings:
    """Embeddings and targets of the utterances that a run has read, by ID; part of its checkpoints."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[torch.Tensor, int]] = {}

    @mark_as_saver
    def save(self, path: str | os.PathLike) -> None:
        """Save the embeddings."""
        save_file({f"{target} {name}": embedding for name, (embedding, target) in self.rows.items()}, path)

    @mark_as_loader
    def load(self, path: str | os.PathLike, end_of_epoch: bool) -> None:
        """Load the embeddings."""
        for key, embedding in load_file(path).items():
            target, _, name = key.partition(" ")
            self.rows[name] = embedding, int(target)


class LogisticRegressionBrain(DetectorBrain):
    """Fit a linear classifier to the embeddings of a frozen encoder, by logistic regression with balanced classes.

    One pass over the training set gives the embeddings; the best classifier for them is then computed, not
    approached in steps, and does not depend on the order of the utterances. Where the encoder is frozen this is faster
    and better than gradient descent. The keys of the YAML for gradient descent, such as ``lr``, have no effect; the
    pass ends early at ``max_steps``. A back end or second branch whose ``norm`` is a
    :class:`antideepfake.lobes.batch_norm.Standardization` standardizes its embeddings afterwards.

    The validation error is that of a classifier of the training set. :meth:`refit` then fits it to both sets and
    calibrates it.

    Arguments
    ---------
    modules : mapping
        ``embedding_model``, whose front end stays as it is and whose other parts have no parameters, and
        ``classifier``, a ``torch.nn.Linear``.
    *args, **options
        As for :class:`DetectorBrain`.
    inverse_regularization : float
        C of scikit-learn's ``LogisticRegression``, on standardized embeddings: the lower, the smaller the weights.

    Raises
    ------
    InputError
        When a part after the front end has parameters, or the classifier is not linear.
    """

    can_shard = False

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module],
        *args: Any,
        inverse_regularization: float,
        **options: Any,
    ) -> None:
        encoder = modules["embedding_model"]
        self.classifier: Any = modules["classifier"]
        weights = [name for name, _ in encoder.named_parameters() if not name.startswith("front_end.")]
        if weights:
            raise InputError(
                f"LogisticRegressionBrain trains the classifier alone, but the encoder has {weights[0]}, which would "
                "stay random; choose a back end without weights, such as LayerStatistics, or DetectorBrain"
            )
        if type(self.classifier) is not torch.nn.Linear or self.classifier.bias is None:
            raise InputError(f"LogisticRegressionBrain: the classifier is {self.classifier}; use torch.nn.Linear")
        if not inverse_regularization > 0:
            raise InputError(f"inverse_regularization is {inverse_regularization}; it must be above 0")
        super().__init__(modules, *args, **options)
        if self.scaler.is_enabled():
            raise InputError("LogisticRegressionBrain has no gradients to scale; use --precision fp32 or bf16")
        self.inverse_regularization = inverse_regularization
        self.collected = CollectedEmbeddings()
        self.validated = CollectedEmbeddings()
        self.checkpointer.add_recoverable("embeddings", self.collected)
        self.checkpointer.add_recoverable("validation_embeddings", self.validated)
        self._new: list[tuple[str, tuple[torch.Tensor, int]]] = []  # in this process, since the last step

    @property
    def last_step(self) -> int:
        """Number of optimizer steps after which training ends: at most one pass."""
        return min(super().last_step, ceil(len(self.train_batches.plan) / self.step_batches))

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Begin the rest of the pass, or the validation."""
        super().on_stage_start(stage, epoch)
        if stage == Stage.TRAIN:
            self.train_batches.range = (self.taken, self.last_step * self.step_batches)

    def _embed(self, batch: PaddedBatch) -> torch.Tensor:
        """Give the embeddings of a batch, and keep those of utterances that could be read."""
        embeddings = self.hparams.modules["embedding_model"].eval()(*self.inputs(batch))
        rows = zip(embeddings.float().cpu(), torch.as_tensor(batch.target).tolist(), strict=True)
        readable = getattr(batch, "readable", torch.ones(len(batch.id), dtype=torch.bool)).tolist()
        self._new += compress(zip(batch.id, rows, strict=True), readable)
        return embeddings

    def compute_forward(self, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Turn a batch of the validation set into logits [batch, 2]."""
        return self.classifier(self._embed(batch))

    def fit_batch(self, batch: PaddedBatch) -> torch.Tensor:
        """Keep the embeddings of a batch."""
        with torch.no_grad(), self.training_ctx:
            self._embed(batch)
        loss = torch.zeros((), device=self.device)
        self.note_loss(loss, batch)
        if self.step % self.grad_accumulation_factor == 0:
            self.optimizers_step()
        return loss

    def optimizers_step(self) -> None:
        """Collect the embeddings of all processes."""
        super().optimizers_step()  # counts, and changes no weight, since there are no gradients
        self.collected.rows |= dict(gather(self._new))
        self._new = []

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """After the pass, fit the classifier; after the validation, save a checkpoint and log."""
        if stage == Stage.TRAIN:
            self._fit_classifier()
        else:
            self.validated.rows = dict(gather(self._new))
            self._new = []
        super().on_stage_end(stage, stage_loss, epoch)

    def refit(self, speakers: Mapping[str, str]) -> None:
        """Fit the classifier to both sets, and calibrate it and choose its threshold by cross-validation.

        Arguments
        ---------
        speakers : mapping
            Speaker of each utterance, by ID; none is in two folds. Unknown speakers, ``-``, all differ.

        Raises
        ------
        InputError
            When both sets together are too small for cross-validation.
        """
        rows = self.collected.rows | self.validated.rows
        embeddings, is_real = _stack(rows)
        clusters = [speakers[name] for name in sorted(rows)]
        try:
            fit = fit_classifier(
                embeddings.double().numpy(), is_real, clusters, self.hparams.seed, [self.inverse_regularization]
            )
        except InputError as error:
            raise InputError(f"the training and validation sets: {error}") from None
        self._set_weights(fit.weight, fit.bias)
        over = "speakers" if set(clusters) - {"-"} else "utterances, whose speakers are unknown,"
        place = f"in cross-validation over {over} of the training and validation sets"
        self.set_threshold(measure_errors(fit.scores[is_real], fit.scores[~is_real]), place)
        self.threshold_source += ": expect more errors on other spoofing systems"

    def _fit_classifier(self) -> None:
        embeddings, is_real = _stack(self.collected.rows)
        if not embeddings.isfinite().all():
            raise InputError("some embeddings have values that are not finite; train with --precision fp32")
        if len(set(is_real.tolist())) < 2:
            raise InputError("the utterances read so far are all of one class; raise max_steps")
        encoder = self.hparams.modules["embedding_model"]
        second = encoder.second_branch
        size = embeddings.shape[1] - (second.embedding_size if second is not None else 0)
        for part, columns in ((encoder.back_end, embeddings[:, :size]), (second, embeddings[:, size:])):
            norm = getattr(part, "norm", None)
            if isinstance(norm, Standardization):
                columns.copy_(norm.fit(columns.to(norm.running_mean)))
        self.collected.rows = {
            name: (embedding, int(target))
            for name, embedding, target in zip(sorted(self.collected.rows), embeddings, is_real, strict=True)
        }  # standardized, as those of validation will be
        self._set_weights(*fit_logistic_regression(embeddings.double().numpy(), is_real, self.inverse_regularization))
        with torch.no_grad():
            logits = self.classifier(embeddings.to(self.device))
            loss = self.hparams.loss(logits, torch.from_numpy(is_real).to(logits.device, torch.long)).item()
        self.round_loss = [loss, 1]

    def _set_weights(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
        with torch.no_grad():
            self.classifier.weight.copy_(torch.from_numpy(weight))
            self.classifier.bias.copy_(torch.from_numpy(bias))


def _stack(rows: Mapping[str, tuple[torch.Tensor, int]]) -> tuple[torch.Tensor, NDArray[np.bool_]]:
    """Give the embeddings ([utterances, size]) and which are bona fide, in the order of the IDs."""
    ordered = [row for _, row in sorted(rows.items())]
    return torch.stack([row[0] for row in ordered]), np.array([row[1] for row in ordered]) == 1
