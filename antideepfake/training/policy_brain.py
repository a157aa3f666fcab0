"""Fine-tuning by reinforcement."""

import copy
from typing import Any

import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.lobes.detector import compute_logits
from antideepfake.training.brain import DetectorBrain
from antideepfake.training.policy import policy_loss


class PolicyBrain(DetectorBrain):
    """Fine-tune a trained detector with group relative policy optimization (:mod:`antideepfake.training.policy`).

    The modules must have the weights of the trained detector when the Brain is built: a copy of them becomes the
    reference. The hyperparameter ``loss`` is used in validation.

    Arguments
    ---------
    *args, **options
        As for :class:`DetectorBrain`.
    samples, beta, clip :
        ``n_samples``, ``beta`` and ``clip`` of :func:`antideepfake.training.policy_loss`.
    policy_refresh : int, optional
        Optimizer steps between copies of the detector to the old policy; 1000 in the paper. Without it, as in the
        simplified form, there is no old policy.
    sample_from_old : bool
        As for :func:`antideepfake.training.policy_loss`.
    """

    can_shard = False

    def __init__(
        self,
        *args: Any,
        samples: int = 64,
        beta: float = 0.04,
        clip: float = 0.2,
        policy_refresh: int | None = None,
        sample_from_old: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.samples, self.beta, self.clip, self.policy_refresh = samples, beta, clip, policy_refresh
        self.sample_from_old = sample_from_old
        self.reference = self._copy()
        self.old_policy = self._copy() if policy_refresh else None
        if self.old_policy is not None:
            self.checkpointer.add_recoverable("old_policy", self.old_policy)

    def _copy(self) -> Any:
        return copy.deepcopy(torch.nn.ModuleDict(self.hparams.modules)).requires_grad_(False).eval()

    def on_fit_batch_start(self, batch: PaddedBatch, should_step: bool) -> None:
        """Also copy the detector to the old policy if it is due."""
        super().on_fit_batch_start(batch, should_step)
        if self.old_policy is not None and self.optimizer_step % self.policy_refresh == 0:
            self.old_policy.load_state_dict(torch.nn.ModuleDict(self.hparams.modules).state_dict())

    def compute_objectives(self, predictions: torch.Tensor, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Compute the loss of sampled labels; in validation, the hyperparameter ``loss``."""
        if stage != Stage.TRAIN:
            return super().compute_objectives(predictions, batch, stage)
        with torch.no_grad():
            inputs = self.inputs(batch)
            reference = compute_logits(self.reference, *inputs)
            old = None if self.old_policy is None else compute_logits(self.old_policy, *inputs)
        loss = policy_loss(
            predictions,
            torch.as_tensor(batch.target, device=predictions.device),
            reference,
            torch.Generator(predictions.device).manual_seed(self.batch_seed),
            old,
            self.samples,
            self.beta,
            self.clip,
            self.sample_from_old,
        )
        self.note_loss(loss, batch)
        return loss
