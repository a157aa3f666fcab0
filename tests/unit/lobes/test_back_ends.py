"""Back ends: no trace of padding in an embedding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import (
    AttentiveStatisticsPooling,
    ConvolutionalBlock,
    ConvolutionalEncoder,
    LayerStatistics,
    LayerWeightedMeanPooling,
    MeanPooling,
    StatisticsPooling,
)


@pytest.fixture(scope="module")
def encoder(make_modules):
    """An encoder as if trained."""
    return make_modules()["embedding_model"].back_end


@given(frames=st.integers(1, 40), padding=st.integers(0, 40), value=st.sampled_from([0.0, 3.0, -1e5]))
def test_embedding_ignores_padding(encoder, frames, padding, value):
    features = torch.randn(1, frames, 40, generator=torch.Generator().manual_seed(frames))
    padded = torch.cat([features, torch.full((1, padding, 40), value)], 1)
    with torch.no_grad():
        alone = encoder(features, torch.ones(1))
        together = encoder(padded, torch.tensor([frames / (frames + padding)]))
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_block_keeps_padding_zero():
    block = ConvolutionalBlock(1, 4).eval()
    with torch.no_grad():
        for norm in block.norms:
            norm.bias.fill_(1.0)
        mask = torch.tensor([True] * 5 + [False] * 6)[None, None, :, None]
        out = block(torch.randn(1, 1, 11, 8) * mask, mask)
    assert out.shape == (1, 4, 6, 4)
    assert out[:, :, :3].any() and not out[:, :, 3:].any()


def test_order_of_frames_matters(encoder):
    features = torch.randn(1, 30, 40)
    with torch.no_grad():
        there, back = (encoder(x, torch.ones(1)) for x in (features, features.flip(1)))
    assert not torch.allclose(there, back, atol=1e-3)


def test_one_frame_has_a_finite_gradient():
    encoder = ConvolutionalEncoder(10, [4], 8)
    features = torch.randn(2, 1, 10, requires_grad=True)
    encoder(features, torch.ones(2)).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in encoder.parameters() if weight.grad is not None)
    assert torch.isfinite(features.grad).all()


def test_every_weight_learns():
    encoder = ConvolutionalEncoder(20, [4, 6], 8, dropout=0.0)
    encoder(torch.randn(4, 30, 20), torch.tensor([1.0, 0.9, 0.5, 0.3])).square().sum().backward()
    idle = [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    # softmax over time does not see a constant
    assert idle in ([], ["attention.2.bias"])


@given(frames=st.integers(1, 40), padding=st.integers(0, 40), value=st.sampled_from([0.0, 3.0, float("nan")]))
def test_pooling_is_the_mean_without_padding(frames, padding, value):
    features = torch.randn(1, 3, frames, 5, generator=torch.Generator().manual_seed(frames))
    padded = torch.cat([features, torch.full((1, 3, padding, 5), value)], 2)
    length = torch.tensor([frames / (frames + padding)])
    torch.testing.assert_close(MeanPooling()(padded[:, 1], length), features[:, 1].mean(1), atol=1e-5, rtol=1e-5)
    found = LayerWeightedMeanPooling(3)(padded, length)
    torch.testing.assert_close(found, features.mean((1, 2)), atol=1e-5, rtol=1e-5)  # alike at the start


def test_layer_weights_are_a_softmax():
    pooling = LayerWeightedMeanPooling(3)
    with torch.no_grad():
        pooling.layer_weights.copy_(torch.tensor([1.0, 2.0, 4.0]).log())
    states = torch.tensor([7.0, 14.0, 28.0])[None, :, None, None].expand(1, 3, 2, 1)
    assert pooling(states, torch.ones(1)).item() == pytest.approx(1 + 4 + 16)


def test_layer_weights_and_a_linear_classifier_are_the_published_baseline(read_vectors):
    """Its projection and its classifier, both linear, are one linear layer after the mean."""
    _, weights, cases = read_vectors("weighted_mean")
    weights = {name: value.double() for name, value in weights.items()}
    projection, last = weights["projector.weight"], weights["post_net.linear.weight"]
    pooling = LayerWeightedMeanPooling(5).double()
    pooling.load_state_dict({"layer_weights": weights["ssl_model.featurizer.weights"]})
    bias = last @ weights["projector.bias"] + weights["post_net.linear.bias"]
    for case in cases:
        lengths = case["lengths"] / case["hidden"].shape[2]
        logits = pooling(case["hidden"].double(), lengths) @ (last @ projection).T + bias
        torch.testing.assert_close(logits, case["logits64"], atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(logits.float(), case["logits"], atol=1e-5, rtol=1e-5)


def _statistics(kind, n_layers):
    """A pooling of frames of size 5 whose weights are as if trained."""
    pooling = kind(n_layers) if kind is StatisticsPooling else kind(5, n_layers, attention_size=4)
    with torch.no_grad():
        for weight in pooling.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    return pooling


@pytest.mark.parametrize("kind", [StatisticsPooling, AttentiveStatisticsPooling])
@pytest.mark.parametrize("n_layers", [1, 3])
@given(frames=st.integers(1, 40), padding=st.integers(0, 40), value=st.sampled_from([0.0, 3.0, -1e5, float("nan")]))
def test_statistics_ignore_padding(kind, n_layers, frames, padding, value):
    shape = (1, frames, 5) if n_layers == 1 else (1, n_layers, frames, 5)
    states = torch.randn(shape, generator=torch.Generator().manual_seed(frames))
    padded = torch.cat([states, torch.full((*shape[:-2], padding, 5), value)], -2)
    pooling = _statistics(kind, n_layers)
    alone = pooling(states, torch.ones(1))
    together = pooling(padded, torch.tensor([frames / (frames + padding)]))
    assert alone.shape == (1, 10)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_statistics_are_mean_and_standard_deviation():
    frames = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [5.0, 8.0], [99.0, 99.0]]])
    found = StatisticsPooling()(frames, torch.tensor([0.75]))
    assert found[0].tolist() == pytest.approx([3.0, 4.0, (8 / 3) ** 0.5, (32 / 3) ** 0.5], abs=1e-5)


def test_statistics_of_all_layers_are_those_of_their_weighted_sum():
    pooling = StatisticsPooling(n_layers=2)
    with torch.no_grad():
        pooling.layer_sum.layer_weights.copy_(torch.tensor([1.0, 3.0]).log())
    states = torch.tensor([[[[0.0], [4.0]], [[8.0], [0.0]]]])  # 1/4 of the first and 3/4 of the second: 6 and 1
    assert pooling(states, torch.ones(1))[0].tolist() == pytest.approx([3.5, 2.5], abs=1e-5)


def test_attention_weights_the_statistics():
    pooling = AttentiveStatisticsPooling(1, attention_size=1)
    with torch.no_grad():
        for weight in pooling.parameters():
            weight.zero_()
        pooling.attention[0].weight.fill_(100.0)  # the hyperbolic tangent of 100 is 1, that of 0 is 0
        pooling.attention[2].weight.fill_(3.0)
        pooling.attention[2].weight.log_()
    frames = torch.tensor([[[0.0], [4.0]]])  # weights of 1/4 and 3/4: mean 3, variance 9/4 + 3/4
    assert pooling(frames, torch.ones(1))[0].tolist() == pytest.approx([3.0, 3.0**0.5], abs=1e-5)


@pytest.mark.parametrize("kind", [StatisticsPooling, AttentiveStatisticsPooling])
def test_constant_frames_have_a_finite_gradient(kind):
    states = torch.ones(2, 3, 4, 5, requires_grad=True)
    pooling = _statistics(kind, 3)
    pooling(states, torch.tensor([1.0, 0.25])).sum().backward()
    assert torch.isfinite(states.grad).all()
    assert all(torch.isfinite(weight.grad).all() for weight in pooling.parameters())


@pytest.mark.parametrize("kind", [StatisticsPooling, AttentiveStatisticsPooling])
@pytest.mark.parametrize(("n_layers", "shape"), [(1, (2, 3, 4, 5)), (3, (2, 4, 5)), (3, (2, 2, 4, 5))])
def test_another_number_of_layers_is_reported(kind, n_layers, shape):
    with pytest.raises(InputError, match=f"n_layers {n_layers}, but the front end returns .*; set n_layers to"):
        _statistics(kind, n_layers)(torch.ones(shape), torch.ones(2))


@given(frames=st.integers(1, 40), padding=st.integers(0, 40), value=st.sampled_from([0.0, -1e5, float("nan")]))
def test_layer_statistics_ignore_padding(frames, padding, value):
    statistics = LayerStatistics([0, 2], 5).eval()
    states = torch.randn(1, 3, frames, 5, generator=torch.Generator().manual_seed(frames))
    padded = torch.cat([states, torch.full((1, 3, padding, 5), value)], 2)
    alone = statistics(states, torch.ones(1))
    together = statistics(padded, torch.tensor([frames / (frames + padding)]))
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_layer_statistics_are_those_of_the_named_layers():
    states = torch.randn(1, 4, 30, 5)
    chosen = states[0, [1, 3]]
    expected = torch.cat([chosen.mean(1).flatten(), chosen.std(1, correction=0).flatten()])
    found = LayerStatistics([1, 3], 5).eval()(states, torch.ones(1))
    torch.testing.assert_close(found[0], expected, atol=1e-4, rtol=1e-4)


def test_layer_statistics_are_standardized_by_all_of_training():
    statistics = LayerStatistics([0], 5)
    batches = [torch.randn(200, 1, 20, 5) * 3 + 7 for _ in range(5)]
    for batch in batches:
        statistics(batch, torch.ones(200))
    found = statistics.eval()(torch.cat(batches), torch.ones(1000))
    torch.testing.assert_close(found.mean(0), torch.zeros(10), atol=0.01, rtol=0)
    torch.testing.assert_close(found.std(0), torch.ones(10), atol=0.02, rtol=0)


def test_layer_statistics_of_a_batch_of_one_in_training():
    statistics = LayerStatistics([0], 5)
    states = torch.randn(1, 1, 20, 5)
    torch.testing.assert_close(statistics(states, torch.ones(1)), statistics.eval()(states, torch.ones(1)))


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([], (1, 3, 20, 5), "name each layer once"),
        ([1, 1], (1, 3, 20, 5), "name each layer once"),
        ([3], (1, 3, 20, 5), "the front end returns 3"),
        ([0], (1, 20, 5), "set all_layers"),
    ],
)
def test_layers_that_do_not_exist_are_an_error(layers, shape, message):
    with pytest.raises(InputError, match=message):
        LayerStatistics(layers, 5)(torch.zeros(shape), torch.ones(1))
