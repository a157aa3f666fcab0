"""Training: SpeechBrain's Brain, hooks only."""

import numpy as np
import torch
from speechbrain import Brain, Stage
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.lobes import compute_logits
from antideepfake.scoring import equal_error_rate


class DetectorBrain(Brain):
    """Train a detector on batches of ``waveform`` and ``target``; keep the checkpoint with the best validation EER.

    Modules: ``embedding_model`` (a :class:`antideepfake.lobes.UtteranceEncoder`) and ``classifier``. Hyper-parameters:
    ``loss`` (logits [batch, 2] and targets [batch] to a scalar), ``lr_schedule`` (epoch to old and new learning rate),
    ``epoch_counter``, ``train_logger``, and optionally ``crop`` (a :class:`antideepfake.dataio.RandomCrop`) and
    ``wav_augment`` (SpeechBrain's ``Augmenter``, in training only).

    The validation error is that of testing: the EER of the difference of the logits over whole, unaugmented files.
    """

    HPARAMS_NEEDED = ("loss", "lr_schedule", "epoch_counter", "train_logger")

    eer: float
    """Of the last pass over a validation or test set, a fraction."""
    threshold: float
    """Score at which it is reached."""

    def compute_forward(self, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Turn a batch into logits [batch, 2]."""
        batch = batch.to(self.device)
        waveforms, lengths = batch.waveform
        if stage == Stage.TRAIN and hasattr(self.hparams, "wav_augment"):
            waveforms, lengths = self.hparams.wav_augment(waveforms, lengths)
        return compute_logits(self.modules, waveforms, lengths)

    def compute_objectives(self, predictions: torch.Tensor, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Compute the loss; in validation, also keep the scores."""
        targets = torch.as_tensor(batch.target, device=predictions.device)
        if stage == Stage.TRAIN and hasattr(self.hparams, "wav_augment"):
            targets = self.hparams.wav_augment.replicate_labels(targets)
        if stage != Stage.TRAIN:
            logits = predictions.double()
            self._scores.extend((logits[:, 1] - logits[:, 0]).tolist())
            self._targets.extend(targets.tolist())
        return self.hparams.loss(predictions, targets)

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Begin a pass: tell the crop which epoch it is, forget old scores."""
        self._scores: list[float] = []
        self._targets: list[int] = []
        crop = getattr(self.hparams, "crop", None)
        if stage == Stage.TRAIN and crop is not None:
            crop.epoch = epoch

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """End a pass: after validation, log, set the learning rate and save."""
        if stage == Stage.TRAIN:
            self._train_loss = stage_loss
            return
        scores, is_real = np.array(self._scores), np.array(self._targets) == 1
        self.eer, self.threshold = equal_error_rate(scores[is_real], scores[~is_real])
        if stage == Stage.VALID:
            old_rate, new_rate = self.hparams.lr_schedule(epoch)
            for group in self.optimizer.param_groups:
                group["lr"] = new_rate
            self.hparams.train_logger.log_stats(
                stats_meta={"epoch": epoch, "lr": old_rate},
                train_stats={"loss": self._train_loss},
                valid_stats={"loss": stage_loss, "EER %": 100 * self.eer},
            )
            self.checkpointer.save_and_keep_only(meta={"EER": self.eer}, min_keys=["EER"])
