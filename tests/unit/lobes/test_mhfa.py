"""MHFA: the values of the published module, without padding."""

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.lobes import MHFA, BatchNormClassifier


@pytest.fixture
def published(read_vectors, load):
    """The module with and without centering, its classifier, and the cases."""
    config, weights, cases = read_vectors("mhfa")
    sizes = config["L"], config["D"], config["heads"], config["compression"], config["embed"]
    own = {name: value for name, value in weights.items() if not name.startswith("projection.")}
    modules = [load(MHFA(*sizes, center_features=center), own) for center in (False, True)]
    names = {"projection.trans.0.": "norm.", "projection.trans.2.": "linear."}
    classifier = load(
        BatchNormClassifier(config["embed"]),
        {new + name.removeprefix(old): weights[name] for name in weights for old, new in names.items() if old in name},
    )
    return *modules, classifier, cases


def test_values_are_the_published_ones(published):
    plain, centered, classifier, cases = published
    for case in cases:
        states, ones = case["x"].permute(0, 3, 2, 1), torch.ones(len(case["x"]))
        embedding = plain(states, ones)
        close = {"atol": 1e-5, "rtol": 1e-5}
        torch.testing.assert_close(embedding, case["embedding"], **close)
        torch.testing.assert_close(classifier(embedding), case["logits"], **close)
        torch.testing.assert_close(plain.attended_frames(states, ones), case["frame_emb"], **close)
        torch.testing.assert_close(centered(states, ones), case["embedding_centred"], **close)
        torch.testing.assert_close(classifier(centered(states, ones)), case["logits_centred"], **close)


def test_values_in_double_precision_are_the_published_ones(published):
    plain, _, classifier, cases = published
    for case in cases:
        states, ones = case["x"].double().permute(0, 3, 2, 1), torch.ones(len(case["x"]))
        embedding = plain.double()(states, ones)
        torch.testing.assert_close(embedding, case["embedding64"], atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(classifier.double()(embedding), case["logits64"], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("center_features", [False, True])
def test_padding_has_no_influence_and_every_weight_learns(center_features, check_back_end):
    check_back_end(MHFA(3, 5, 4, 6, 7, center_features=center_features), (3, 12, 5))


def test_attended_frames_are_zero_in_the_padding():
    frames = MHFA(3, 5, 4, 6, 7).attended_frames(torch.randn(2, 3, 8, 5), torch.tensor([1.0, 0.5]))
    assert frames.shape == (2, 8, 6)
    assert frames[0].all() and frames[1, :4].all() and not frames[1, 4:].any()


def test_the_factor_scales_the_gradient_of_the_front_end_alone():
    gradients = []
    states = torch.randn(2, 3, 8, 5)
    for factor in (1.0, 0.1):
        torch.manual_seed(1)
        pooling = MHFA(3, 5, 4, 6, 7, gradient_factor=factor)
        own = states.clone().requires_grad_()
        (pooling(own, torch.ones(2)).sum() + own.sum()).backward()
        gradients.append((own.grad - 1, pooling.weights_v.grad))
    torch.testing.assert_close(gradients[1][0], 0.1 * gradients[0][0], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(gradients[1][1], gradients[0][1])


@pytest.mark.parametrize("shape", [(2, 4, 8, 5), (2, 8, 5)])
def test_another_number_of_layers_is_reported(shape):
    with pytest.raises(InputError, match=r"n_layers 3, but the front end returns .*; set n_layers to"):
        MHFA(3, 5)(torch.ones(shape), torch.ones(2))


def test_the_size_is_the_published_one():
    with torch.device("meta"):
        assert sum(weight.numel() for weight in MHFA(25, 1024).parameters()) == 1_315_410
        assert sum(weight.numel() for weight in MHFA(13, 768, n_heads=8).parameters()) == 460_322
