"""Training on labels of frames: its loss, its gradients, and mistakes."""

import pytest
import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.errors import InputError
from antideepfake.lobes import FrameLevel, LogFilterBank, UtteranceEncoder
from antideepfake.training.frame_brain import FrameLevelBrain


@pytest.fixture
def make(make_brain):
    """Build the Brain."""

    def build(weight=0.5):
        encoder = UtteranceEncoder(LogFilterBank(20), FrameLevel(20, frames_per_segment=16, dropout=0.0))
        modules = {"embedding_model": encoder, "classifier": torch.nn.Linear(128, 2)}
        return make_brain(FrameLevelBrain, modules, frame_weight=weight)

    return build


def _batch(missing=0):
    """Two utterances of segments of 2560 samples, of which the last one misses some."""
    items = [
        {
            "id": str(number),
            "waveform": torch.randn(2560 * len(labels) - missing),
            "target": 0,
            "frame_targets": torch.tensor(labels),
        }
        for number, labels in enumerate(((1, 0, 1, 1), (0, 0)))
    ]
    return PaddedBatch(items)


def test_the_loss_is_that_of_utterances_and_of_their_frames(make):
    brain, batch = make(), _batch()
    logits, frames, lengths = predictions = brain.compute_forward(batch, Stage.TRAIN)
    assert frames.shape == (2, 4, 2) and (4 * lengths).tolist() == [4, 2]
    torch.testing.assert_close(logits, brain.compute_forward(batch, Stage.VALID))
    cross_entropy = torch.nn.functional.cross_entropy
    of_frames = cross_entropy(torch.cat([frames[0], frames[1, :2]]), torch.tensor([1, 0, 1, 1, 0, 0]))
    of_utterances = cross_entropy(logits, torch.tensor([0, 0]))
    loss = brain.compute_objectives(predictions, batch, Stage.TRAIN)
    torch.testing.assert_close(loss, of_utterances + 0.5 * of_frames)
    assert brain._losses[0][0] == of_utterances


def test_labels_of_padding_have_no_influence(make):
    brain, batch = make(), _batch()
    losses = []
    for value in (0, 1):
        batch.frame_targets.data[1, 2:] = value
        losses.append(brain.compute_objectives(brain.compute_forward(batch, Stage.TRAIN), batch, Stage.TRAIN))
    assert losses[0] == losses[1]


def test_more_labels_than_frames_are_cut_off(make):
    """The front end gives fewer frames than the length divided by its hop."""
    brain, batch = make(), _batch(missing=2400)
    predictions = brain.compute_forward(batch, Stage.TRAIN)
    assert predictions[1].shape[1] == 3 and batch.frame_targets.data.shape[1] == 4
    assert torch.isfinite(brain.compute_objectives(predictions, batch, Stage.TRAIN))


def test_a_weight_that_is_not_positive_is_refused(make):
    with pytest.raises(InputError, match="frame_weight is 0; it must be above 0"):
        make(weight=0)
