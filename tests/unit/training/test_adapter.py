"""LoRA adapters in the format of PEFT."""

import json

import numpy as np
import peft
import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.inference.detector import Detector
from antideepfake.lobes import MeanPooling, StatisticsPooling, UtteranceEncoder, Wav2Vec2, assemble_detector
from antideepfake.model_folder import ModelMetadata
from antideepfake.training.adaptation import add_lora, list_lora_layers, merge_lora
from antideepfake.training.adapter import apply_adapter, write_adapter

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TINY |= {"conv_dim": [8, 8], "conv_kernel": [10, 8], "conv_stride": [5, 4]}
TINY |= {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}


def make_base(seed=1, pooling=None):
    torch.manual_seed(seed)
    size = 32 if pooling else 16
    encoder = UtteranceEncoder(Wav2Vec2(pooling is not None, **TINY), pooling or MeanPooling())
    modules = assemble_detector(encoder, torch.nn.Linear(size, 2)).eval()
    return Detector(modules, {"metadata": ModelMetadata(license="MIT")}, {"device": "cpu"})


def train(detector):
    """Change what training with LoRA changes."""
    add_lora(detector.mods["embedding_model"].front_end, rank=4, alpha=12.0)
    with torch.no_grad():
        for name, weight in detector.mods.named_parameters():
            if "lora_" in name or "front_end" not in name:
                weight += 0.3 * torch.randn(weight.shape)


def score(detector, rng):
    return np.array([result.logits for result in detector.score_files([(rng.standard_normal(9000), 16000)])])


@pytest.mark.parametrize("pooling", [None, StatisticsPooling(3)])
def test_base_and_adapter_are_the_merged_model(pooling, tmp_path):
    trained = make_base(pooling=pooling)
    train(trained)
    write_adapter(tmp_path, trained.mods, ModelMetadata(threshold=0.75))
    merge_lora(trained.mods["embedding_model"])
    base = make_base(pooling=StatisticsPooling(3) if pooling else None)
    untrained = score(base, np.random.default_rng(1))
    metadata = apply_adapter(base, tmp_path)
    assert metadata.threshold == 0.75 and not list_lora_layers(base.mods)
    expected, found = (score(detector, np.random.default_rng(1)) for detector in (trained, base))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - untrained).max() > 0.01
    assert base.mods.state_dict().keys() == trained.mods.state_dict().keys()


def test_peft_loads_the_adapter(tmp_path):
    trained = make_base()
    train(trained)
    write_adapter(tmp_path, trained.mods, ModelMetadata())
    merge_lora(trained.mods["embedding_model"])
    modules = torch.nn.ModuleDict({name: make_base().mods[name] for name in ("embedding_model", "classifier")})
    merged = peft.PeftModel.from_pretrained(modules, tmp_path).merge_and_unload()
    for name, value in merged.state_dict().items():
        torch.testing.assert_close(value, trained.mods.state_dict()[name], atol=1e-5, rtol=0)


def test_an_adapter_of_another_base_is_refused(tmp_path):
    trained = make_base()
    train(trained)
    write_adapter(tmp_path, trained.mods, ModelMetadata())
    with pytest.raises(InputError, match="front end of another model"):
        apply_adapter(make_base(seed=2), tmp_path)


def test_an_adapter_of_peft_without_metadata_keeps_what_is_known_of_the_base(tmp_path):
    trained = make_base()
    train(trained)
    write_adapter(tmp_path, trained.mods, ModelMetadata())
    (tmp_path / "metadata.json").unlink()
    metadata = apply_adapter(make_base(), tmp_path)
    assert metadata.license == "MIT" and f"with the adapter {tmp_path.name}" in metadata.provenance


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"peft_type": "LOHA"}, "not a plain LoRA adapter"),
        ({"modules_to_save": None}, "unknown: base_model.model.classifier"),
        ({"r": 2}, "size mismatch"),
        ({"target_modules": ["nothing"]}, "does not fit this model"),
    ],
)
def test_a_malformed_adapter_is_refused(tmp_path, changes, told):
    trained = make_base()
    train(trained)
    write_adapter(tmp_path, trained.mods, ModelMetadata())
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    with pytest.raises(InputError, match=told):
        apply_adapter(make_base(), tmp_path)
    config.unlink()
    with pytest.raises(InputError, match="no adapter_config"):
        apply_adapter(make_base(), tmp_path)
