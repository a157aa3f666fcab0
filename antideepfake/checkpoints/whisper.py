"""Give Whisper's tensors the names of transformers: those of OpenAI's own files and of CTranslate2."""

import re

import torch

from antideepfake.checkpoints.loading import Weights
from antideepfake.errors import InputError

# Names of tensors that a front end does not need, and why.
LEFT_OUT = {
    r"decoder[./].*|proj_out\..*": "writes the words",
    r"encoder/num_heads": "a setting",
}
FIELDS = {  # settings of a front end -> of Whisper in transformers
    "hidden_size": "d_model",
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
    "intermediate_size": "encoder_ffn_dim",
}
OPENAI = [
    (r"encoder\.positional_embedding", r"encoder.embed_positions.weight"),
    (r"encoder\.ln_post\.(.+)", r"encoder.layer_norm.\1"),
    (r"encoder\.blocks\.(\d+)\.attn\.(query|key|value)\.(.+)", r"encoder.layers.\1.self_attn.\2_proj.\3"),
    (r"encoder\.blocks\.(\d+)\.attn\.out\.(.+)", r"encoder.layers.\1.self_attn.out_proj.\2"),
    (r"encoder\.blocks\.(\d+)\.attn_ln\.(.+)", r"encoder.layers.\1.self_attn_layer_norm.\2"),
    (r"encoder\.blocks\.(\d+)\.mlp\.0\.(.+)", r"encoder.layers.\1.fc1.\2"),
    (r"encoder\.blocks\.(\d+)\.mlp\.2\.(.+)", r"encoder.layers.\1.fc2.\2"),
    (r"encoder\.blocks\.(\d+)\.mlp_ln\.(.+)", r"encoder.layers.\1.final_layer_norm.\2"),
]
CTRANSLATE2 = [
    (r"encoder/(conv[12])/(.+)", r"encoder.\1.\2"),
    (r"encoder/position_encodings/encodings", r"encoder.embed_positions.weight"),
    (r"encoder/layer_norm/(.+)", r"encoder.layer_norm.\1"),
    (r"encoder/layer_(\d+)/self_attention/(query|key|value)/(.+)", r"encoder.layers.\1.self_attn.\2_proj.\3"),
    (r"encoder/layer_(\d+)/self_attention/linear_1/(.+)", r"encoder.layers.\1.self_attn.out_proj.\2"),
    (r"encoder/layer_(\d+)/self_attention/layer_norm/(.+)", r"encoder.layers.\1.self_attn_layer_norm.\2"),
    (r"encoder/layer_(\d+)/ffn/linear_0/(.+)", r"encoder.layers.\1.fc1.\2"),
    (r"encoder/layer_(\d+)/ffn/linear_1/(.+)", r"encoder.layers.\1.fc2.\2"),
    (r"encoder/layer_(\d+)/ffn/layer_norm/(.+)", r"encoder.layers.\1.final_layer_norm.\2"),
]
PARTS = {  # of a name -> in transformers
    "query_proj": "q_proj",
    "key_proj": "k_proj",
    "value_proj": "v_proj",
    "gamma": "weight",
    "beta": "bias",
}


def to_transformers(weights: Weights) -> Weights:
    """Rename the tensors of a Whisper of OpenAI or CTranslate2, and describe its architecture.

    Arguments
    ---------
    weights : Weights
        Of any model.

    Returns
    -------
    Weights
        With names and settings as in ``transformers``, names without a counterpart as they were; unchanged if it is
        not one of these two.

    Raises
    ------
    InputError
        When it is incomplete.

    Example
    -------
    >>> state = {"encoder.conv1.weight": torch.ones(2, 80, 3), "encoder.blocks.0.mlp.0.weight": torch.ones(8, 2)}
    >>> renamed = to_transformers(Weights(state, {"dims": {"n_audio_head": 1}}, "tiny.pt"))
    >>> list(renamed.state), renamed.config["encoder_ffn_dim"]
    (['encoder.conv1.weight', 'encoder.layers.0.fc1.weight'], 8)
    """
    state, dims = weights.state, weights.config.get("dims")
    if "encoder/conv1/weight" in state:
        rules, heads, state = CTRANSLATE2, state.get("encoder/num_heads"), _split_attention(weights)
    elif isinstance(dims, dict):
        rules, heads = OPENAI, dims.get("n_audio_head")
    else:
        return weights
    renamed = {_rename(name, rules): value for name, value in state.items()}
    layers = [int(found[1]) for name in renamed if (found := re.match(r"encoder\.layers\.(\d{1,3})\.", name))]
    conv, inner = (renamed.get(f"encoder.{name}.weight") for name in ("conv1", "layers.0.fc1"))
    if conv is None or inner is None or heads is None or conv.dim() != 3 or len(renamed) < len(state):
        raise InputError(f"{weights.source}: not a complete Whisper; copy or download it again")
    config = {
        "model_type": "whisper",
        "d_model": conv.shape[0],
        "num_mel_bins": conv.shape[1],
        "encoder_layers": max(layers) + 1,
        "encoder_attention_heads": int(heads),
        "encoder_ffn_dim": inner.shape[0],
    }
    return Weights(renamed, config, weights.source, weights.provenance)


def _rename(name: str, rules: list[tuple[str, str]]) -> str:
    new = next((re.sub(old, new, name) for old, new in rules if re.fullmatch(old, name)), name)
    return ".".join(PARTS.get(part, part) for part in new.split("."))


def _split_attention(weights: Weights) -> dict[str, torch.Tensor]:
    """Split the linear layer that CTranslate2 makes of queries, keys and values."""
    state = dict(weights.state)
    for name in weights.state:
        found = re.fullmatch(r"(encoder/layer_\d+/self_attention)/linear_0/(weight|bias)", name)
        if found:
            for part, value in zip(("query", "key", "value"), state.pop(name).chunk(3), strict=True):
                state[f"{found[1]}/{part}/{found[2]}"] = value
            if found[2] == "bias" and state.pop(f"{found[1]}/key/bias").any():
                raise InputError(f"{weights.source}: {name} has a bias for keys, unlike Whisper; use another file")
    return state
