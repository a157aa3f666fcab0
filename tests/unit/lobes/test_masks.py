"""Lengths and masks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.lobes import SentenceMeanNorm, length_mask


@given(st.integers(1, 2_000_000), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_mask_counts_every_length_exactly(steps, shares):
    """One sample of padding would count as signal, or one of signal be lost, when a length is not a round fraction."""
    lengths = [max(1, round(share * steps)) for share in shares]
    mask = length_mask(torch.tensor([length / steps for length in lengths]), steps)
    assert mask.sum(1).tolist() == lengths


def test_mask_is_at_the_front():
    """Padding would be taken for signal."""
    assert length_mask(torch.tensor([0.5]), 4).tolist() == [[True, True, False, False]]


@given(st.integers(1, 30), st.integers(0, 30), st.sampled_from([0.0, 5.0, -1e4, 1e30]))
def test_mean_norm_ignores_padding(frames, padding, value):
    """The mean of an utterance would depend on the others in its batch."""
    features = torch.randn(1, frames, 3, generator=torch.Generator().manual_seed(frames)) + 4
    padded = torch.cat([features, torch.full((1, padding, 3), value)], 1)
    result = SentenceMeanNorm()(padded, torch.tensor([frames / (frames + padding)]))
    torch.testing.assert_close(result[:, :frames], features - features.mean(1, keepdim=True), atol=1e-4, rtol=0)
    assert not result[:, frames:].any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_mean_norm_ignores_padding_that_is_no_number(value):
    """A mask that multiplies lets NaN through: 0 * NaN is NaN."""
    padded = torch.cat([torch.ones(1, 3, 2), torch.full((1, 2, 2), value)], 1)
    assert not SentenceMeanNorm()(padded, torch.tensor([0.6])).any()


def test_mean_norm_removes_a_channel():
    """The tint of a microphone, a constant in the log spectrum, would reach the classifier."""
    features = torch.randn(2, 20, 5)
    lengths = torch.tensor([1.0, 0.5])
    norm = SentenceMeanNorm()
    torch.testing.assert_close(norm(features + torch.randn(2, 1, 5), lengths), norm(features, lengths))
