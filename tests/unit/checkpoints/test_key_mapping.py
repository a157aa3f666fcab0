"""Published names: every tensor used or left out for a reason, anything else an error that lists it."""

import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers

from antideepfake.checkpoints.key_mapping import load_front_end, load_pretrained, map_weights, read_checkpoint
from antideepfake.checkpoints.loading import Weights
from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import LayerWeightedMeanPooling
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.lobes.self_supervised import DROPOUT, HuBERT, Wav2Vec2, Wav2Vec2BERT, WavLM
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.training.hparams import load_hparams

FIXTURES = Path(__file__).parents[2] / "fixtures"
FRONT_ENDS = Path(__file__).parents[3] / "hparams" / "front_ends"
FULL_SIZE = {
    "w2v_small": "w2v_small",
    "w2v_large": "w2v_large",
    "mms_300m": "mms_300m",
    "mms_1b": "mms_1b",
    "xlsr_1b": "xls_r_1b",
    "xlsr_2b": "xls_r_2b",
    "hubert_xlarge_ll60k": "hubert_xlarge",
}
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}


def _from_yaml(name: str, folder: Path) -> torch.nn.Module:
    """The front end of a YAML in hparams/, without memory."""
    path = folder / "include.yaml"
    path.write_text(f"front_end: !include:{FRONT_ENDS / name}.yaml\n")
    with torch.device("meta"):
        return load_hparams(path)["front_end"]


@pytest.mark.parametrize(("keys", "name"), FULL_SIZE.items())
def test_full_size_detectors_map_completely(keys, name, tmp_path):
    lines = (FIXTURES / "keys" / f"{keys}.keys.txt").read_text().splitlines()
    names_and_shapes = [line.split("\t")[:2] for line in lines]
    state = {
        key: torch.empty([int(number) for number in re.findall(r"\d+", shape)], device="meta")
        for key, shape in names_and_shapes
    }
    checkpoint = map_weights(Weights(state, {}, keys))
    used = len(checkpoint.encoder) + len(checkpoint.classifier)
    assert used + len(checkpoint.left_out) == len(lines)
    parts = ("mask_emb", "quantizer", "project_q", "final_proj", "label_embs_concat")
    assert {key.split(".")[2] for key in checkpoint.left_out} <= set(parts)

    front_end = _from_yaml(name, tmp_path)
    assert type(front_end) is checkpoint.kind
    with torch.device("meta"):
        assert front_end.architecture == checkpoint.kind(**checkpoint.settings).architecture
    expected = {key: value.shape for key, value in front_end.model.state_dict().items()}
    assert {key: value.shape for key, value in checkpoint.encoder.items()} == expected


INPUT_DROPOUT = {"feat_proj_dropout": 0.1}


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("w2v_small", INPUT_DROPOUT | {"hidden_dropout": 0.1, "attention_dropout": 0.1, "layerdrop": 0.05}),
        ("w2v_large", {}),
        ("mms_300m", {}),
        ("mms_1b", INPUT_DROPOUT),
        ("xls_r_1b", INPUT_DROPOUT),
        ("xls_r_2b", INPUT_DROPOUT),
        ("hubert_xlarge", {}),
    ],
)
def test_dropout_is_that_of_the_published_training(name, published, tmp_path):
    settings = _from_yaml(name, tmp_path).settings
    assert {key: value for key, value in settings.items() if key in DROPOUT} == published


@pytest.mark.parametrize(("name", "millions"), [("wavlm_large", 316), ("w2v_bert_2", 580)])
def test_other_front_ends_have_their_published_size(name, millions, tmp_path):
    front_end = _from_yaml(name, tmp_path)
    assert sum(weight.numel() for weight in front_end.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.fixture
def state():
    """A small released detector."""
    return safetensors.torch.load_file(FIXTURES / "parity" / "layernorm.safetensors")


def _map(state):
    return map_weights(Weights(state, {}, "x.ckpt"), num_attention_heads=4)


def test_detector_and_bare_encoder(state):
    detector = _map(state)
    bare = {name.removeprefix("m_ssl.model."): value for name, value in state.items() if "proj_fc" not in name}
    encoder = _map(bare)
    assert encoder.classifier == {} and detector.classifier.keys() == {"weight", "bias"}
    assert encoder.settings == detector.settings and encoder.kind is detector.kind is Wav2Vec2
    for name, value in detector.encoder.items():
        assert encoder.encoder[name] is value


@pytest.mark.parametrize("first", [False, True, None])
def test_the_checkpoint_decides_the_position_of_the_norms(state, first):
    """Guards against going by the shapes alone: no tensor tells whether an encoder normalizes before or after."""
    config = {} if first is None else {"layer_norm_first": first}
    settings = map_weights(Weights(state, config, "x.ckpt"), num_attention_heads=4).settings
    assert settings["do_stable_layer_norm"] is (first is not False)  # of a layer-norm extractor, before


CONV = "m_ssl.model.feature_extractor.conv_layers.3"
LAYER = "m_ssl.model.encoder.layers.1"
POSITION = "m_ssl.model.encoder.pos_conv.0.weight_v"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda state: state.pop(f"{LAYER}.fc1.bias"),
            "missing: encoder.layers.1.feed_forward.intermediate_dense.bias",
        ),
        (lambda state: state.pop("proj_fc.bias"), "missing: proj_fc.bias"),
        (lambda state: state.update({f"{LAYER}.fc3.bias": torch.zeros(3)}), f"unknown: {LAYER}.fc3.bias"),
        (lambda state: state.update({"surprise": torch.zeros(3)}), "unknown: surprise"),
        (lambda state: state.update({f"{CONV}.0.weight": torch.zeros(24, 24, 4)}), f"{CONV}.0.weight"),
        (
            lambda state: state.update({"proj_fc.weight": torch.zeros(1, 32)}),
            r"\[1, 32\] instead of \[2, 32\]: proj_fc",
        ),
        (lambda state: state[f"{LAYER}.fc2.bias"].fill_(torch.nan), f"not finite: {LAYER}.fc2.bias"),
        (
            lambda state: state.update({f"{CONV[:-1]}7.0.weight": torch.ones(24, 24, 2)}),
            f"unknown: {CONV[:-1]}7.0.weight",
        ),
        (lambda state: state.pop(POSITION), "incomplete; convolutions or the first layer are missing"),
        (lambda state: state.pop(f"{LAYER[:-1]}0.fc1.weight"), "incomplete"),
        (lambda state: state.pop(f"{CONV}.0.weight"), "incomplete"),
        (lambda state: state.update({POSITION: torch.ones(32, 8)}), r"do not have the shapes of a wav2vec 2\.0"),
        (lambda state: state.update({POSITION: torch.ones(32, 0, 16)}), "do not have the shapes"),
        (lambda state: state.update({f"{LAYER[:-1]}0.fc1.weight": torch.ones(64)}), "do not have the shapes"),
        (lambda state: state.update({f"{CONV}.0.weight": torch.ones(24, 24)}), "do not have the shapes"),
        (lambda state: state.update({f"{LAYER}.fc9.weight": state.pop(f"{LAYER}.fc2.weight")}), "fc9.weight; missing"),
    ],
)
def test_tensors_that_do_not_fit_are_named(state, change, told):
    change(state)
    with pytest.raises(InputError, match=told) as error:
        _map(state)
    assert str(error.value).startswith("x.ckpt: ")


def test_all_problems_are_reported_at_once(state):
    missing = [name for name in state if ".layers.0." in name and "fc1.weight" not in name]
    for name in missing:
        del state[name]
    with pytest.raises(InputError) as told:
        _map(state)
    assert str(told.value).count("missing: encoder.layers.0") == len(missing)


def test_another_kind_of_model_is_refused():
    with pytest.raises(
        InputError, match=r"not a wav2vec 2\.0, HuBERT, WavLM, w2v-BERT or Whisper; its tensors are a, b"
    ):
        _map({"a": torch.ones(1), "b": torch.ones(1)})


def test_heads_must_be_known(state):
    with pytest.raises(InputError, match="number of attention heads"):
        map_weights(Weights(state, {}, "x.ckpt"))
    assert map_weights(Weights(state, {"encoder_attention_heads": 8}, "x")).settings["num_attention_heads"] == 8


KINDS = [
    (Wav2Vec2, transformers.Wav2Vec2ForPreTraining, {}),
    (Wav2Vec2, transformers.Wav2Vec2ForPreTraining, LAYER_NORM),
    (HuBERT, transformers.HubertModel, {}),
    (HuBERT, transformers.HubertForCTC, LAYER_NORM),
    (WavLM, transformers.WavLMModel, LAYER_NORM | {"conv_bias": False}),
    (Wav2Vec2BERT, transformers.Wav2Vec2BertModel, {}),
]


@pytest.mark.parametrize(("kind", "published", "more"), KINDS)
def test_a_folder_of_transformers(kind, published, more, tmp_path):
    settings = TINY | more
    model = published(kind.make_config(**settings, vocab_size=10))
    model.save_pretrained(tmp_path)
    front_end = load_front_end(tmp_path)
    with torch.device("meta"):
        assert type(front_end) is kind and front_end.architecture == kind(**settings).architecture
    encoder = model.base_model.state_dict()
    for name, value in front_end.model.state_dict().items():
        torch.testing.assert_close(value, encoder[name], atol=0, rtol=0)


def test_transformers_names_of_old(tmp_path):
    model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**TINY))
    state = model.state_dict()
    parametrized = "encoder.pos_conv_embed.conv.parametrizations.weight.original"
    old = {name.replace(parametrized, "encoder.pos_conv_embed.conv.weight_"): value for name, value in state.items()}
    old = {name.replace("weight_0", "weight_g").replace("weight_1", "weight_v"): value for name, value in old.items()}
    model.config.save_pretrained(tmp_path)
    torch.save({f"wav2vec2.{name}": value for name, value in old.items()}, tmp_path / "pytorch_model.bin")
    front_end = load_front_end(tmp_path)
    torch.testing.assert_close(front_end.model.state_dict()[f"{parametrized}0"], state[f"{parametrized}0"])


def test_transformers_weights_need_their_config(tmp_path):
    model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**TINY))
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"without a config\.json"):
        read_checkpoint(tmp_path / "model.safetensors")


def test_original_wavlm(tmp_path):
    front_end = WavLM(**TINY, **LAYER_NORM)
    ours_to_theirs = [
        (r"conv_layers\.(\d)\.conv\.", r"conv_layers.\1.0."),
        (r"conv_layers\.(\d)\.layer_norm\.", r"conv_layers.\1.2.1."),
        (r"feature_projection\.projection\.", "post_extract_proj."),
        (r"feature_projection\.layer_norm\.", "layer_norm."),
        (r"pos_conv_embed\.conv\.parametrizations\.weight\.original0", "pos_conv.0.weight_g"),
        (r"pos_conv_embed\.conv\.parametrizations\.weight\.original1", "pos_conv.0.weight_v"),
        (r"pos_conv_embed\.conv\.bias", "pos_conv.0.bias"),
        (r"(layers\.\d)\.layer_norm\.", r"\1.self_attn_layer_norm."),
        (r"attention\.gru_rel_pos_linear", "self_attn.grep_linear"),
        (r"attention\.gru_rel_pos_const", "self_attn.grep_a"),
        (r"attention\.rel_attn_embed", "self_attn.relative_attention_bias"),
        (r"attention\.", "self_attn."),
        (r"feed_forward\.intermediate_dense", "fc1"),
        (r"feed_forward\.output_dense", "fc2"),
    ]
    state = {}
    for name, value in front_end.model.state_dict().items():
        for old, new in ours_to_theirs:
            name = re.sub(old, new, name)
        state[name] = value
    config = {"encoder_attention_heads": 4, "layer_norm_first": True}
    torch.save({"model": state | {"mask_emb": torch.ones(32)}, "cfg": config}, tmp_path / "WavLM.pt")
    again = load_front_end(tmp_path / "WavLM.pt")
    assert again.architecture == front_end.architecture
    for name, value in front_end.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value, atol=0, rtol=0)


@pytest.mark.parametrize(("options", "shape"), [({}, (1, 49, 32)), ({"all_layers": True}, (1, 4, 49, 32))])
def test_a_built_front_end_gives_its_last_layer_or_all(state, options, shape):
    features, _ = _map(state).build(**options)(torch.randn(1, 16000), torch.ones(1))
    assert features.shape == shape


def test_half_precision_checkpoints_are_computed_in_single(state):
    front_end = _map({name: value.half() for name, value in state.items()}).build()
    assert front_end.dtype == torch.float32


def test_pretrained_weights_go_into_a_front_end_of_a_yaml(tmp_path, state):
    path = tmp_path / "detector.safetensors"
    safetensors.torch.save_file(state, path)
    small = {"conv_dim": [24] * 7, "num_hidden_layers": 3}
    front_end = Wav2Vec2(**(TINY | LAYER_NORM | small), hidden_dropout=0.1)
    load_pretrained(front_end, path)
    expected = load_front_end(path, num_attention_heads=4).model.state_dict()
    for name, value in front_end.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=0, rtol=0)
    assert front_end.model.config.hidden_dropout == 0.1


@pytest.mark.parametrize("wrong", [{"num_hidden_layers": 4}, {"feat_extract_norm": "group"}, {"conv_bias": False}])
def test_pretrained_weights_of_another_architecture_are_reported(tmp_path, state, wrong):
    path = tmp_path / "detector.safetensors"
    safetensors.torch.save_file(state, path)
    settings = TINY | LAYER_NORM | {"conv_dim": [24] * 7, "num_hidden_layers": 3}
    front_end = Wav2Vec2(**(settings | wrong))
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"{name} is {(settings)[name]}, not {value}"):
        load_pretrained(front_end, path)


def test_a_model_folder_is_a_source_too(tmp_path, state):
    front_end = _map(state).build()
    modules = {
        "embedding_model": UtteranceEncoder(front_end, LayerWeightedMeanPooling(4)),
        "classifier": torch.nn.Linear(32, 2),
    }
    settings = """
front_end: !new:antideepfake.lobes.Wav2Vec2
back_end: !new:antideepfake.lobes.LayerWeightedMeanPooling
  n_layers: 4
classifier: !new:torch.nn.Linear
  in_features: 32
  out_features: 2
"""
    write_model_folder(tmp_path / "model", settings, modules, ModelMetadata())
    checkpoint = read_checkpoint(tmp_path / "model")
    assert checkpoint.left_out == {"embedding_model.back_end.layer_weights": "back end of another detector"}
    torch.testing.assert_close(checkpoint.classifier["weight"], modules["classifier"].weight.data)
    again = checkpoint.build()
    assert again.architecture == front_end.architecture
    for name, value in front_end.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=0, rtol=0)
