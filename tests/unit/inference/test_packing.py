"""Packed weights compute what the layers computed."""

import itertools

import pytest
import torch

from antideepfake.inference import packing
from antideepfake.inference.packing import PackedLinear, can_pack, copy_for_inference
from antideepfake.lobes.self_supervised import HuBERT, Wav2Vec2, Wav2Vec2BERT, WavLM
from antideepfake.lobes.whisper import Whisper

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


KINDS = [Wav2Vec2, HuBERT, WavLM, Wav2Vec2BERT]


@pytest.mark.skipif(not can_pack(torch.float32), reason="this processor or torch cannot pack")
@pytest.mark.parametrize("all_layers", [False, True])
@pytest.mark.parametrize(("kind", "more"), [(Whisper, {}), *itertools.product(KINDS, [{}, {"hidden_act": "relu"}])])
@torch.inference_mode()
def test_packed_front_ends_give_the_same(kind, all_layers, more):
    front_end = kind(all_layers, **TINY, **more).eval()
    batch, lengths = torch.randn(3, 8000), torch.tensor([1.0, 0.7, 0.3])
    expected, _ = front_end(batch, lengths)
    fast = copy_for_inference(front_end)
    assert any(isinstance(module, PackedLinear) for module in fast.modules())
    found, _ = fast(batch, lengths)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not can_pack(torch.bfloat16), reason="this processor or torch has no fast bfloat16")
@torch.inference_mode()
def test_half_precision_is_packed_too():
    linear = torch.nn.Linear(40, 24).to(torch.bfloat16)
    x = torch.randn(2, 5, 40).to(torch.bfloat16)
    packed = PackedLinear(linear.weight, linear.bias)(x)
    assert packed.dtype == torch.bfloat16
    torch.testing.assert_close(packed, linear(x), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("why", ["no oneDNN", "no operator", "other type"])
def test_where_it_cannot_everything_stays(why, monkeypatch):
    module = torch.nn.Sequential(torch.nn.Linear(4, 4))
    if why == "no oneDNN":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    elif why == "no operator":
        monkeypatch.setattr(packing.torch.ops, "mkldnn", object())
    else:
        module.double()
    assert type(copy_for_inference(module, next(module.parameters()).dtype)[0]) is torch.nn.Linear


@pytest.mark.parametrize("kind", [Wav2Vec2, HuBERT, WavLM, Wav2Vec2BERT])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_the_original_stays_as_it_is(kind, dtype):
    front_end = kind(**TINY).eval()
    waveform = torch.randn(1, 8000)
    kinds = [type(module) for module in front_end.modules()]
    before = {name: (id(value), value.clone()) for name, value in front_end.named_parameters()}
    expected, _ = front_end(waveform, torch.ones(1))
    copy_for_inference(front_end, dtype)
    assert [type(module) for module in front_end.modules()] == kinds
    after = dict(front_end.named_parameters())
    assert list(after) == list(before)
    assert all(id(after[name]) == identity and after[name].equal(value) for name, (identity, value) in before.items())
    torch.testing.assert_close(front_end(waveform, torch.ones(1))[0], expected, rtol=0, atol=0)


def test_weights_that_are_not_packed_are_shared():
    """Guards against a second copy of what need not be copied."""
    front_end = Wav2Vec2(**TINY).eval()
    originals = {name: value.data_ptr() for name, value in front_end.named_parameters()}
    shared = {name: value.data_ptr() for name, value in copy_for_inference(front_end).named_parameters()}
    assert shared.items() <= originals.items()
    if can_pack(torch.float32):
        assert len(shared) < len(originals)
