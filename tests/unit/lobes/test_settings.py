"""Settings are checked before anything is built."""

import pytest

from antideepfake.errors import InputError
from antideepfake.lobes.settings import check_settings

KINDS = {"size": int, "share": float, "bias": bool, "kind": str, "sizes": list[int]}


def test_settings_in_range_pass():
    settings = {"size": 1, "share": 0, "bias": False, "kind": None, "sizes": (3, 65536)}
    check_settings("Module", settings, KINDS)
    check_settings("Module", {}, KINDS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("size", value) for value in (0, -1, 65537, 1.0, True, "1", None)),
        *(("share", value) for value in (-0.1, float("nan"), float("inf"), 10**400, True, "0.1", None)),
        *(("bias", value) for value in (0, 1, "true", None)),
        *(("kind", value) for value in (1, "x" * 100, ["a"])),
        *(("sizes", value) for value in ([], [0], [1] * 33, 3, "12", [True], [[1]])),
    ],
)
def test_settings_of_the_wrong_type_or_range_are_named(name, value):
    with pytest.raises(InputError, match=rf"Module: {name} is .*; it must be "):
        check_settings("Module", {name: value}, KINDS)


def test_unknown_settings_are_named():
    with pytest.raises(InputError, match="Module has no setting other; it has size, share"):
        check_settings("Module", {"other": 1}, KINDS)


def test_every_layer_is_built_so_their_number_is_limited():
    """Guards against a config.json that takes minutes to refuse."""
    check_settings("Module", {"num_hidden_layers": 256}, {"num_hidden_layers": int})
    with pytest.raises(InputError, match="num_hidden_layers is 257; it must be a whole number from 1 to 256"):
        check_settings("Module", {"num_hidden_layers": 257}, {"num_hidden_layers": int})


def test_a_number_of_samples_may_be_larger_than_a_size():
    check_settings("Module", {"n_samples": 28_800_000}, {"n_samples": int})
    with pytest.raises(InputError, match="n_samples is 28800001; it must be a whole number from 1 to 28800000"):
        check_settings("Module", {"n_samples": 28_800_001}, {"n_samples": int})


def test_layers_count_from_0():
    check_settings("Module", {"layers": [0, 256]}, {"layers": list[int]})
    with pytest.raises(InputError, match=r"layers is .*; it must be a list of 1 to 32 whole numbers from 0 to 256"):
        check_settings("Module", {"layers": [257]}, {"layers": list[int]})
