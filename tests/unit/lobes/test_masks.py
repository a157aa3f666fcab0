"""Lengths and masks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.lobes.masks import length_mask, masked_mean, whole_lengths


@given(st.integers(1, 2_000_000), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_mask_counts_every_length_exactly(steps, shares):
    lengths = [max(1, round(share * steps)) for share in shares]
    mask = length_mask(torch.tensor([length / steps for length in lengths]), steps)
    assert mask.sum(1).tolist() == lengths


def test_mask_is_at_the_front():
    assert length_mask(torch.tensor([0.5]), 4).tolist() == [[True, True, False, False]]


@given(st.integers(1, 2_000_000), st.floats(0, 1))
def test_whole_lengths_are_unchanged(steps, share):
    length = max(1, round(share * steps))
    assert whole_lengths(torch.tensor([length / steps]), steps).tolist() == [length]


@given(st.integers(1, 30), st.integers(0, 30), st.sampled_from([0.0, 5.0, -1e4, 1e30]))
def test_mean_ignores_padding(frames, padding, value):
    features = torch.randn(1, frames, 3, generator=torch.Generator().manual_seed(frames)) + 4
    padded = torch.cat([features, torch.full((1, padding, 3), value)], 1)
    result = masked_mean(padded, torch.tensor([frames / (frames + padding)]))
    torch.testing.assert_close(result, features.mean(1, keepdim=True), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_mean_ignores_nan_in_padding(value):
    padded = torch.cat([torch.ones(1, 3, 2), torch.full((1, 2, 2), value)], 1)
    assert masked_mean(padded, torch.tensor([0.6])).eq(1).all()


def test_mean_of_half_precision_is_single():
    features = torch.full((1, 5000, 1), 1.0, dtype=torch.bfloat16)
    assert masked_mean(features, torch.ones(1)).item() == 1.0
