"""Embeddings of segments: independent of padding, in order of time, and pooled to the utterance's."""

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.lobes import FrameLevel, LogFilterBank, MeanPooling, UtteranceEncoder


@pytest.mark.parametrize("pooling", ["attention", "mean"])
@pytest.mark.parametrize("frames_per_segment", [1, 4, 7])
def test_padding_has_no_influence_and_every_weight_learns(pooling, frames_per_segment, check_back_end):
    back_end = FrameLevel(5, 3, frames_per_segment, 3, 7, pooling, dropout=0.0)
    check_back_end(back_end, (3, 12, 5))


@torch.no_grad()
def test_segments_do_not_depend_on_padding():
    back_end = FrameLevel(5, frames_per_segment=4, context=3).eval()
    batch = torch.randn(3, 21, 5)
    batch[1, 13:] = torch.nan
    segments, lengths = back_end.frame_embeddings(batch, torch.tensor([21, 13, 4]) / 21)
    assert segments.shape == (3, 6, 128) and (6 * lengths).tolist() == [6, 4, 1]
    alone, _ = back_end.frame_embeddings(batch[1:2, :13], torch.ones(1))
    torch.testing.assert_close(segments[1:2, :4], alone)
    assert not segments[1, 4:].any()


@torch.no_grad()
def test_a_segment_sees_its_frames_and_its_neighbors():
    back_end = FrameLevel(5, frames_per_segment=4, context=3).eval()
    frames = torch.randn(1, 24, 5)
    changed = frames.clone()
    changed[:, 9, 0] += 1.0
    one, other = (back_end.frame_embeddings(states, torch.ones(1))[0] for states in (frames, changed))
    assert (one != other).any(2)[0].tolist() == [False, True, True, True, False, False]


@torch.no_grad()
def test_layers_have_weights_of_their_own():
    back_end, states = FrameLevel(5, 3, context=1).eval(), torch.randn(2, 3, 16, 5)
    swapped = back_end(states[:, [1, 0, 2]], torch.ones(2))
    assert (swapped - back_end(states, torch.ones(2))).abs().max() > 1e-3


@torch.no_grad()
def test_attention_begins_as_the_mean_and_can_be_a_minimum():
    back_end, classifier = FrameLevel(5, frames_per_segment=2).eval(), torch.nn.Linear(128, 2)
    states = torch.randn(2, 30, 5)
    segments, lengths = back_end.frame_embeddings(states, torch.tensor([1.0, 0.6]))
    torch.testing.assert_close(back_end.pool(segments, lengths)[0], segments[0].mean(0))
    scores = classifier(segments).diff(dim=2).squeeze(2)
    back_end.attention.weight.copy_(-1e4 * classifier.weight.diff(dim=0))
    score = classifier(back_end(states, torch.tensor([1.0, 0.6]))).diff(dim=1).squeeze(1)
    torch.testing.assert_close(score, torch.stack([scores[0].min(), scores[1, :9].min()]), atol=1e-4, rtol=0)


def test_an_encoder_gives_frames_with_the_embedding():
    encoder = UtteranceEncoder(LogFilterBank(20), FrameLevel(20, frames_per_segment=16)).eval()
    waveforms, lengths = torch.randn(2, 8000), torch.tensor([1.0, 0.5])
    embeddings, frames, frame_lengths = encoder(waveforms, lengths, with_frames=True)
    torch.testing.assert_close(embeddings, encoder(waveforms, lengths))
    assert encoder.frame_seconds == 0.16 and frames.shape == (2, 3, 128)
    torch.testing.assert_close(frame_lengths, torch.tensor([1.0, 2 / 3]))
    assert UtteranceEncoder(LogFilterBank(20), MeanPooling()).frame_seconds == 0.01


@pytest.mark.parametrize("settings", [{"context": 4}, {"frames_per_segment": 0}, {"pooling": "max"}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(InputError, match=r"context odd|'max' is unknown; use attention or mean"):
        FrameLevel(5, **settings)
