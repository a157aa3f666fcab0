"""Whisper's weights: the same front end from every form in which they are published."""

import pytest
import torch
import transformers

from antideepfake.checkpoints.initialization import start_from
from antideepfake.checkpoints.key_mapping import load_pretrained, read_checkpoint
from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.lobes.whisper import Whisper

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SPECIAL = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "decoder_start")}
OPENAI = [  # parts of names in transformers -> of OpenAI
    (".layers.", ".blocks."),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("self_attn_layer_norm", "attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("self_attn.q_proj", "attn.query"),
    ("self_attn.k_proj", "attn.key"),
    ("self_attn.v_proj", "attn.value"),
    ("self_attn.out_proj", "attn.out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("embed_positions.weight", "positional_embedding"),
]
DIMS = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 32, "n_audio_head": 4, "n_audio_layer": 2}


@pytest.fixture(scope="module")
def model():
    """A model of ``transformers`` with values that float16 can store."""
    torch.manual_seed(1)
    config = transformers.WhisperConfig(
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=8,
        vocab_size=8,
        **SPECIAL,
    )
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_((weight + 0.1 * torch.randn(weight.shape)).half())
    return model


def _openai(model):
    state = {}
    for name, value in model.model.state_dict().items():
        for old, new in OPENAI:
            name = name.replace(old, new)
        state[name] = value.half()
    return {"dims": DIMS, "model_state_dict": state}


def _ctranslate2(model):
    """Tensors by CTranslate2's names: one linear layer of queries, keys and values."""
    encoder = model.model.encoder
    state = {"encoder/num_heads": torch.tensor(4, dtype=torch.int16), "decoder/num_heads": torch.tensor(4)}
    state |= {"encoder/position_encodings/encodings": encoder.embed_positions.weight}

    def add(name, module, weight="weight", bias="bias"):
        state.update({f"encoder/{name}/{weight}": module.weight, f"encoder/{name}/{bias}": module.bias})

    for name in ("conv1", "conv2"):
        add(name, getattr(encoder, name))
    add("layer_norm", encoder.layer_norm, "gamma", "beta")
    for index, layer in enumerate(encoder.layers):
        attention, name = layer.self_attn, f"layer_{index}/self_attention"
        weights = [part.weight for part in (attention.q_proj, attention.k_proj, attention.v_proj)]
        state[f"encoder/{name}/linear_0/weight"] = torch.cat(weights)
        biases = [attention.q_proj.bias, torch.zeros(32), attention.v_proj.bias]
        state[f"encoder/{name}/linear_0/bias"] = torch.cat(biases)
        add(f"{name}/linear_1", attention.out_proj)
        add(f"{name}/layer_norm", layer.self_attn_layer_norm, "gamma", "beta")
        add(f"layer_{index}/ffn/linear_0", layer.fc1)
        add(f"layer_{index}/ffn/linear_1", layer.fc2)
        add(f"layer_{index}/ffn/layer_norm", layer.final_layer_norm, "gamma", "beta")
    return {name: value.detach() for name, value in state.items()}


@pytest.fixture(params=["folder", "torch folder", "encoder folder", "openai", "ctranslate2", "ctranslate2 folder"])
def source(request, model, tmp_path, write_ctranslate2):
    """The same weights in every form."""
    if request.param == "folder":
        model.save_pretrained(tmp_path)
    elif request.param == "encoder folder":
        model.model.save_pretrained(tmp_path)
    elif request.param == "torch folder":
        model.config.save_pretrained(tmp_path)
        torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    elif request.param == "openai":
        torch.save(_openai(model), tmp_path / "tiny.pt")
        return tmp_path / "tiny.pt"
    else:
        half = {
            name: value.half() if value.is_floating_point() else value for name, value in _ctranslate2(model).items()
        }
        write_ctranslate2(tmp_path / "model.bin", half)
        (tmp_path / "config.json").write_text('{"alignment_heads": [[1, 0]]}')
        return tmp_path / "model.bin" if request.param == "ctranslate2" else tmp_path
    return tmp_path


def _expected(model):
    """The tensors of ``transformers`` by the front end's names."""
    state = {f"encoder.{name}": value for name, value in model.model.encoder.state_dict().items()}
    return {name.replace("encoder.conv", "feature_extractor.conv"): value for name, value in state.items()}


def test_every_form_gives_the_same_front_end(source, model):
    checkpoint = read_checkpoint(source)
    assert checkpoint.kind is Whisper and Whisper(**checkpoint.settings).architecture == Whisper(**TINY).architecture
    expected = _expected(model)
    assert checkpoint.encoder.keys() == expected.keys()
    assert all(torch.equal(checkpoint.encoder[name].float(), value) for name, value in expected.items())
    assert set(checkpoint.left_out.values()) <= {"writes the words", "a setting"}
    assert all("decoder" in name or name in ("proj_out.weight", "encoder/num_heads") for name in checkpoint.left_out)
    front_end = Whisper(**TINY, weights_source="tiny", weights_sha256=checkpoint.sha256())
    load_pretrained(front_end, source)
    assert all(torch.equal(front_end.model.state_dict()[name], value) for name, value in expected.items())


def test_the_sha256_is_that_of_the_tensors(model, tmp_path, write_ctranslate2):
    model.save_pretrained(tmp_path / "folder")
    torch.save(_openai(model), tmp_path / "tiny.pt")
    write_ctranslate2(tmp_path / "model.bin", _ctranslate2(model))
    found = {read_checkpoint(tmp_path / name).sha256() for name in ("folder", "tiny.pt", "model.bin")}
    assert len(found) == 1
    checkpoint = read_checkpoint(tmp_path / "folder")
    next(iter(checkpoint.encoder.values())).view(-1)[0] += 1
    assert checkpoint.sha256() not in found


def test_other_weights_than_those_stated_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    encoder = UtteranceEncoder(Whisper(**TINY, weights_source="openai/tiny", weights_sha256="0" * 64), MeanPooling())
    with pytest.raises(
        InputError, match=r"not the weights of openai/tiny: .* set the front end's weights_sha256 to null"
    ):
        start_from(encoder, torch.nn.Linear(32, 2), tmp_path)
    encoder.front_end.weights_sha256 = None
    start_from(encoder, torch.nn.Linear(32, 2), tmp_path)


def test_fewer_layers_are_the_lowest(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    whole, short = (Whisper(**TINY | {"num_hidden_layers": n}, all_layers=True, final_norm=False) for n in (2, 1))
    for front_end in (whole, short):
        load_pretrained(front_end.eval(), tmp_path)
    with torch.inference_mode():
        expected, found = (
            front_end(torch.randn(1, 8000, generator=torch.Generator().manual_seed(1)), torch.ones(1))[0]
            for front_end in (whole, short)
        )
    assert torch.equal(found, expected[:, :2]) and "layers 1 to 1 of 2 are used" in caplog.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder/layer_1/ffn/linear_1/bias", r"does not fit Whisper; missing: encoder\.layers\.1\.fc2\.bias"),
        ("encoder/layer_1/self_attention/linear_0/weight", r"missing: encoder\.layers\.1\.self_attn\.q_proj\.weight"),
        ("encoder/layer_0/ffn/linear_0/weight", "not a complete Whisper"),
        ("encoder/num_heads", "not a complete Whisper"),
    ],
)
def test_a_missing_tensor_is_reported(model, tmp_path, write_ctranslate2, name, message):
    state = _ctranslate2(model)
    del state[name]
    write_ctranslate2(tmp_path / "model.bin", state)
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path)


def test_an_unknown_tensor_is_reported(model, tmp_path, write_ctranslate2):
    path = write_ctranslate2(tmp_path / "model.bin", _ctranslate2(model) | {"encoder/layer_0/alibi": torch.ones(1)})
    with pytest.raises(InputError, match="unknown: encoder/layer_0/alibi"):
        read_checkpoint(path)
    content = _openai(model)
    content["model_state_dict"]["encoder.blocks.0.attn.key.bias"] = torch.zeros(32)
    torch.save(content, tmp_path / "tiny.pt")
    with pytest.raises(InputError, match=r"unknown: encoder\.layers\.0\.self_attn\.k_proj\.bias"):
        read_checkpoint(tmp_path / "tiny.pt")


def test_a_bias_of_keys_is_reported(model, tmp_path, write_ctranslate2):
    state = _ctranslate2(model)
    state["encoder/layer_1/self_attention/linear_0/bias"] = torch.ones(96)
    with pytest.raises(InputError, match="layer_1/self_attention/linear_0/bias has a bias for keys"):
        read_checkpoint(write_ctranslate2(tmp_path / "model.bin", state))


def test_another_size_is_reported(model, tmp_path):
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"another architecture; num_attention_heads is 4, not 2"):
        load_pretrained(Whisper(**TINY | {"num_attention_heads": 2}), tmp_path)


def test_tensors_of_a_decoder_are_unknown_in_other_encoders(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"model_type": "whisper"', '"model_type": "wavlm"')
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=r"unknown: decoder\.layers"):
        read_checkpoint(tmp_path)
