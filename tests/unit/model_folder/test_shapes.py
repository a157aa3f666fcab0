"""Shapes of weights, read without the weights."""

import pytest

from antideepfake.errors import InputError
from antideepfake.model_folder.shapes import read_shapes


def test_shapes_are_those_of_the_tensors(model_folder):
    assert read_shapes(model_folder)["classifier.weight"] == [2, 16]


def test_damaged_weights_are_refused(tmp_path):
    with pytest.raises(InputError, match="not the weights of a model folder"):
        read_shapes(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not the weights of a model folder"):
        read_shapes(tmp_path)
