"""The model folder: loads here and in SpeechBrain, and tells what is wrong with a spoilt one."""

import contextlib
import copy
import errno
import json
import os
import re
import shutil
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from speechbrain.inference.classifiers import EncoderClassifier

from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.lobes.self_supervised import Wav2Vec2
from antideepfake.model_folder.folder import build_modules, load_modules, write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import OOD_DETECTOR, is_unfinished
from antideepfake.training.hparams import load_hparams


@pytest.fixture
def spoilt(tmp_path, model_folder):
    """A copy of the model folder, to be spoilt."""
    return shutil.copytree(model_folder, tmp_path / "model")


def test_round_trip_through_speechbrain(tmp_path, model_folder, write_audio):
    paths = [write_audio(tmp_path / f"{n}.wav", rate=rate) for n, rate in enumerate((16000, 44100, 8000))]
    classifier = EncoderClassifier.from_hparams(source=str(model_folder), savedir=str(tmp_path / "saved"))
    for path, ours in zip(paths, load_detector(model_folder).score_files(paths), strict=True):
        logits, best, index, (label,) = classifier.classify_file(str(path))
        torch.testing.assert_close(logits[0], torch.tensor(ours.logits), atol=1e-5, rtol=1e-5)
        assert best.item() == pytest.approx(max(ours.logits), abs=1e-5)
        assert label == ("real" if ours.score > 0 else "fake") == ["fake", "real"][index.item()]


def test_weights_survive_a_round_trip(model_folder, make_modules):
    expected, found = make_modules(), load_detector(model_folder).mods
    for name, module in expected.items():
        state = found[name].state_dict()
        assert list(state) == list(module.state_dict())
        for key, value in module.state_dict().items():
            torch.testing.assert_close(state[key], value, atol=0, rtol=0)


def test_metadata_survive_a_round_trip(model_folder):
    metadata = load_detector(model_folder).hparams.metadata
    assert metadata == ModelMetadata(threshold=0.25, training_corpora=["Mini"], training_attacks=["world"])


def test_loading_changes_neither_the_folder_nor_the_working_directory(model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(model_folder))
    load_detector(model_folder)
    assert sorted(os.listdir(model_folder)) == before
    assert os.listdir(tmp_path) == []


def test_a_relative_folder_loads(model_folder, monkeypatch):
    monkeypatch.chdir(model_folder.parent)
    assert load_detector("model").hparams.metadata.threshold == 0.25


def test_a_moved_folder_loads(tmp_path, spoilt):
    shutil.move(spoilt, tmp_path / "elsewhere")
    assert load_detector(tmp_path / "elsewhere").hparams.metadata.threshold == 0.25


def test_other_keys_of_the_training_are_left_out(tmp_path, make_modules, detector_yaml):
    yaml = f"data_folder: /home/me/secret\nsize: 40\n{detector_yaml}".replace(
        "n_features: 40", "n_features: !ref <size>"
    )
    (tmp_path / "train.yaml").write_text(yaml)
    settings = load_hparams(tmp_path / "train.yaml").settings
    write_model_folder(tmp_path / "model", settings, make_modules(), ModelMetadata())
    assert "secret" not in (tmp_path / "model" / "hyperparams.yaml").read_text()
    load_detector(tmp_path / "model")


def test_a_missing_component_is_an_error(tmp_path, make_modules, detector_yaml):
    with pytest.raises(InputError, match="names no classifier"):
        write_model_folder(tmp_path / "m", detector_yaml.split("classifier")[0], make_modules(), ModelMetadata())
    assert not (tmp_path / "m").exists()


NAMES = ["config.json", "model.safetensors", "label_encoder.txt", "metadata.json", "hyperparams.yaml"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["missing", "empty", "half"])
def test_a_missing_or_truncated_file_is_an_error(spoilt, name, fault):
    path = spoilt / name
    if name == "hyperparams.yaml":
        (spoilt / "config.json").unlink()
    content = path.read_bytes()
    path.unlink()
    if fault != "missing":
        path.write_bytes(content[: len(content) // 2] if fault == "half" else b"")
    with pytest.raises(InputError) as raised:
        load_detector(spoilt, trust_code=name == "hyperparams.yaml")
    assert name in str(raised.value)


def _change_weights(folder, change):
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    change(weights)
    safetensors.torch.save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "tensor"),
    [
        (lambda weights: weights.update({"classifier.bias": torch.zeros(3)}), "classifier.bias"),
        (
            lambda weights: weights.pop("embedding_model.back_end.output.0.weight"),
            "embedding_model.back_end.output.0.weight",
        ),
        (lambda weights: weights.update({"stray": torch.zeros(1)}), "stray"),
    ],
)
def test_weights_of_another_model_are_named(spoilt, change, tensor):
    _change_weights(spoilt, change)
    with pytest.raises(InputError) as raised:
        load_detector(spoilt)
    assert tensor in str(raised.value) and "model.safetensors" in str(raised.value)


def test_non_finite_weights_are_an_error(spoilt):
    _change_weights(spoilt, lambda weights: weights["classifier.bias"].fill_(float("nan")))
    with pytest.raises(InputError, match=r"classifier\.bias"):
        load_detector(spoilt)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["real", "fake"]},
        {"classes": ["fake", "real", "partial"]},
        {"unknown": 1},
        {"threshold": "high"},
        {"threshold": None},
        {"threshold": float("nan")},
    ],
)
def test_wrong_metadata_are_an_error(spoilt, change):
    path = spoilt / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=r"metadata\.json"):
        load_detector(spoilt)


def test_wrong_classes_in_the_label_encoder_are_an_error(spoilt):
    path = spoilt / "label_encoder.txt"
    path.write_text(path.read_text().replace("fake", "?").replace("real", "fake").replace("?", "real"))
    with pytest.raises(InputError, match=r"label_encoder\.txt"):
        load_detector(spoilt)


@pytest.mark.parametrize("name", ["", "nothing_there", "model.safetensors"])
def test_other_folders_are_an_error(spoilt, name):
    (spoilt / "hyperparams.yaml").unlink()
    (spoilt / "config.json").unlink()
    with pytest.raises(InputError, match="not a model folder"):
        load_detector(spoilt / name)


def test_pickles_are_never_loaded(tmp_path, spoilt):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save(Bomb(), spoilt / "model.safetensors")
    with pytest.raises(InputError, match="not a complete safetensors file"):
        load_detector(spoilt)
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_leaves_an_incomplete_folder(tmp_path, make_modules, detector_yaml, monkeypatch):
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_model_folder(tmp_path / "m", detector_yaml, make_modules(), ModelMetadata())
    assert os.listdir(tmp_path / "m") == ["label_encoder.txt"]
    with pytest.raises(InputError, match="not a model folder"):
        load_detector(tmp_path / "m")


def test_weights_that_do_not_fit_are_an_error_of_the_system(tmp_path, make_modules, detector_yaml, small_disk):
    modules = make_modules()
    modules["classifier"] = torch.nn.Linear(16, 20_000)
    with pytest.raises(OSError, match="File too large"):
        write_model_folder(tmp_path / "m", detector_yaml, modules, ModelMetadata())
    assert os.listdir(tmp_path / "m") == ["label_encoder.txt"]


def test_a_failed_overwrite_never_mixes_two_models(tmp_path, make_modules, detector_yaml, monkeypatch):
    write_model_folder(tmp_path / "m", detector_yaml, make_modules(1), ModelMetadata(threshold=1.0))
    monkeypatch.setattr(json, "dump", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_model_folder(tmp_path / "m", detector_yaml, make_modules(2), ModelMetadata(threshold=2.0))
    monkeypatch.undo()
    try:
        detector = load_detector(tmp_path / "m")
    except InputError:
        return  # incomplete, and reported as such
    torch.testing.assert_close(detector.mods["classifier"].bias, make_modules(1)["classifier"].bias)


def test_loading_runs_no_code_of_the_folder(tmp_path, spoilt):
    bomb = f"x: !apply:os.mkdir [{tmp_path / 'ran'}]\n"
    (spoilt / "hyperparams.yaml").write_text(bomb + (spoilt / "hyperparams.yaml").read_text())
    load_detector(spoilt)
    (spoilt / "config.json").unlink()
    with pytest.raises(InputError, match=r"no config\.json, and its hyperparams\.yaml can run code"):
        load_detector(spoilt)
    assert not (tmp_path / "ran").exists()
    load_detector(spoilt, trust_code=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["os.system", "torch.load", "antideepfake.lobes.compute_logits", "antideepfake.errors.run_program", "", 5]
)
def test_a_config_can_name_only_lobes(spoilt, name):
    config = json.loads((spoilt / "config.json").read_text())
    config["back_end"] = {"class": name}
    (spoilt / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json: "):
        load_detector(spoilt)


def test_plain_data_is_enough(spoilt, model_folder):
    (spoilt / "hyperparams.yaml").unlink()
    samples = [(np.random.default_rng(1).standard_normal(8000), 16000)]
    (found,), (expected,) = (load_detector(folder).score_files(samples) for folder in (spoilt, model_folder))
    assert found == expected


@pytest.fixture
def own_head(tmp_path, monkeypatch):
    """A class of a user's own that can be imported."""
    (tmp_path / "own_head.py").write_text(
        "from antideepfake.lobes import ConvolutionalEncoder\nclass OwnHead(ConvolutionalEncoder):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_head.OwnHead"
    sys.modules.pop("own_head", None)


def test_a_module_from_elsewhere_is_named_at_export_and_needs_trust(
    tmp_path, make_modules, detector_yaml, own_head, caplog
):
    own = detector_yaml.replace("antideepfake.lobes.ConvolutionalEncoder", own_head)
    write_model_folder(tmp_path / "m", own, make_modules(), ModelMetadata())
    assert "without config.json" in caplog.text and own_head in caplog.text and "--trust_code" in caplog.text
    with pytest.raises(InputError, match="trust_code"):
        load_detector(tmp_path / "m")
    load_detector(tmp_path / "m", trust_code=True)


def test_library_classes_are_found_under_any_of_their_names(tmp_path, make_modules, detector_yaml, caplog):
    own = detector_yaml.replace("lobes.ConvolutionalEncoder", "lobes.back_ends.ConvolutionalEncoder")
    own = own.replace("torch.nn.Linear", "torch.nn.modules.linear.Linear")
    write_model_folder(tmp_path / "m", own, make_modules(), ModelMetadata())
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["back_end"]["class"] == "antideepfake.lobes.ConvolutionalEncoder"
    assert config["classifier"]["class"] == "torch.nn.Linear" and caplog.text == ""
    load_detector(tmp_path / "m")


def test_every_folder_has_a_model_card(model_folder):
    card = (model_folder / "README.md").read_text()
    assert "0.25" in card and "Mini" in card and "Do not rely on this detector alone" in card


def test_the_ood_detector_of_an_earlier_model_is_deleted(tmp_path, make_modules, detector_yaml):
    (tmp_path / OOD_DETECTOR).touch()
    write_model_folder(tmp_path, detector_yaml, make_modules(), ModelMetadata())
    assert not (tmp_path / OOD_DETECTOR).exists()


@pytest.mark.parametrize("step", range(6))
def test_a_folder_whose_writing_was_killed_is_unfinished(tmp_path, make_modules, detector_yaml, monkeypatch, step):
    replace, done = os.replace, []

    def killed(*paths):
        if len(done) == step:
            raise SystemExit
        done.append(paths)
        replace(*paths)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit):
        write_model_folder(tmp_path / "m", detector_yaml, make_modules(), ModelMetadata())
    assert is_unfinished(tmp_path / "m")
    monkeypatch.undo()
    write_model_folder(tmp_path / "m", detector_yaml, make_modules(), ModelMetadata())
    assert not is_unfinished(tmp_path / "m")
    load_detector(tmp_path / "m")


def test_numbers_in_a_config_have_a_numeric_type(tmp_path, make_modules, detector_yaml):
    own = detector_yaml.replace("embedding_size: 16", "embedding_size: 16\n    dropout: 1e-3")
    write_model_folder(tmp_path / "m", own, make_modules(), ModelMetadata())
    assert json.loads((tmp_path / "m" / "config.json").read_text())["back_end"]["dropout"] == 0.001


def test_a_padded_batch_through_speechbrain(model_folder, tmp_path):
    classifier = EncoderClassifier.from_hparams(source=str(model_folder), savedir=str(tmp_path / "saved"))
    waveforms = [torch.randn(8000), torch.randn(3000)]
    batch = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    together = classifier.classify_batch(batch, torch.tensor([1.0, 3000 / 8000]))[0]
    alone = torch.cat([classifier.classify_batch(waveform)[0] for waveform in waveforms])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_front_end_loaded_from_elsewhere_is_written_out(tmp_path):
    source = Wav2Vec2(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, conv_bias=True)
    source.model.save_pretrained(tmp_path / "source")
    (tmp_path / "train.yaml").write_text(
        f"""
front_end: !apply:antideepfake.checkpoints.key_mapping.load_front_end
    source: {tmp_path / "source"}
    all_layers: true
back_end: !new:antideepfake.lobes.LayerWeightedMeanPooling
    n_layers: 3
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    back_end: !ref <back_end>
classifier: !new:torch.nn.Linear
    in_features: 32
    out_features: 2
"""
    )
    hparams = load_hparams(tmp_path / "train.yaml")
    write_model_folder(tmp_path / "model", hparams.settings, hparams, ModelMetadata())
    shutil.rmtree(tmp_path / "source")
    detector = load_detector(tmp_path / "model")
    front_end = detector.mods["embedding_model"].front_end
    assert front_end.architecture == source.architecture and front_end.all_layers
    EncoderClassifier.from_hparams(source=str(tmp_path / "model"), savedir=None)


def test_other_users_can_read_the_folder(model_folder):
    modes = {path.name: path.stat().st_mode for path in model_folder.iterdir()}
    assert len(set(modes.values())) == 1, modes


ALL_LAYERS = {
    "class": "antideepfake.lobes.Whisper",
    "all_layers": True,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
CONFIGS = {
    "filters": {
        "front_end": {"class": "antideepfake.lobes.LogFilterBank", "n_filters": 20, "window_ms": 25.0, "hop_ms": 10.0},
        "back_end": {
            "class": "antideepfake.lobes.ConvolutionalEncoder",
            "n_features": 20,
            "channels": [4, 4],
            "embedding_size": 16,
            "dropout": 0.1,
        },
        "classifier": {"class": "torch.nn.Linear", "in_features": 16, "out_features": 2},
    },
    "encoder": {
        "front_end": {
            "class": "antideepfake.lobes.Wav2Vec2",
            "all_layers": True,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "conv_dim": [8] * 7,
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
            "conv_stride": [5, 2, 2, 2, 2, 2, 2],
            "num_conv_pos_embedding_groups": 4,
            "layer_norm_eps": 1e-5,
            "hidden_act": "gelu",
            "conv_bias": True,
        },
        "back_end": {"class": "antideepfake.lobes.LayerWeightedMeanPooling", "n_layers": 3},
        "classifier": {"class": "antideepfake.lobes.OneClassClassifier", "in_features": 16},
    },
    "whisper": {
        "front_end": {
            "class": "antideepfake.lobes.Whisper",
            "all_layers": True,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "num_mel_bins": 40,
        },
        "back_end": {
            "class": "antideepfake.lobes.AttentiveStatisticsPooling",
            "n_features": 16,
            "n_layers": 3,
            "attention_size": 4,
        },
        "classifier": {"class": "torch.nn.Linear", "in_features": 32, "out_features": 2},
    },
    "mhfa": {
        "front_end": ALL_LAYERS,
        "back_end": {
            "class": "antideepfake.lobes.MHFA",
            "n_layers": 3,
            "n_features": 16,
            "n_heads": 4,
            "compression_size": 6,
            "embedding_size": 10,
            "gradient_factor": 0.1,
            "center_features": True,
        },
        "classifier": {"class": "antideepfake.lobes.BatchNormClassifier", "in_features": 10},
    },
    "nes2net": {
        "front_end": ALL_LAYERS,
        "layer_aggregation": {"class": "antideepfake.lobes.SEA", "n_layers": 3},
        "back_end": {
            "class": "antideepfake.lobes.Nes2Net",
            "n_features": 16,
            "n_groups": 2,
            "scale": 4,
            "dilation": 1,
            "se_ratio": 4,
            "activation": "relu",
            "pooling": "mean",
            "stacked": True,
        },
        "classifier": {"class": "antideepfake.lobes.CosineClassifier", "in_features": 16},
    },
    "ecapa": {
        "front_end": ALL_LAYERS,
        "layer_aggregation": {"class": "antideepfake.lobes.AttM", "n_layers": 3, "n_features": 16},
        "back_end": {
            "class": "antideepfake.lobes.ECAPA",
            "n_features": 16,
            "channels": 8,
            "embedding_size": 10,
            "attention_size": 4,
            "se_size": 4,
            "scale": 4,
        },
        "classifier": {"class": "torch.nn.Linear", "in_features": 10, "out_features": 2},
    },
    "sls": {
        "fixed_length": {"class": "antideepfake.lobes.FixedLength", "n_samples": 64600},
        "front_end": ALL_LAYERS,
        "back_end": {"class": "antideepfake.lobes.SLS", "n_features": 16, "n_frames": 201, "embedding_size": 10},
        "classifier": {"class": "antideepfake.lobes.SELUClassifier", "in_features": 10},
    },
}
ABSURD = [
    0,
    -1,
    1.5,
    10**9,
    2**40,
    10**400,
    float("nan"),
    float("inf"),
    1e300,
    True,
    None,
    "1",
    "",
    [],
    {},
    [[1]],
    [0] * 7,
]


def _load_config(folder, config):
    """Load the config, as the detector does, on the weights of an untouched one."""
    (folder / "config.json").write_text(json.dumps(config))
    load_modules(folder)


def _write_weights(folder):
    """Write weights that fit the config."""
    state = build_modules(folder / "config.json").to_empty(device="cpu").state_dict()
    state = {name: torch.ones_like(weight) for name, weight in state.items()}
    safetensors.torch.save_file(state, folder / "model.safetensors")


@pytest.fixture(params=CONFIGS)
def config(request, tmp_path):
    """A config.json in ``tmp_path`` with weights that fit it."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[request.param]))
    _write_weights(tmp_path)
    return copy.deepcopy(CONFIGS[request.param])


def test_absurd_settings_are_errors(tmp_path, config):
    _load_config(tmp_path, config)
    accepted = set()
    parts = {part: own for part, own in config.items() if own != ALL_LAYERS}  # which "whisper" tests
    for part, name, value in [(part, name, value) for part, own in parts.items() for name in own for value in ABSURD]:
        changed = copy.deepcopy(config)
        changed[part][name] = value
        try:
            _load_config(tmp_path, changed)
            accepted.add((name, value))
        except InputError as error:
            assert re.match(r"\S+(config\.json|model\.safetensors): ", str(error))
            assert "\n" not in str(error) and len(str(error)) < 2000
    # of the right type, in range, and without an influence on the shape of any weight
    harmless = {("hop_ms", 1.5), ("dropout", 0), ("layer_norm_eps", 0), ("layer_norm_eps", 1.5)}
    harmless |= {("gradient_factor", 0), ("gradient_factor", 1.5)}
    harmless |= {(name, True) for name in ("all_layers", "conv_bias", "center_features", "stacked")}
    assert accepted <= harmless


@pytest.mark.parametrize("seed", range(3))
def test_mutated_configs_load_or_are_errors(tmp_path, config, seed):
    rng = np.random.default_rng(seed)
    parts = list(config)
    for _ in range(60):
        changed = copy.deepcopy(config)
        for _ in range(rng.integers(1, 4)):
            part = changed[parts[rng.integers(len(parts))]]
            names = list(part)
            kind = rng.integers(4)
            if kind == 0 and names:
                part.pop(names[rng.integers(len(names))])
            elif kind == 1:
                part[f"unknown{rng.integers(9)}"] = ABSURD[rng.integers(len(ABSURD))]
            elif kind == 2:
                part["class"] = changed[parts[rng.integers(len(parts))]].get("class", "x")
            elif names:
                value = int(rng.integers(1, 30))
                name = names[rng.integers(len(names))]
                part[name] = [value] * 7 if isinstance(part[name], list) else value
        with contextlib.suppress(InputError):
            _load_config(tmp_path, changed)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"front_end": {"class": ' + "[" * 100_000,
        "[]",
        "{}",
        "\xff",
        json.dumps(CONFIGS["filters"] | {"back_end": 1}),
        json.dumps(CONFIGS["filters"] | {"further": 1}),
    ],
)
def test_malformed_configs_are_errors(tmp_path, text):
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"config\.json: "):
        build_modules(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("front_end", {"class": "antideepfake.lobes.MeanPooling"}, "the front_end is a antideepfake.lobes.MeanPooling"),
        ("back_end", {"class": "torch.nn.Linear"}, "the back_end is a torch.nn.Linear"),
        (
            "classifier",
            {"class": "antideepfake.lobes.PassThrough"},
            "the classifier is a antideepfake.lobes.PassThrough",
        ),
        ("front_end", {"n_filters": 21}, "do not match"),
        ("classifier", {"in_features": 15}, "do not match"),
        ("classifier", {"out_features": 3}, "must have 2 outputs"),
        ("classifier", {"device": "cuda"}, "no setting device"),
        ("front_end", {"n_filters": 60_000}, "n_filters is 60000; a window of 25.0 ms allows 1 to 257"),
        ("front_end", {"hop_ms": 0}, "hop_ms is 0"),
    ],
)
def test_invalid_components_are_errors(tmp_path, part, change, message):
    config = copy.deepcopy(CONFIGS["filters"])
    config[part] = change if "class" in change else config[part] | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=rf"config\.json: .*{re.escape(message)}"):
        _write_weights(tmp_path)
        load_modules(tmp_path)


def test_a_label_encoder_that_is_not_utf8_is_an_error(spoilt):
    (spoilt / "label_encoder.txt").write_bytes(b"'fake' => 0\n\xff")
    with pytest.raises(InputError, match=r"label_encoder\.txt: not the classes"):
        load_detector(spoilt)


def test_a_git_lfs_pointer_among_the_files_is_named(spoilt):
    (spoilt / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(InputError, match=r"model\.safetensors: a Git LFS pointer.*git lfs pull"):
        load_detector(spoilt)
