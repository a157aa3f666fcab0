"""CTranslate2's model.bin: every type of tensor; anything incomplete is reported."""

import pytest
import torch

from antideepfake.checkpoints.ctranslate2 import TYPES, is_ctranslate2, read_ctranslate2
from antideepfake.errors import InputError


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_every_type_is_read(tmp_path, dtype, write_ctranslate2):
    state = {"a/weight": torch.arange(24).view(2, 3, 4).to(dtype), "b": torch.tensor(7).to(dtype)}
    found = read_ctranslate2(write_ctranslate2(tmp_path / "model.bin", state))
    assert list(found) == ["a/weight", "b"]
    assert all(found[name].dtype == dtype and torch.equal(found[name], value) for name, value in state.items())


def test_integers_are_divided_by_their_scales(tmp_path, write_ctranslate2):
    """Guards against a product: a scale is the factor from weights to integers."""
    state = {
        "row/weight": torch.tensor([[100, -50], [8, 4]], dtype=torch.int8),
        "row/weight_scale": torch.tensor([100.0, 8.0]),
        "conv/weight": torch.tensor([[[4, 2]], [[9, 3]]], dtype=torch.int8),
        "conv/weight_scale": torch.tensor([2.0, 3.0]),
        "one/weight": torch.tensor([[1000, -250]], dtype=torch.int16),
        "one/weight_scale": torch.tensor(1000.0),
    }
    found = read_ctranslate2(write_ctranslate2(tmp_path / "model.bin", state))
    assert {name: value.tolist() for name, value in found.items()} == {
        "row/weight": [[1.0, -0.5], [1.0, 0.5]],
        "conv/weight": [[[2.0, 1.0]], [[3.0, 1.0]]],
        "one/weight": [[1.0, -0.25]],
    }


def test_a_tensor_that_equals_another_has_two_names(tmp_path, write_ctranslate2):
    found = read_ctranslate2(write_ctranslate2(tmp_path / "model.bin", {"a": torch.ones(2)}, [("b", "a")]))
    assert found["b"].tolist() == [1.0, 1.0]


def test_every_incomplete_file_is_reported(tmp_path, write_ctranslate2):
    path = write_ctranslate2(tmp_path / "model.bin", {"a": torch.ones(2), "b": torch.ones(1)}, [("c", "a")])
    data = path.read_bytes()
    for length in range(20, len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"model\.bin: not a complete model of CTranslate2"):
            read_ctranslate2(path)


@pytest.mark.parametrize(
    ("old", "new"), [(b"\x00\x00\x80\x3f", b""), (b"\x01\x02\x00\x00\x00\x00", b"\x01\x02\x00\x00\x00\x09")]
)
def test_a_wrong_size_or_type_is_reported(tmp_path, old, new, write_ctranslate2):
    path = write_ctranslate2(tmp_path / "model.bin", {"a": torch.ones(2)})
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(InputError, match="not a complete model"):
        read_ctranslate2(path)


def test_the_file_is_known_by_its_content(tmp_path, write_ctranslate2):
    assert is_ctranslate2(write_ctranslate2(tmp_path / "model.bin", {}))
    assert not is_ctranslate2(write_ctranslate2(tmp_path / "other.bin", {}, kind="TransformerSpec"))
    torch.save({}, tmp_path / "torch.bin")
    assert not is_ctranslate2(tmp_path / "torch.bin")
