"""The names of AASIST's tensors: that no two get the same, and which variant they tell."""

import re
from pathlib import Path

import pytest
import torch

from antideepfake.checkpoints.aasist import LEFT_OUT, find_components, rename
from antideepfake.errors import InputError

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"


def read_keys(name):
    """The tensors of a key table, on the meta device."""
    lines = (KEYS / f"{name}.keys.txt").read_text().splitlines()
    return {
        key: torch.empty([int(number) for number in re.findall(r"\d+", shape)], device="meta")
        for key, shape, _ in (line.split("\t") for line in lines)
    }


@pytest.mark.parametrize(("name", "tensors"), [("aasist", 229), ("aasist_l", 229), ("ssl_aasist", 245)])
def test_names_are_unique_and_only_one_norm_is_left_out(name, tensors):
    names = list(read_keys(name))
    assert len(names) == tensors
    left_out = [key for key in names if any(re.fullmatch(pattern, key) for pattern in LEFT_OUT)]
    assert len(left_out) == 25 and all(".bn1." in key for key in left_out)
    ours = {rename(key) for key in names if key not in left_out}
    assert len(ours) == tensors - 25


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("aasist", "AASIST", {"graph_size": 64, "temporal_ratio": 0.7, "branch_ratio": 0.5}),
        ("aasist_l", "AASIST", {"graph_size": 24, "temporal_ratio": 0.5, "branch_ratio": 0.7}),
        ("ssl_aasist", "SSLAASIST", {"n_features": 1024, "projection_size": 128, "attention_size": 128}),
    ],
)
def test_shapes_tell_the_variant(name, kind, settings):
    components = find_components(read_keys(name), "a.pth")
    back_end = components["back_end"]
    assert back_end["class"] == f"antideepfake.lobes.{kind}" and back_end == back_end | settings
    assert ("front_end" in components) == (kind == "AASIST")
    assert components["fixed_length"]["n_samples"] == 64600


@pytest.mark.parametrize("change", [{"GAT_layer_S.att_weight": torch.zeros(48, 1)}, {"pool_hS1.proj.weight": None}])
def test_an_unpublished_variant_and_a_missing_tensor_are_errors(change):
    state = {key: value for key, value in (read_keys("aasist") | change).items() if value is not None}
    with pytest.raises(InputError, match=r"a\.pth: has tensors of AASIST, but is none of"):
        find_components(state, "a.pth")
