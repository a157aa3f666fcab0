"""Model folders that version 0.1 wrote still load."""

import json

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from speechbrain.inference.classifiers import EncoderClassifier

from antideepfake.audio.waveform import read_waveform
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import MeanPooling, UtteranceEncoder, Wav2Vec2

HYPERPARAMS = """# A detector of generated speech. Loads with SpeechBrain's EncoderClassifier.from_hparams.
front_end: !new:antideepfake.lobes.Wav2Vec2
  hidden_size: 16
  num_hidden_layers: 2
  num_attention_heads: 2
  intermediate_size: 32
back_end: !new:antideepfake.lobes.MeanPooling ''
classifier: !new:torch.nn.Linear
  in_features: 16
  out_features: 2

embedding_model: !new:antideepfake.lobes.UtteranceEncoder
  front_end: !ref <front_end>
  back_end: !ref <back_end>
modules:
  compute_features: !new:torch.nn.Identity
  mean_var_norm: !new:antideepfake.lobes.PassThrough
  embedding_model: !ref <embedding_model>
  classifier: !ref <classifier>
model: !new:torch.nn.ModuleDict
  modules: !ref <modules>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
metadata: !new:antideepfake.checkpoints.ModelMetadata
audio_normalizer: !new:antideepfake.dataio.WaveformNormalizer
pretrainer: !new:antideepfake.checkpoints.ModelFolderPretrainer
  loadables:
    model: !ref <model>
    label_encoder: !ref <label_encoder>
    metadata: !ref <metadata>
"""
SETTINGS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONFIG = {
    "front_end": {"class": "antideepfake.lobes.Wav2Vec2", **SETTINGS},
    "back_end": {"class": "antideepfake.lobes.MeanPooling"},
    "classifier": {"class": "torch.nn.Linear", "in_features": 16, "out_features": 2},
}
METADATA = {
    "threshold": 0.5,
    "threshold_source": "equal error rate on the validation set (10.00 %)",
    "training_corpora": ["OwnData"],
    "training_generators": ["world"],
    "provenance": "fine_tuning.yaml, antideepfake 0.1.0, seed 1234",
    "licence": "MIT",
    "classes": ["fake", "real"],
    "calibration": {"method": "logistic", "weights": [2.0], "offset": 1.0},
    "threshold_errors": {"eer": 0.1, "fake": 20, "fnr": 0.1, "fpr": 0.1, "real": 20},
    "previous_threshold": {},
    "training_protocols": [],
}
LABEL_ENCODER = "'fake' => 0\n'real' => 1\n================\n'starting_index' => 0\n"


@pytest.fixture
def old_folder(tmp_path):
    """A model folder of version 0.1, written out as it was."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1))
    (folder / "metadata.json").write_text(json.dumps(METADATA, indent=1))
    (folder / "label_encoder.txt").write_text(LABEL_ENCODER)
    encoder = UtteranceEncoder(Wav2Vec2(**SETTINGS), MeanPooling())
    modules = torch.nn.ModuleDict({"embedding_model": encoder, "classifier": torch.nn.Linear(16, 2)})
    safetensors.torch.save_file(modules.state_dict(), folder / "model.safetensors")
    reference = {"mean": np.zeros(16), "whiten": np.eye(16), "limit": np.zeros(1)}
    reference = {name: value.astype(np.float32) for name, value in reference.items()}
    safetensors.numpy.save_file(reference, folder / "typicality.safetensors")
    return folder


@pytest.mark.parametrize("plain", [True, False], ids=["config.json", "hyperparams.yaml"])
def test_load_detector_reads_them(old_folder, write_audio, tmp_path, plain):
    if not plain:
        (old_folder / "config.json").unlink()
    detector = load_detector(old_folder, trust_code=not plain)
    metadata = detector.hparams.metadata
    assert (metadata.license, metadata.training_attacks, metadata.threshold) == ("MIT", ["world"], 0.5)
    (result,) = detector.score_files(write_audio(tmp_path / "a.wav"))
    assert result.decision == "unsure" and result.calibration([0.5]) == [2.0]


def test_speechbrain_reads_them(old_folder, write_audio, tmp_path):
    path = write_audio(tmp_path / "a.wav")
    classifier = EncoderClassifier.from_hparams(source=str(old_folder), savedir=str(tmp_path / "saved"))
    logits, *_ = classifier.classify_file(str(path))
    (result,) = load_detector(old_folder).score_files(path)
    np.testing.assert_allclose(logits[0], result.logits, atol=1e-5)
    torch.testing.assert_close(classifier.encode_batch(read_waveform(path))[0], torch.from_numpy(result.embedding))
    assert classifier.hparams.metadata.license == "MIT"
