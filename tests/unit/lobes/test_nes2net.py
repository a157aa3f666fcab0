"""Nes2Net: the values of the published modules, without padding."""

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.lobes import Nes2Net

NAMES = ["nes2net", "nes2net_astp", "nes2net_x", "nes2net_x_selu", "nes2net_x_astp"]


@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_published_ones(name, read_vectors, load):
    config, weights, cases = read_vectors(name)
    n_groups, scale = config["nes_ratio"]
    attentive = config["pool"] == "ASTP"
    head = Nes2Net(
        config["channels"],
        n_groups,
        scale,
        config["dilation"],
        config["se_ratio"],
        activation="selu" if "selu" in config["variant"] else "relu",
        pooling="attentive" if attentive else "mean",
        stacked="_x" in config["variant"],
    )
    classifier = torch.nn.Linear(weights["fc.weight"].shape[1], config["outputs"])
    load(classifier, {name: weights.pop(f"fc.{name}") for name in ("weight", "bias")})
    load(head, weights)
    tolerance = 5e-5 if attentive else 1e-5
    for case in cases:
        frames, ones = case["features"], torch.ones(len(case["features"]))
        found = classifier.float()(head.float()(frames, ones))
        torch.testing.assert_close(found, case["logits"], atol=tolerance, rtol=tolerance)
        found = classifier.double()(head.double()(frames.double(), ones))
        tolerance64 = 1e-9 if attentive else 1e-12  # there, the variance is a difference of large numbers
        torch.testing.assert_close(found, case["logits64"], atol=tolerance64, rtol=tolerance64)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "attentive"])
@pytest.mark.parametrize("activation", ["relu", "selu"])
def test_padding_has_no_influence_and_every_weight_learns(stacked, pooling, activation, check_back_end):
    head = Nes2Net(24, 4, 3, pooling=pooling, activation=activation, stacked=stacked)
    check_back_end(head, (20, 24))


def test_several_layers_are_reported():
    with pytest.raises(InputError, match=r"takes one layer, but the front end returns 5; set layer_aggregation"):
        Nes2Net(24, 4, 3)(torch.ones(2, 5, 9, 24), torch.ones(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_groups": 5}, "n_groups is 5; it must be from 2 to 64 and divide n_features, 24"),
        ({"n_groups": 1}, "n_groups is 1"),
        ({"n_groups": 4, "scale": 7}, "scale is 7; with groups of size 6 it must be from 2 to 6"),
        ({"n_groups": 4, "scale": 1}, "scale is 1"),
        ({"n_groups": 4, "scale": 3, "activation": "gelu"}, "activation is 'gelu'; use relu or selu"),
        ({"n_groups": 4, "scale": 3, "pooling": "max"}, "pooling is 'max'; use mean or attentive"),
    ],
)
def test_settings_out_of_range_are_reported(settings, message):
    with pytest.raises(InputError, match=message):
        Nes2Net(24, **settings)


@pytest.mark.parametrize(("stacked", "outputs", "size"), [(False, 1, 510_769), (True, 1, 511_014), (True, 2, 512_039)])
def test_the_size_is_the_published_one(stacked, outputs, size):
    with torch.device("meta"):
        modules = torch.nn.ModuleList([Nes2Net(1024, stacked=stacked), torch.nn.Linear(1024, outputs)])
    assert sum(weight.numel() for weight in modules.parameters()) == size
