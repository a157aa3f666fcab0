"""Reading weights, and what is told of a file that holds none."""

import pytest
import safetensors.torch
import torch

from antideepfake.errors import InputError
from antideepfake.model_folder.weights import first_line, raise_system_error, read_safetensors, refuse_text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; download it again"),
        (b"\xef\xbb\xbf \n", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html>\n", "an HTML page"),
        (b"\xef\xbb\xbf\n<HTML lang='en'>", "an HTML page"),
        (b"<?xml version='1.0'?>\n<html>", "an HTML page"),
        (b"<!-- one\nline --> <!-- two --><head>", "an HTML page"),
    ],
)
def test_text_in_place_of_weights_is_refused(tmp_path, content, message):
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.ckpt: {message}"):
        refuse_text(path)


@pytest.mark.parametrize("content", [b"PK\3\4", b"\0", b"<headline>", b"<!-- a comment -->", b"version 2"])
def test_any_other_content_is_left_to_the_reader(tmp_path, content):
    (tmp_path / "a.ckpt").write_bytes(content)
    refuse_text(tmp_path / "a.ckpt")


def test_all_tensors_are_read_with_their_types(tmp_path):
    state = {"a": torch.tensor([[1.5, -2.0]]), "b": torch.tensor([3], dtype=torch.int64), "c": torch.ones(2).half()}
    safetensors.torch.save_file(state, tmp_path / "a.safetensors")
    found = read_safetensors(tmp_path / "a.safetensors")
    assert found.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(found[name], value, atol=0, rtol=0)


@pytest.mark.parametrize("kept", [4, 40, -1])
def test_a_damaged_file_is_named(tmp_path, kept):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors.torch.save({"a": torch.ones(8)})[:kept])
    with pytest.raises(InputError, match=r"a\.safetensors: not a complete safetensors file \(.+\); copy or download"):
        read_safetensors(path)


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.safetensors"):
        read_safetensors(tmp_path / "a.safetensors")


def test_only_system_errors_with_a_file_are_raised_again():
    with pytest.raises(PermissionError):
        raise_system_error(PermissionError(13, "Permission denied", "a.ckpt"))
    raise_system_error(OSError("unexpected end"))
    raise_system_error(ValueError("not a number"))


@pytest.mark.parametrize(
    ("message", "line"), [("one\ntwo", "one"), ("\n  one\n", "one"), ("", "ValueError"), ("x" * 300, "x" * 200)]
)
def test_the_first_line_of_an_error_is_short_and_never_empty(message, line):
    assert first_line(ValueError(message)) == line
