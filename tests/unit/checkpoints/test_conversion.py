"""From a checkpoint of a detector to its model folder."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from antideepfake.checkpoints.conversion import convert_checkpoint, find_published
from antideepfake.checkpoints.key_mapping import read_checkpoint
from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.published import PublishedDetector

SOURCE = Path(__file__).parents[2] / "fixtures" / "parity" / "layernorm.safetensors"
DETECTOR = PublishedDetector(
    name="tiny-anti-deepfake",
    owner="lab",
    front_end="mms_300m",
    parameters=1,
    corpora=("MLS", "CFAD"),
    paper="Author 2026",
    license="CC-BY-4.0",
)


@pytest.mark.parametrize("name", ["tiny-anti-deepfake", "Tiny_Anti_Deepfake", "elsewhere/tiny-anti-deepfake"])
def test_a_hub_id_or_folder_is_found_by_its_last_name(name):
    assert find_published(name, {DETECTOR.name: DETECTOR}) is DETECTOR


def test_a_file_is_found_by_its_name_without_suffix(tmp_path):
    (tmp_path / "tiny_anti_deepfake.ckpt").touch()
    (tmp_path / "tiny.v2").mkdir()
    assert find_published(str(tmp_path / "tiny_anti_deepfake.ckpt"), {DETECTOR.name: DETECTOR}) is DETECTOR
    assert find_published(str(tmp_path / "tiny.v2"), {"tiny": DETECTOR}) is None  # a folder has no suffix
    assert find_published("tiny-anti-deepfake.ckpt", {DETECTOR.name: DETECTOR}) is None  # no such file


def test_the_folder_has_the_weights_of_the_checkpoint(tmp_path):
    checkpoint, _ = convert_checkpoint(str(SOURCE), tmp_path / "model", num_attention_heads=4)
    state = safetensors.torch.load_file(SOURCE)
    again = read_checkpoint(tmp_path / "model")
    assert again.kind is checkpoint.kind and again.settings == again.settings | checkpoint.settings
    assert again.encoder.keys() == checkpoint.encoder.keys()
    for name, value in checkpoint.encoder.items():
        torch.testing.assert_close(again.encoder[name], value.float(), atol=0, rtol=0)
    for name in ("weight", "bias"):
        torch.testing.assert_close(again.classifier[name], state[f"proj_fc.{name}"], atol=0, rtol=0)


def test_the_metadata_of_a_published_detector_name_its_data_and_license(tmp_path):
    checkpoint, metadata = convert_checkpoint(str(SOURCE), tmp_path / "model", DETECTOR, 4, hub_id="me/mine")
    assert metadata.threshold == 0.0 and "not calibrated" in metadata.threshold_source
    assert metadata.training_corpora == ["MLS", "CFAD"] and metadata.license == "CC-BY-4.0"
    assert metadata.provenance == (f"lab/tiny-anti-deepfake (Author 2026), converted from {checkpoint.provenance}")
    saved = ModelMetadata()
    saved.load(tmp_path / "model" / "metadata.json")
    assert saved == metadata
    assert 'load_detector("me/mine")' in (tmp_path / "model" / "README.md").read_text()


def test_an_unknown_detector_has_no_corpora_and_no_license_and_is_loaded_from_its_folder(tmp_path):
    folder = tmp_path / "model"
    checkpoint, metadata = convert_checkpoint(str(SOURCE), folder, num_attention_heads=4)
    assert metadata.training_corpora == [] and metadata.license == ""
    assert metadata.provenance == f"converted from {checkpoint.provenance}"
    assert f'load_detector("{folder}")' in (folder / "README.md").read_text()
    assert load_detector(folder).hparams.metadata == metadata


def test_an_encoder_without_a_classifier_is_an_error_that_names_the_way_out(tmp_path):
    state = safetensors.torch.load_file(SOURCE)
    encoder = {name: value for name, value in state.items() if not name.startswith("proj_fc")}
    safetensors.torch.save_file(encoder, tmp_path / "encoder.safetensors")
    with pytest.raises(InputError, match=r"encoder\.safetensors: .*not a detector.*load_pretrained"):
        convert_checkpoint(str(tmp_path / "encoder.safetensors"), tmp_path / "model", num_attention_heads=4)
    assert not (tmp_path / "model").exists()
