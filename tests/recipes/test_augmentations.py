"""The YAML of the augmentations, as a recipe takes them."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from speechbrain.augment.preparation import write_csv

from antideepfake.augment.rawboost import RawBoost
from antideepfake.training.hparams import load_hparams

FOLDER = Path(__file__).parents[2] / "hparams" / "augmentations"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture
def recordings(tmp_path, write_audio):
    """A csv of two recordings, which may pass for noises and for impulse responses."""
    files = [write_audio(tmp_path / f"{number}.wav") for number in range(2)]
    write_csv([str(file) for file in files], str(tmp_path / "recordings.csv"))
    return tmp_path / "recordings.csv"


def include(path, recordings):
    line = f"!include:{path}"
    return line + f"\n    augment:\n        csv_file: {recordings}" if "!PLACEHOLDER" in path.read_text() else line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recipe_can_include_it(path, recordings, tmp_path):
    if "VoiceProcessing" in path.read_text():
        pytest.importorskip("webrtc_noise_gain")  # has wheels for Linux only
    (tmp_path / "recipe.yaml").write_text(f"augmentation: {include(path, recordings)}\n")
    augmentation = load_hparams(tmp_path / "recipe.yaml")["augmentation"]
    waveform = 0.1 * torch.randn(16000)
    results = [augmentation(waveform, np.random.default_rng(seed)) for seed in (1, 2, 3, 1)]
    assert all(result.dim() == 1 and torch.isfinite(result).all() for result in results)
    assert torch.equal(results[0], results[3])
    assert any(not torch.equal(result, waveform) for result in results)


def test_a_recipe_can_chain_them(recordings, tmp_path):
    names = ["rawboost", "codecs", "noise"]
    lines = [f"{name}: {include(FOLDER / f'{name}.yaml', recordings)}" for name in names]
    lines += ["augmentation: !new:antideepfake.augment.Compose"]
    lines += ["    augmentations: [!ref <rawboost>, !ref <codecs>, !ref <noise>]", "    probabilities: [1.0, 0.3, 0.5]"]
    (tmp_path / "recipe.yaml").write_text("\n".join(lines) + "\n")
    hparams = load_hparams(tmp_path / "recipe.yaml")
    chain = hparams["augmentation"]
    assert chain.augmentations == [hparams[name] for name in names] and chain.probabilities == [1.0, 0.3, 0.5]
    assert torch.isfinite(chain(torch.randn(16000), np.random.default_rng(1))).all()


def test_rawboost_names_every_parameter_with_its_default(tmp_path):
    text = (FOLDER / "rawboost.yaml").read_text().replace("!new:antideepfake.augment.RawBoost", "")
    (tmp_path / "values.yaml").write_text(text)
    values = load_hparams(tmp_path / "values.yaml")
    parameters = inspect.signature(RawBoost).parameters
    assert dict(values) == {name: parameter.default for name, parameter in parameters.items()}
