"""tools/convert_checkpoint.py as a user runs it: from a released detector to scores."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from huggingface_hub.utils import filter_repo_objects

from antideepfake.files import lock_output
from antideepfake.inference.detector import load_detector

ROOT = Path(__file__).parents[2]
PARITY = ROOT / "tests" / "fixtures" / "parity"


def _convert(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "convert_checkpoint.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_released_detector_becomes_a_model_folder(tmp_path):
    """The first command of somebody who comes for the published models would fail."""
    source = tmp_path / "mms_300m_anti_deepfake.ckpt"
    source.write_bytes((PARITY / "layernorm.ckpt").read_bytes())
    run = _convert(source, tmp_path / "model", "--num_attention_heads", 4)
    assert run.returncode == 0 and run.stderr == ""
    assert "95 tensors: 87 used, 8 left out" in run.stdout and "codebook" in run.stdout
    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert metadata["threshold"] == 0.0 and "as published" in metadata["threshold_source"]
    assert len(metadata["training_corpora"]) == 29 and metadata["license"] == "CC-BY-NC-SA-4.0"
    assert metadata["provenance"].startswith("nii-yamagishilab/mms-300m-anti-deepfake (Ge, Wang")
    assert "converted from mms_300m_anti_deepfake.ckpt (SHA-256 " in metadata["provenance"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["license"] == "cc-by-nc-sa-4.0"

    detector = load_detector(tmp_path / "model")
    waves = safetensors.torch.load_file(PARITY / "waves.safetensors")
    expected = safetensors.torch.load_file(PARITY / "layernorm.expected.safetensors")
    items = [(waves[f"wave{index}"], 16000) for index in range(3)]
    for index, result in enumerate(detector.score_files(items)):
        # the waves are normalized already; once more changes them by a hundred-thousandth
        np.testing.assert_allclose(result.logits, expected[f"logits{index}"], atol=1e-4)
        np.testing.assert_allclose(result.embedding, expected[f"pooled{index}"], atol=1e-4)

    again = _convert(source, tmp_path / "model", "--num_attention_heads", 4)
    assert again.returncode == 2 and "--overwrite" in again.stderr


def test_what_is_not_known_is_not_claimed(tmp_path):
    """A detector that somebody fine-tuned would carry the license and the corpora of the published ones."""
    run = _convert(PARITY / "hubert.safetensors", tmp_path / "model", "--num_attention_heads", 4)
    assert run.returncode == 0 and "--published" in run.stderr
    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert metadata["training_corpora"] == [] and metadata["license"] == ""


def test_mistakes_are_told_in_a_sentence(tmp_path):
    """A wrong file would end in a traceback, or leave half a folder."""
    state = safetensors.torch.load_file(PARITY / "groupnorm.safetensors")
    encoder = {name: value for name, value in state.items() if "proj_fc" not in name}
    safetensors.torch.save_file(encoder, tmp_path / "encoder.safetensors")
    torch.save({**state, "surprise": torch.ones(1)}, tmp_path / "surprise.pt")
    for source, told in {
        tmp_path / "nothing.ckpt": "no such file",
        PARITY / "groupnorm.safetensors": "number of attention heads",
        tmp_path / "encoder.safetensors": "no detector",
        tmp_path / "surprise.pt": "unknown: surprise",
        PARITY / "waves.safetensors": "not a wav2vec 2.0",
    }.items():
        heads = [] if "heads" in told else ["--num_attention_heads", 4]
        run = _convert(source, tmp_path / "model", *heads)
        assert run.returncode == 2 and told in run.stderr and "Traceback" not in run.stderr
        assert len(run.stderr.splitlines()) == 1 and not (tmp_path / "model").exists()


def test_push_uploads_a_private_repository_with_a_card(tmp_path, monkeypatch, capsys):
    """A model of a license that restricts it would be made public, or a repository be left without a card."""
    calls = []

    class Api:
        def create_repo(self, repo_id, private, exist_ok):
            calls.append(("create", repo_id, private, exist_ok))

        def upload_folder(self, repo_id, folder_path, ignore_patterns):
            files = filter_repo_objects(os.listdir(folder_path), ignore_patterns=ignore_patterns)
            calls.append(("upload", repo_id, sorted(files)))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    source = str(PARITY / "hubert.safetensors")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / ".model.elsewhere.1.part.safetensors").touch()  # of a killed run on another computer
    arguments = [source, str(tmp_path / "model"), "--num_attention_heads", "4", "--push", "someone/detector"]
    monkeypatch.setattr(sys, "argv", ["convert_checkpoint.py", *arguments])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(ROOT / "tools" / "convert_checkpoint.py"), run_name="__main__")
    assert left.value.code == 0
    files = ["README.md", "config.json", "hyperparams.yaml", "label_encoder.txt", "metadata.json", "model.safetensors"]
    assert calls == [("create", "someone/detector", True, True), ("upload", "someone/detector", files)]
    assert 'load_detector("someone/detector")' in (tmp_path / "model" / "README.md").read_text()
    assert "private" in capsys.readouterr().out


def test_a_killed_conversion_goes_on(tmp_path):
    arguments = [PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", 4]
    assert _convert(*arguments).returncode == 0
    for name in ("hyperparams.yaml", "config.json", "README.md"):  # what a kill before the end leaves
        (tmp_path / "model" / name).unlink()
    assert _convert(*arguments).returncode == 0
    load_detector(tmp_path / "model")


def test_a_folder_with_other_files_is_kept(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").touch()
    run = _convert(PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", 4)
    assert run.returncode == 2 and "model: already exists; name another folder or pass --overwrite" in run.stderr


def test_two_conversions_into_one_folder_are_refused(tmp_path):
    with lock_output(tmp_path / "model"):
        run = _convert(PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", 4)
    assert run.returncode == 2 and "another run is writing it" in run.stderr


@pytest.mark.parametrize("heads", [-4, 0, 5])
def test_impossible_numbers_of_heads_are_refused(tmp_path, heads):
    run = _convert(PARITY / "layernorm.ckpt", tmp_path / "model", "--num_attention_heads", heads)
    assert run.returncode == 2 and "num_attention_heads" in run.stderr and len(run.stderr.splitlines()) == 1
