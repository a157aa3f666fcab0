"""Training with labels of frames: where is an utterance fake?"""

from collections.abc import Mapping
from typing import Any

import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.errors import InputError
from antideepfake.lobes.masks import length_mask
from antideepfake.training.brain import DetectorBrain


class FrameLevelBrain(DetectorBrain):
    """Train a detector on the labels of utterances and on those of their frames.

    The loss is that of the utterances plus ``frame_weight`` times the same loss over all frames of the batch but its
    padding. Both have the same classifier. Labels of frames are those of the segments beside the training protocol and
    of the key ``splice``; in all other utterances, every frame has the label of the utterance. Validation and the
    logged loss are those of utterances.

    Arguments
    ---------
    modules : mapping
        As for :class:`DetectorBrain`. The back end must give frames, as :class:`antideepfake.lobes.FrameLevel` does.
    *args, **options
        As for :class:`DetectorBrain`.
    frame_weight : float
        Weight of the loss of frames. The default of 1 weights both losses equally.

    Raises
    ------
    InputError
        When the detector gives no frames, or the weight is not positive.
    """

    learns_frames = True

    def __init__(
        self, modules: Mapping[str, torch.nn.Module], *args: Any, frame_weight: float = 1.0, **options: Any
    ) -> None:
        if not frame_weight > 0:
            raise InputError(f"frame_weight is {frame_weight}; it must be above 0")
        super().__init__(modules, *args, **options)
        self.frame_weight = frame_weight

    def compute_forward(self, batch: PaddedBatch, stage: Stage) -> Any:
        """Turn a batch into logits; in training, also into those of frames, with their relative lengths."""
        if stage != Stage.TRAIN:
            return super().compute_forward(batch, stage)
        embeddings, frames, lengths = self.modules["embedding_model"](*self.inputs(batch), with_frames=True)
        # one call for both, as DistributedDataParallel expects
        logits = self.modules["classifier"](torch.cat([embeddings, frames.flatten(0, 1)])).float()
        return logits[: len(embeddings)], logits[len(embeddings) :].view(*frames.shape[:2], -1), lengths

    def compute_objectives(self, predictions: Any, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Compute the loss; in training, add that of frames."""
        if stage != Stage.TRAIN:
            return super().compute_objectives(predictions, batch, stage)
        logits, frames, lengths = predictions
        loss = super().compute_objectives(logits, batch, stage)
        targets, target_lengths = batch.to(self.device).frame_targets
        mask = length_mask(lengths, frames.shape[1])
        has_target = length_mask(target_lengths, targets.shape[1])
        count = min(frames.shape[1], targets.shape[1])  # a front end gives fewer frames than there are labels
        known = mask[:, :count] & has_target[:, :count]
        return loss + self.frame_weight * self.hparams.loss(frames[:, :count][known], targets[:, :count][known])
