"""Waveforms to logits: a score never depends on what else is in the batch."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.lobes.detector import compute_logits


@pytest.fixture(scope="module")
def modules(make_modules):
    """A detector as if trained."""
    return make_modules()


def _waveform(samples: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(samples + 10_000 * seed)
    waveform = torch.randn(samples, generator=generator) * (1 + torch.arange(samples) % 700 / 100)
    return torch.nn.functional.layer_norm(waveform, waveform.shape)


def _batch(waveforms: list[torch.Tensor], padding: float, more: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, waveforms)) + more
    batch = torch.full((len(waveforms), longest), padding)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch, torch.tensor([len(waveform) / longest for waveform in waveforms])


@torch.no_grad()
def _alone(modules, waveforms):
    return torch.cat([compute_logits(modules, waveform[None], torch.ones(1)) for waveform in waveforms])


@given(
    lengths=st.lists(st.integers(400, 9000), min_size=1, max_size=6),
    padding=st.sampled_from([0.0, 1.0, -50.0, 1e4]),
    more=st.integers(0, 2000),
    order=st.randoms(use_true_random=False),
)
def test_batch_and_alone_agree(modules, lengths, padding, more, order):
    waveforms = [_waveform(length, seed) for seed, length in enumerate(lengths)]
    order.shuffle(waveforms)
    with torch.no_grad():
        together = compute_logits(modules, *_batch(waveforms, padding, more))
    torch.testing.assert_close(together, _alone(modules, waveforms), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("padding", [1e30, math.inf, -math.inf, math.nan])
def test_padding_may_be_nan(modules, padding):
    waveforms = [_waveform(4000, 1), _waveform(2400, 2)]
    with torch.no_grad():
        together = compute_logits(modules, *_batch(waveforms, padding))
    torch.testing.assert_close(together, _alone(modules, waveforms), atol=1e-5, rtol=1e-5)


@given(samples=st.integers(800, 4000))
def test_different_waveforms_have_different_logits(modules, samples):
    first, second = _alone(modules, [_waveform(samples, 1), _waveform(samples, 2)])
    assert (first - second).abs().max() > 1e-4


def test_embeddings_are_the_input_of_the_classifier(modules):
    batch, lengths = _batch([_waveform(4000, 1), _waveform(3000, 2)], 0.0)
    with torch.no_grad():
        embeddings = modules["embedding_model"](batch, lengths)
        torch.testing.assert_close(modules["classifier"](embeddings), compute_logits(modules, batch, lengths))
    assert embeddings.shape == (2, 16)


def test_logits_are_single_precision_under_autocast(modules):
    batch, lengths = _batch([_waveform(4000, 1)], 0.0)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert compute_logits(modules, batch, lengths).dtype == torch.float32


def test_training_learns_from_every_module(make_modules):
    modules = make_modules(3)
    batch, lengths = _batch([_waveform(4000, 1), _waveform(3000, 2)], 0.0)
    compute_logits(modules, batch, lengths).square().sum().backward()
    first = modules["embedding_model"].back_end.blocks[0].body[0].weight
    assert first.grad is not None and first.grad.abs().max() > 0
