"""Aggregation of layers: the values of the published modules, without padding, in front of any back end."""

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import SEA, AttM, LayerSum, MeanPooling, UtteranceEncoder, Wav2Vec2
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata

MODULES = {
    "layers_sea": lambda config: SEA(config["L"]),
    "layers_attm": lambda config: AttM(config["L"], config["D"]),
    "layers_weightedsum": lambda config: LayerSum(config["L"]),
}
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
YAML = """
front_end: !new:antideepfake.lobes.Wav2Vec2
back_end: !new:antideepfake.lobes.MeanPooling
layer_aggregation: !new:antideepfake.lobes.{aggregation}
classifier: !new:torch.nn.Linear {{in_features: 16, out_features: 2}}
"""


@pytest.mark.parametrize("name", MODULES)
def test_values_are_the_published_ones(name, read_vectors, load):
    config, weights, cases = read_vectors(name)
    weights = {key.replace("weight_hidd", "layer_weights"): value for key, value in weights.items()}
    module = load(MODULES[name](config), weights)
    for case in cases:
        hidden, ones = case["hidden"], torch.ones(len(case["hidden"]))
        torch.testing.assert_close(module.float()(hidden, ones), case["out"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(module.double()(hidden.double(), ones), case["out64"], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("module", [SEA(7), AttM(7, 5), LayerSum(7)])
def test_padding_has_no_influence_and_every_weight_learns(module, check_back_end):
    check_back_end(module, (7, 12, 5))


@pytest.mark.parametrize("module", [SEA(7), AttM(7, 5), LayerSum(7)])
@pytest.mark.parametrize("shape", [(2, 6, 4, 5), (2, 4, 5)])
def test_another_number_of_layers_is_reported(module, shape):
    with pytest.raises(InputError, match=r"n_layers 7, but the front end returns .*; set n_layers to"):
        module(torch.ones(shape), torch.ones(2))


def test_too_few_layers_are_reported():
    with pytest.raises(InputError, match="SEA: n_layers is 2; it must be 3 or more"):
        SEA(2)
    with pytest.raises(InputError, match="AttM: n_layers is 1; it must be 2 or more"):
        AttM(1, 5)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_sums_are_in_single_precision(half):
    assert SEA(3)(torch.randn(1, 3, 4, 5, dtype=half), torch.ones(1)).dtype == torch.float32


@pytest.mark.parametrize("aggregation", ["SEA {n_layers: 3}", "AttM {n_layers: 3, n_features: 16}"])
def test_a_line_puts_it_in_front_of_a_back_end(tmp_path, rng, aggregation):
    module = SEA(3) if aggregation.startswith("SEA") else AttM(3, 16)
    encoder = UtteranceEncoder(Wav2Vec2(all_layers=True, **TINY), MeanPooling(), module)
    modules = {"embedding_model": encoder.eval(), "classifier": torch.nn.Linear(16, 2)}
    write_model_folder(tmp_path, YAML.format(aggregation=aggregation), modules, ModelMetadata())
    detector = load_detector(tmp_path)
    signals = [(rng.standard_normal(samples), 16000) for samples in (8000, 5000)]
    results = list(detector.score_files(signals))
    for signal, result in zip(signals, results, strict=True):
        assert next(detector.score_files([signal])).score == pytest.approx(result.score, abs=1e-5)
        waveform = torch.from_numpy(signal[0]).float()[None]
        expected = encoder(torch.nn.functional.layer_norm(waveform, waveform.shape[1:]), torch.ones(1))
        torch.testing.assert_close(torch.as_tensor(result.embedding), expected[0].detach(), atol=1e-4, rtol=1e-4)
