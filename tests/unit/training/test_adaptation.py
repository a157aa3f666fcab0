"""Freezing, checkpointing, LoRA and layer-wise rates: gradients where they belong, results as they were."""

import copy
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import self_supervised
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.lobes.front_ends import LogFilterBank
from antideepfake.lobes.self_supervised import HuBERT, Wav2Vec2, Wav2Vec2BERT, WavLM
from antideepfake.lobes.whisper import Whisper
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.training.adaptation import (
    adapt,
    add_lora,
    checkpoint_gradients,
    freeze_layers,
    merge_lora,
    parameter_groups,
)
from antideepfake.training.hparams import load_hparams

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": [8] * 7}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
ALL = {
    "wav2vec 2.0": (Wav2Vec2, TINY | CONVOLUTIONS),
    "wav2vec 2.0, stable": (Wav2Vec2, TINY | CONVOLUTIONS | STABLE),
    "HuBERT": (HuBERT, TINY | CONVOLUTIONS),
    "HuBERT, stable": (HuBERT, TINY | CONVOLUTIONS | STABLE),
    "WavLM": (WavLM, TINY | CONVOLUTIONS),
    "WavLM, stable": (WavLM, TINY | CONVOLUTIONS | STABLE),
    "w2v-BERT": (Wav2Vec2BERT, TINY),
    "Whisper, stable": (Whisper, TINY),
}
BATCH = (torch.randn(2, 5000, generator=torch.Generator().manual_seed(1)), torch.tensor([1.0, 0.7]))


def _build(name, **more):
    kind, settings = ALL[name]
    return kind(**settings, **more).train()


def _gradients(front_end):
    """Gradients of a sum that no normalization makes constant, with the same dropout at every call."""
    torch.manual_seed(2)
    frames, _ = front_end(*BATCH)
    weights = torch.randn(frames.shape, generator=torch.Generator().manual_seed(3))
    front_end.zero_grad()
    (frames * weights).sum().backward()
    return {name: weight.grad for name, weight in front_end.named_parameters() if weight.grad is not None}


def _assert_same(found, expected):
    assert list(found) == list(expected)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-5, msg=name)


# Freezing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_layers", [0, 1, 2])
def test_frozen_weights_get_no_gradient_and_no_graph(name, n_layers):
    front_end = _build(name)
    layers = front_end.model.encoder.layers
    seen = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].requires_grad))
    freeze_layers(front_end, n_layers)
    frames, _ = front_end(*BATCH)
    # into the first layer that is trained goes nothing with a graph, unless the positions below it are trained
    has_positions = name not in ("w2v-BERT", "Whisper, stable") and n_layers == 0
    assert seen == [has_positions or index > n_layers for index in range(2)]
    trained = {key for key, weight in front_end.model.named_parameters() if weight.requires_grad}
    assert not any(key.startswith(("feature_extractor.", "feature_projection.")) for key in trained)
    for index, layer in enumerate(layers):
        assert all(weight.requires_grad == (index >= n_layers) for weight in layer.parameters())
    above = {key for key in trained if ".layers." not in key}
    if n_layers:
        assert all(key.startswith("encoder.layer_norm.") for key in above)
        assert bool(above) == ("stable" in name)
    assert frames.requires_grad == bool(trained)


def test_frozen_weights_stay_through_a_training_step():
    front_end = _build("wav2vec 2.0, stable")
    freeze_layers(front_end, 1)
    before = copy.deepcopy(front_end.model.state_dict())
    optimizer = torch.optim.AdamW(front_end.parameters(), lr=0.1, weight_decay=0.1)
    _gradients(front_end)
    optimizer.step()
    moved = {key for key, value in front_end.model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved and all(key.startswith(("encoder.layers.1.", "encoder.layer_norm.")) for key in moved)


@pytest.mark.parametrize("n_layers", [-1, 3])
def test_too_many_layers_are_reported(n_layers):
    with pytest.raises(InputError, match=f"cannot freeze {n_layers} layers: Wav2Vec2 has 2"):
        freeze_layers(_build("wav2vec 2.0"), n_layers)


@pytest.mark.parametrize("adapt", [lambda x: freeze_layers(x, 1), checkpoint_gradients, add_lora])
def test_a_front_end_without_layers_is_reported(adapt):
    with pytest.raises(InputError, match="LogFilterBank has no layers"):
        adapt(LogFilterBank())


# Checkpointing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("frozen", [None, 0, 1])
def test_checkpointed_gradients_are_the_same(name, frozen, monkeypatch):
    monkeypatch.setattr(self_supervised, "CPU_CHUNK", 6)  # three chunks
    kinds = ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout")
    dropout = {kind: 0.2 for kind in kinds if kind in ALL[name][0].defaults()}
    front_end = _build(name, **dropout, layerdrop=0.3)
    if frozen is not None:
        freeze_layers(front_end, frozen)
    expected = _gradients(front_end)
    checkpoint_gradients(front_end)
    found = _gradients(front_end)
    assert found and not set(found) - {key for key, weight in front_end.named_parameters() if weight.requires_grad}
    _assert_same(found, expected)


@pytest.mark.parametrize("name", ALL)
def test_all_layers_can_be_returned_with_checkpointing(name):
    front_end = _build(name, all_layers=True)
    expected = _gradients(front_end)
    checkpoint_gradients(front_end)
    assert front_end(*BATCH)[0].shape[1] == 3
    _assert_same(_gradients(front_end), expected)


class _Kept:
    """A tensor that the graph holds."""

    def __init__(self, tensor):
        self.tensor = tensor


def _kept(front_end):
    """Bytes that are kept for the gradients after a pass, weights left out."""
    alive = weakref.WeakSet()

    def keep(tensor):
        kept = _Kept(tensor)
        alive.add(kept)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept.tensor):
        frames, _ = front_end(*BATCH)
    weights = {weight.untyped_storage().data_ptr() for weight in front_end.parameters()}
    storages = [kept.tensor.untyped_storage() for kept in alive]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages if storage.data_ptr() not in weights}
    del frames
    return sum(sizes.values())


@pytest.mark.parametrize("name", ALL)
def test_checkpointing_and_freezing_keep_less(name, monkeypatch):
    monkeypatch.setattr(self_supervised, "CPU_CHUNK", 6)
    whole, frozen, checkpointed, both = (_build(name) for _ in range(4))
    for front_end in (frozen, both):
        freeze_layers(front_end, 1)
    for front_end in (checkpointed, both):
        checkpoint_gradients(front_end)
    assert _kept(checkpointed) < 0.3 * _kept(whole)
    assert _kept(frozen) < 0.5 * _kept(whole)
    assert _kept(both) < 0.2 * _kept(frozen)


def test_nothing_is_computed_twice_in_evaluation():
    front_end = _build("wav2vec 2.0").eval()
    kept = _kept(front_end)
    checkpoint_gradients(front_end)
    assert _kept(front_end) == kept


# LoRA -------------------------------------------------------------------------------------------------------------


def _train_lora(front_end):
    """As if trained: none of the matrices is zero."""
    with torch.no_grad():
        for key, weight in front_end.named_parameters():
            if "lora_" in key:
                weight.normal_(std=0.2)
    return front_end


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("all_layers", [False, True])
def test_lora_is_added_and_merged(name, all_layers):
    front_end = _build(name, all_layers=all_layers).eval()
    names, settings, architecture = list(front_end.state_dict()), front_end.settings, front_end.architecture
    plain = front_end(*BATCH)[0]
    add_lora(front_end, rank=2)
    torch.testing.assert_close(front_end(*BATCH)[0], plain)  # B is zero at the start
    _train_lora(front_end)
    for _ in range(2):  # before, after
        assert (front_end.settings, front_end.architecture) == (settings, architecture)
        assert front_end.dtype == torch.float32 and front_end.all_layers == all_layers
        trained = front_end(*BATCH)[0]
        merge_lora(front_end)
    merged = front_end(*BATCH)[0]
    assert (trained - plain).abs().max() > 1e-2
    torch.testing.assert_close(merged, trained, atol=1e-5, rtol=1e-5)
    assert list(front_end.state_dict()) == names
    assert not any("lora" in type(module).__module__ for module in front_end.modules())
    again = type(front_end)(all_layers, **front_end.settings).eval()
    again.load_state_dict(front_end.state_dict())
    torch.testing.assert_close(again(*BATCH)[0], merged)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("checkpointed", [False, True])
def test_every_lora_matrix_learns_and_nothing_else(name, checkpointed):
    front_end = _build(name)
    add_lora(front_end, rank=2)
    _train_lora(front_end)
    if checkpointed:
        checkpoint_gradients(front_end)
    found = _gradients(front_end)
    assert len(found) == 2 * 4 * 2  # layers, linear layers of attention, A and B
    assert all("lora_" in key and gradient.any() for key, gradient in found.items())
    assert {key for key, weight in front_end.named_parameters() if weight.requires_grad} == set(found)


def test_lora_with_dropout_and_checkpointing_has_the_same_gradients():
    front_end = _build("wav2vec 2.0")
    add_lora(front_end, dropout=0.5)
    _train_lora(front_end)
    expected = _gradients(front_end)
    checkpoint_gradients(front_end)
    _assert_same(_gradients(front_end), expected)


def test_lora_is_scaled_by_alpha_and_rank():
    front_end = _build("wav2vec 2.0")
    query = front_end.model.encoder.layers[0].attention.q_proj
    before = query.weight.detach().clone()
    add_lora(front_end, rank=4, alpha=6.0, target_modules=["q_proj"])
    _train_lora(front_end)
    adapter = front_end.model.encoder.layers[0].attention.q_proj
    down, up = adapter.lora_A["default"].weight, adapter.lora_B["default"].weight
    assert down.shape == (4, 16) and up.shape == (16, 4)
    expected = before + 6.0 / 4 * up @ down
    merge_lora(front_end)
    torch.testing.assert_close(query.weight, expected)


def test_lora_with_layers_frozen_begins_above_them():
    front_end = _build("wav2vec 2.0")
    add_lora(front_end)
    freeze_layers(front_end, 1)
    assert {key.split(".")[3] for key in _gradients(front_end)} == {"1"}


def test_a_yaml_asks_for_all_at_once():
    front_end = Wav2Vec2(**TINY)
    adapt(front_end, frozen_layers=1, lora_rank=2, gradient_checkpointing=True)
    trained = [name for name, weight in front_end.named_parameters() if weight.requires_grad]
    assert trained and all("encoder.layers.1." in name and "lora" in name for name in trained)
    assert front_end.checkpoint_chunks
    untouched = Wav2Vec2(**TINY)
    adapt(untouched)
    assert all(weight.requires_grad for weight in untouched.parameters()) and not untouched.checkpoint_chunks


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"target_modules": ["query"]}, "no linear layer query; it has .*q_proj"), ({"rank": 0}, "lora_rank is 0")],
)
def test_mistakes_in_lora_are_reported(settings, said):
    with pytest.raises(InputError, match=said):
        add_lora(_build("wav2vec 2.0"), **settings)


def test_lora_twice_is_reported():
    front_end = _build("wav2vec 2.0")
    add_lora(front_end)
    with pytest.raises(InputError, match="already"):
        add_lora(front_end)


YAML = """
front_end: !new:antideepfake.lobes.WavLM
    hidden_size: 16
    num_hidden_layers: 2
    num_attention_heads: 2
    intermediate_size: 32
__lora: !apply:antideepfake.training.add_lora
    front_end: !ref <front_end>
    rank: 2
__frozen: !apply:antideepfake.training.freeze_layers [!ref <front_end>, 1]
__memory: !apply:antideepfake.training.checkpoint_gradients [!ref <front_end>]
back_end: !new:antideepfake.lobes.MeanPooling
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    back_end: !ref <back_end>
classifier: !new:torch.nn.Linear
    in_features: 16
    out_features: 2
"""


def test_a_yaml_adapts_and_a_model_folder_is_plain(tmp_path, rng):
    (tmp_path / "train.yaml").write_text(YAML)
    hparams = load_hparams(tmp_path / "train.yaml")
    front_end = hparams["front_end"]
    assert front_end is hparams["embedding_model"].front_end
    _train_lora(front_end)
    modules = {name: hparams[name].eval() for name in ("embedding_model", "classifier")}
    expected = modules["embedding_model"](*BATCH)
    merge_lora(front_end)
    write_model_folder(tmp_path / "model", hparams.settings, modules, ModelMetadata())
    detector = load_detector(tmp_path / "model")
    torch.testing.assert_close(detector.encode_batch(*BATCH), expected, atol=1e-4, rtol=1e-4)


# Layer-wise rates -------------------------------------------------------------------------------------------------


def _detector(front_end):
    return {"embedding_model": UtteranceEncoder(front_end, MeanPooling()), "classifier": torch.nn.Linear(16, 2)}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("adapt", ["nothing", "frozen", "lora"])
def test_every_parameter_to_train_is_in_one_group(name, adapt):
    modules = _detector(_build(name))
    if adapt == "frozen":
        freeze_layers(modules["embedding_model"].front_end, 1)
    if adapt == "lora":
        add_lora(modules["embedding_model"].front_end)
    groups = parameter_groups(torch.nn.ModuleDict(modules), lr=0.01, layer_decay=0.5)
    found = [parameter for group in groups for parameter in group["params"]]
    wanted = [weight for module in modules.values() for weight in module.parameters() if weight.requires_grad]
    assert len(found) == len(set(found)) and set(found) == set(wanted)
    scales = {parameter: group["lr_scale"] for group in groups for parameter in group["params"]}
    for key, weight in modules["embedding_model"].front_end.model.named_parameters():
        if weight.requires_grad:
            number = next((int(part) for part in key.split(".") if part.isdigit()), None)
            if ".layers." in key:
                assert scales[weight] == 0.5 ** (2 - number), key
            elif "stable" in name and key.startswith("encoder.layer_norm."):
                assert scales[weight] == 1.0, key
            else:
                assert scales[weight] == 0.5**3, key
    assert all(scales[weight] == 1.0 for weight in modules["classifier"].parameters())
    assert all(group["lr"] == 0.01 * group["lr_scale"] for group in groups)


@given(st.floats(0.1, 0.99))
def test_rates_rise_with_the_layers(layer_decay):
    groups = parameter_groups(_detector(_build("wav2vec 2.0")), 1.0, layer_decay)
    scales = [group["lr_scale"] for group in groups]
    assert scales == sorted(scales) and len(set(scales)) == 4
    assert scales == pytest.approx([layer_decay**3, layer_decay**2, layer_decay, 1.0])


@pytest.mark.parametrize("kind", ["wav2vec 2.0", None])
def test_without_decay_there_is_one_rate(kind):
    modules = _detector(_build(kind) if kind else LogFilterBank(16))
    (group,) = parameter_groups(modules, lr=0.01)
    assert group["lr_scale"] == 1.0 and group["lr"] == 0.01
    assert len(group["params"]) == len(list(torch.nn.ModuleDict(modules).parameters()))


def test_an_optimiser_takes_the_groups():
    modules = _detector(_build("wav2vec 2.0"))
    optimizer = torch.optim.SGD(parameter_groups(modules, 0.1, 0.5))
    layers = modules["embedding_model"].front_end.model.encoder.layers
    weights = [layer.final_layer_norm.bias for layer in layers]
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    moved = [(old - new).mean().item() for old, new in zip(before, weights, strict=True)]
    assert moved == pytest.approx([0.1 * 0.25, 0.1 * 0.5])


@pytest.mark.parametrize("layer_decay", [0.0, -0.5, 1.5, 95.0])
def test_a_decay_out_of_range_is_reported(layer_decay):
    with pytest.raises(InputError, match="layer_decay"):
        parameter_groups(_detector(LogFilterBank(16)), 0.01, layer_decay)
