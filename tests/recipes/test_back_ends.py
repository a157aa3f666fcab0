"""The YAML of each back end on a tiny front end: a detector learns, and its model folder gives the same scores."""

from pathlib import Path

import pytest
import torch

from antideepfake.inference.detector import load_detector
from antideepfake.lobes import compute_logits
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.training.hparams import load_hparams
from antideepfake.training.settings import build_detector

FOLDER = Path(__file__).parents[2] / "hparams" / "back_ends"
LINEAR = "!new:torch.nn.Linear {{in_features: {size}, out_features: 2}}"
SEA = "layer_aggregation: !new:antideepfake.lobes.SEA {n_layers: 3}"
ATTM = "layer_aggregation: !new:antideepfake.lobes.AttM {n_layers: 3, n_features: 16}"
LAYER_SUM = "layer_aggregation: !new:antideepfake.lobes.LayerSum {n_layers: 3}"
FIXED_LENGTH = "fixed_length: !new:antideepfake.lobes.FixedLength {n_samples: 4045}"  # 201 frames of the front end
# Name of a YAML, its settings, size of the embeddings, whether it takes all layers, classifier, further keys.
CASES = [
    ("aasist", "n_features: 16\nchannels: [4, 6]", 160, False, LINEAR, FIXED_LENGTH),
    ("aasist_l", "n_features: 16\nchannels: [4, 6]", 160, False, LINEAR, FIXED_LENGTH),
    ("attentive_statistics", "n_features: 16", 32, False, LINEAR, ""),
    ("convolutional", "n_features: 16", 128, False, LINEAR, ""),
    ("ecapa", "n_features: 16\nchannels: 16", 192, False, LINEAR, ""),
    (
        "ecapa",
        "n_features: 16\nchannels: 16",
        192,
        True,
        "!new:antideepfake.lobes.CosineClassifier {{in_features: {size}}}",
        ATTM,
    ),
    ("frame_level", "n_features: 16\nn_layers: 3", 128, True, LINEAR, ""),
    ("layer_statistics", "layers: [1, 2]\nn_features: 16", 64, True, LINEAR, ""),
    ("layer_weighted_mean", "n_layers: 3", 16, True, LINEAR, ""),
    (
        "mhfa",
        "n_layers: 3\nn_features: 16",
        256,
        True,
        "!new:antideepfake.lobes.BatchNormClassifier {{in_features: {size}}}",
        "",
    ),
    ("nes2net", "n_features: 16\nscale: 2", 16, False, LINEAR, ""),
    ("nes2net_x", "n_features: 16\nscale: 2\npooling: attentive", 32, True, LINEAR, SEA),
    (
        "sls",
        "n_features: 16",
        1024,
        True,
        "!new:antideepfake.lobes.SELUClassifier {{in_features: {size}}}",
        FIXED_LENGTH,
    ),
    ("ssl_aasist", "n_features: 16\nchannels: [4, 6]", 160, False, LINEAR, FIXED_LENGTH),
    ("statistics", "", 32, True, LINEAR, LAYER_SUM),
]


def test_every_back_end_is_tested():
    assert {name for name, *_ in CASES} == {path.stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[3]}")
def test_a_detector_learns_and_its_model_folder_scores(case, tiny_front_end, tmp_path, rng):
    name, settings, size, all_layers, classifier, further = case
    settings = "".join(f"\n    {line}" for line in settings.splitlines())
    (tmp_path / "recipe.yaml").write_text(
        f"front_end: !include:{tiny_front_end}\n    all_layers: {all_layers}\n"
        f"back_end: !include:{FOLDER / name}.yaml{settings}\n"
        f"classifier: {classifier.format(size=size)}\n{further}\n"
        "start_from: null\nfrozen_layers: 0\nlora_rank: null\ngradient_checkpointing: false\n"
    )
    hparams = load_hparams(tmp_path / "recipe.yaml")
    modules = torch.nn.ModuleDict(build_detector(hparams)).train()
    optimizer = torch.optim.Adam(modules.parameters(), lr=0.001)
    before = {name: weight.clone() for name, weight in modules.named_parameters()}
    for count in (4, 1):
        optimizer.zero_grad()
        logits = compute_logits(modules, torch.randn(count, 5000), torch.linspace(1, 0.7, count))
        torch.nn.functional.cross_entropy(logits, torch.arange(count) % 2).backward()
        optimizer.step()
    assert all(torch.isfinite(weight).all() for weight in modules.parameters())
    changed = [name for name, weight in modules.named_parameters() if not torch.equal(weight, before[name])]
    assert any("back_end" in name for name in changed) or name in ("statistics", "layer_statistics")
    assert any("front_end" in name for name in changed) and any("classifier" in name for name in changed)

    write_model_folder(tmp_path / "model", hparams.settings, modules.eval(), ModelMetadata())
    detector = load_detector(tmp_path / "model")
    signals = [(rng.standard_normal(samples), 16000) for samples in (6000, 3000, 4100)]
    with torch.no_grad():
        for signal, result in zip(signals, list(detector.score_files(signals)), strict=True):
            waveform = torch.from_numpy(signal[0]).float()
            waveform = torch.nn.functional.layer_norm(waveform, waveform.shape)[None]
            expected = compute_logits(modules, waveform, torch.ones(1))[0]
            torch.testing.assert_close(torch.tensor(result.logits), expected, atol=1e-4, rtol=1e-4)
