"""From files to tensors: whole, and without running anything."""

import argparse
import json
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from antideepfake.checkpoints.loading import fetch_folder, read_weights
from antideepfake.errors import InputError

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}


def _same(found, expected=STATE):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=0, rtol=0)


@pytest.fixture(params=["a.safetensors", "a.ckpt", "a.pt", "a.pth", "pytorch_model.bin"])
def file(request, tmp_path):
    """A checkpoint in every format."""
    path = tmp_path / "files" / request.param
    path.parent.mkdir()
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(STATE, path)
    else:
        torch.save(STATE, path)
    return path


def test_every_format_alone_and_in_a_folder(file):
    _same(read_weights(file).state)
    _same(read_weights(file.parent).state)
    assert file.name in read_weights(file).provenance


def test_provenance_distinguishes_files(file, tmp_path):
    other = tmp_path / file.name
    other.write_bytes(file.read_bytes())
    assert read_weights(file).provenance == read_weights(other).provenance
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.ckpt")
    assert read_weights(tmp_path / "a.ckpt").provenance != read_weights(file).provenance


@pytest.mark.parametrize("old_format", [False, True])
def test_under_model_with_settings(tmp_path, old_format):
    namespace = argparse.Namespace(encoder_attention_heads=4)
    for name, content in {"cfg": {"model": {"encoder_attention_heads": 4}}, "args": namespace}.items():
        path = tmp_path / f"{name}.pt"
        torch.save({"model": STATE, name: content}, path, _use_new_zipfile_serialization=not old_format)
        weights = read_weights(path)
        _same(weights.state)
        assert weights.config["encoder_attention_heads"] == 4


def test_fairseq_dictionary_is_passed_over(tmp_path, monkeypatch):
    module = types.ModuleType("fairseq.data.dictionary")
    module.Dictionary = type("Dictionary", (), {"__module__": module.__name__})
    for name in ("fairseq", "fairseq.data", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    dictionary = module.Dictionary()
    dictionary.symbols = ["a", "b"]
    torch.save({"model": STATE, "task_state": {"dictionaries": [dictionary]}}, tmp_path / "hubert.pt")
    monkeypatch.undo()
    _same(read_weights(tmp_path / "hubert.pt").state)


def test_a_folder_with_several_needs_an_index(tmp_path):
    safetensors.torch.save_file({"a": STATE["a"]}, tmp_path / "model-1.safetensors")
    safetensors.torch.save_file({"b": STATE["b"]}, tmp_path / "model-2.safetensors")
    with pytest.raises(InputError, match=r"several checkpoints \(model-1.safetensors, model-2.safetensors\)"):
        read_weights(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    _same(read_weights(tmp_path).state)


def test_the_folders_config_comes_along(tmp_path):
    safetensors.torch.save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    assert read_weights(tmp_path).config == {"model_type": "hubert"}
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: damaged"):
        read_weights(tmp_path)


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("place", ["top", "beside", "within"])
@pytest.mark.parametrize("old_format", [False, True])
def test_objects_are_not_unpickled(tmp_path, place, old_format):
    bomb = _Bomb(str(tmp_path / "ran"))
    content = {"top": bomb, "beside": {"model": STATE, "x": bomb}, "within": {**STATE, "x": bomb}}[place]
    path = tmp_path / "a.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(InputError, match=r"a\.ckpt: contains objects other than tensors \(\w+\.mkdir\)"):
        read_weights(path)
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=r"a\.ckpt: "):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_truncated_files_are_reported(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=file.name):
        read_weights(file)


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {"model": {"a": "text"}}, {"state": STATE}, {}, STATE["a"]])
def test_content_other_than_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=r"a\.ckpt: .*(not|contains)"):
        read_weights(tmp_path / "a.ckpt")


def test_missing_files_are_reported(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read_weights(tmp_path / "nothing.ckpt")
    with pytest.raises(InputError, match="contains no weights"):
        read_weights(tmp_path)


def test_a_hub_id_is_fetched(tmp_path, monkeypatch):
    safetensors.torch.save_file(STATE, tmp_path / "model.safetensors")
    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: asked.append((name, options)) or str(tmp_path)
    )
    weights = read_weights("nii-yamagishilab/mms-300m-anti-deepfake")
    _same(weights.state)
    assert asked[0][0] == "nii-yamagishilab/mms-300m-anti-deepfake"
    assert "model.safetensors" in [pattern.replace("*", "model") for pattern in asked[0][1]["allow_patterns"]]
    assert weights.provenance.startswith("nii-yamagishilab/mms-300m-anti-deepfake (SHA-256")


@pytest.mark.parametrize("source", ["results/model", "a/b/c", "./x", "/x/y", "~/x", "x"])
def test_a_path_is_never_sought_on_the_hub(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    assert fetch_folder(source, ("*",)) == Path(source)


def test_an_unreachable_hub_is_reported(monkeypatch):
    def refuse(*_, **__):
        raise LocalEntryNotFoundError("no connection\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(InputError, match=r"someone/x: not a local folder, .*\(no connection\)$"):
        read_weights("someone/x")


WRAPPED = {
    "DistributedDataParallel": {f"module.{name}": value for name, value in STATE.items()},
    "torch.compile": {f"_orig_mod.{name}": value for name, value in STATE.items()},
    "both": {f"module._orig_mod.{name}": value for name, value in STATE.items()},
    "a wrapped submodule": {"a": STATE["a"], "module.b": STATE["b"]},
    "Lightning": {"state_dict": {f"model.{name}": value for name, value in STATE.items()}, "epoch": 1},
    "state_dict": {"state_dict": STATE, "epoch": 1, "optimizer": {"state": {}}},
    "model_state_dict": {"model_state_dict": STATE, "epoch": 1},
    "net": {"net": STATE},
    "numbers of numpy": {**STATE, "eer": np.float64(0.1), "step": np.int64(3), "losses": np.zeros(2)},
    "numbers of numpy within": {"model": {**STATE, "eer": np.float32(0.1)}, "loss": np.float64(1)},
}


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("wrapper", WRAPPED)
def test_prefixes_of_training_wrappers_are_removed(tmp_path, wrapper, old_format):
    torch.save(WRAPPED[wrapper], tmp_path / "a.ckpt", _use_new_zipfile_serialization=not old_format)
    _same(read_weights(tmp_path / "a.ckpt").state)


def test_prefixes_of_wrappers_are_removed_from_safetensors(tmp_path):
    safetensors.torch.save_file(WRAPPED["both"], tmp_path / "a.safetensors")
    _same(read_weights(tmp_path / "a.safetensors").state)


def test_a_tensor_with_and_without_a_wrapper_is_refused(tmp_path):
    torch.save({**STATE, "module.a": STATE["a"]}, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=r"a\.ckpt: contains a with and without"):
        read_weights(tmp_path / "a.ckpt")


@pytest.mark.parametrize("name", ["a.safetensors", "a.ckpt", "a.pt", "a.pth", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1263448816\n", "git lfs pull"),
        ("<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page, not a checkpoint; download the file itself"),
        ("\ufeff\n<html lang='en'>", "an HTML page"),
        ("<?xml version='1.0'?>\n<!-- x --><HTML>", "an HTML page"),
        ("", "empty"),
    ],
)
def test_text_files_in_place_of_a_checkpoint_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        read_weights(tmp_path / name)


def _mutate(content, rng):
    """Change, insert or remove some bytes, at the places that decide rather than in the data."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(len(content)))
        kind = rng.integers(4)
        if kind == 0:
            content[place] = rng.integers(256)
        elif kind == 1:
            content[place : place + 4] = rng.choice([b"\xff" * 4, b"\x00" * 4, b"\x7f" * 4])
        elif kind == 2:
            del content[place : place + rng.integers(1, 9)]
        else:
            content[place:place] = rng.bytes(rng.integers(1, 9))
    return bytes(content)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.filterwarnings("ignore")  # torch's, of protocols that a mutation made up
def test_mutated_files_load_or_are_refused_in_a_sentence(tmp_path, kind):
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pt")
    if kind == "safetensors":
        safetensors.torch.save_file(STATE, path)
    else:
        torch.save({"model": STATE, "cfg": {"a": 1.5}}, path, _use_new_zipfile_serialization=kind == "zip")
    content, rng, refused = path.read_bytes(), np.random.default_rng(1), 0
    for _ in range(300):
        path.write_bytes(_mutate(content, rng))
        try:
            read_weights(path)
        except InputError as error:
            assert "\n" not in str(error) and path.name in str(error)
            refused += 1
    assert refused > 60


def test_tensors_that_would_unfold_to_terabytes_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"a": torch.ones(1).expand(1 << 20, 1 << 20)}, path)
    with pytest.raises(InputError, match="a is not a plain tensor"):
        read_weights(path)
    torch.save({"a": torch.empty(3, device="meta")}, path)
    with pytest.raises(InputError, match="a is not a plain tensor"):
        read_weights(path)


def test_compressed_archives_are_refused(tmp_path):
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as plain, zipfile.ZipFile(tmp_path / "b.pt", "w", 8) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(InputError, match="exceed that of the file"):
        read_weights(tmp_path / "b.pt")


@pytest.mark.parametrize("text", ["[" * 100_000, "5", "[1]", '"' + "x" * (5 << 20) + '"', "\xff"])
def test_a_config_that_is_not_an_object_is_refused(tmp_path, text):
    safetensors.torch.save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"config\.json: damaged"):
        read_weights(tmp_path)
