"""SLS: the values of the published module, for one length only."""

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.lobes import SLS, FixedLength, SELUClassifier, UtteranceEncoder, Wav2Vec2


@pytest.fixture
def published(read_vectors, load):
    """The module, its classifier, and the cases."""
    config, weights, cases = read_vectors("sls")
    classifier = {name: weights.pop(name) for name in ("fc3.weight", "fc3.bias")}
    head = load(SLS(config["D"], n_frames=12, embedding_size=config["hidden"]), weights)
    return head, load(SELUClassifier(config["hidden"]), classifier), cases


def test_values_are_the_published_ones(published):
    head, classifier, cases = published
    for case in cases:
        first = torch.full_like(case["hidden"][:, :1], 1e5)  # the input of the first layer is not used
        states, ones = torch.cat([first, case["hidden"]], 1), torch.ones(len(first))
        found = classifier.float()(head.float()(states, ones))
        torch.testing.assert_close(found, case["logprobs"], atol=1e-5, rtol=1e-5)
        found = classifier.double()(head.double()(states.double(), ones))
        torch.testing.assert_close(found, case["logprobs64"], atol=1e-12, rtol=1e-12)


def test_every_weight_learns():
    head = SLS(6, n_frames=12, embedding_size=8)
    states = torch.randn(4, 3, 12, 6, requires_grad=True)
    head(states, torch.ones(4)).square().sum().backward()
    assert all(weight.grad.any() for weight in head.parameters())
    assert states.grad[:, 1:].any()


@pytest.mark.parametrize("value", [0.0, -1e5, torch.nan])
def test_padding_counts_as_zeros(value):
    head = SLS(6, n_frames=12, embedding_size=8).eval()
    states = torch.randn(2, 3, 12, 6)
    states[1, :, 9:] = value
    lengths = torch.tensor([1.0, 9 / 12])
    found = head(states, lengths)
    torch.testing.assert_close(found[1:], head(states[1:], lengths[1:]))
    states[1, :, 9:] = 7.0
    torch.testing.assert_close(head(states, lengths), found)


def test_a_fixed_length_fits():
    tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    front_end = Wav2Vec2(all_layers=True, conv_dim=[8] * 7, **tiny)
    encoder = UtteranceEncoder(front_end, SLS(16, embedding_size=8), fixed_length=FixedLength()).eval()
    waveforms = torch.randn(2, 70_000)
    lengths = torch.tensor([1.0, 0.1])
    with torch.no_grad():
        together = encoder(waveforms, lengths)
        torch.testing.assert_close(encoder(waveforms[1:, :7000], torch.ones(1)), together[1:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("frames", "message"), [(11, "returns 11; set fixed_length"), (15, "returns 15; set fixed_l")])
def test_another_length_is_reported(frames, message):
    with pytest.raises(InputError, match=message):
        SLS(6, n_frames=12)(torch.ones(2, 3, frames, 6), torch.ones(2))


def test_one_layer_is_reported():
    with pytest.raises(InputError, match="set all_layers of the front end to True"):
        SLS(6, n_frames=12)(torch.ones(2, 12, 6), torch.ones(2))


def test_sizes_below_the_pooling_are_reported():
    with pytest.raises(InputError, match="n_features is 2"):
        SLS(2)


def test_the_size_is_the_published_one():
    with torch.device("meta"):
        modules = torch.nn.ModuleList([SLS(1024), SELUClassifier(1024)])
    assert sum(weight.numel() for weight in modules.parameters()) == 23_399_429
