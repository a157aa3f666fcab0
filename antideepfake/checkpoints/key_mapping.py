"""Map published tensor names to this project's: every tensor is used or left out for a reason; else it is an error."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from speechbrain.utils.logger import get_logger

from antideepfake.checkpoints import whisper
from antideepfake.checkpoints.loading import Weights, read_weights
from antideepfake.errors import InputError
from antideepfake.lobes.self_supervised import DROPOUT, HuBERT, SelfSupervisedFrontEnd, Wav2Vec2, Wav2Vec2BERT, WavLM
from antideepfake.lobes.whisper import Whisper

logger = get_logger(__name__)

# Names of tensors that a detector does not need, and why.
LEFT_OUT = {
    r"mask_emb|masked_spec_embed": "replaces masked frames in pre-training",
    r"quantizer\..*": "codebook of the targets in pre-training",
    r"project_q\..*|project_hid\..*": "projects to the targets of pre-training",
    r"final_proj\..*": "projects to the targets of pre-training",
    r"label_embs_concat": "targets of pre-training",
    r"lm_head\..*": "recognizes speech",
    r"embedding_model\.(back_end|layer_aggregation|second_branch)\..*": "back end of another detector",
}
# fairseq's names to those of transformers; the first match counts.
FAIRSEQ = [
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.(.+)", r"feature_extractor.conv_layers.\1.conv.\2"),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?(.+)", r"feature_extractor.conv_layers.\1.layer_norm.\2"),
    (r"post_extract_proj\.(.+)", r"feature_projection.projection.\1"),
    (r"layer_norm\.(.+)", r"feature_projection.layer_norm.\1"),
    (r"encoder\.pos_conv\.0\.weight_g", r"encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", r"encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"encoder\.pos_conv\.0\.(.+)", r"encoder.pos_conv_embed.conv.\1"),
    (r"encoder\.layers\.(\d+)\.self_attn\.grep_linear\.(.+)", r"encoder.layers.\1.attention.gru_rel_pos_linear.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn\.grep_a", r"encoder.layers.\1.attention.gru_rel_pos_const"),
    (
        r"encoder\.layers\.(\d+)\.self_attn\.relative_attention_bias\.(.+)",
        r"encoder.layers.\1.attention.rel_attn_embed.\2",
    ),
    (r"encoder\.layers\.(\d+)\.self_attn\.(.+)", r"encoder.layers.\1.attention.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(.+)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.fc1\.(.+)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.fc2\.(.+)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (r"(encoder\.layers\.\d+\.final_layer_norm\..+|encoder\.layer_norm\..+)", r"\1"),
]
# Names that transformers itself has changed, and Whisper's convolutions, which it places beside the layers.
TRANSFORMERS = [
    (r"encoder\.(conv[12]\..+)", r"feature_extractor.\1"),
    (r"encoder\.pos_conv_embed\.conv\.weight_g", r"encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv_embed\.conv\.weight_v", r"encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"((?:feature_extractor|feature_projection|encoder)\..+)", r"\1"),
]
KINDS: dict[str, type[SelfSupervisedFrontEnd]] = {
    "wav2vec2": Wav2Vec2,
    "hubert": HuBERT,
    "wavlm": WavLM,
    "wav2vec2-bert": Wav2Vec2BERT,
    "whisper": Whisper,
}
OWN_KINDS = {f"antideepfake.lobes.{kind.__name__}": kind for kind in KINDS.values()}
# Prefixes in detectors of the released code, in transformers, and in this project's model folders.
PREFIXES = (
    "m_ssl.model.",
    "wav2vec2.",
    "hubert.",
    "wavlm.",
    "wav2vec2_bert.",
    "model.",
    "embedding_model.front_end.model.",
)
HEAD = re.compile(r"(?:proj_fc|classifier)\.(weight|bias)")
# Attention heads by hidden size, for all published wav2vec 2.0, XLS-R, MMS, HuBERT and WavLM models.
PUBLISHED_HEADS = {768: 12, 1024: 16, 1280: 16, 1920: 16}


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint with known architecture.

    Arguments
    ---------
    kind : type
        Class of the front end.
    settings : dict
        Of the front end.
    encoder : dict
        Tensors of ``front_end.model``, by name.
    classifier : dict
        ``weight`` [2, size] and ``bias`` [2] of a detector, fake first; empty for an encoder alone.
    left_out : dict
        Names of unused tensors, and why they are not used.
    provenance : str
        Name and SHA-256 of the source.
    """

    kind: type[SelfSupervisedFrontEnd]
    settings: dict[str, Any]
    encoder: dict[str, torch.Tensor]
    classifier: dict[str, torch.Tensor]
    left_out: dict[str, str]
    provenance: str

    @property
    def description(self) -> str:
        """The kind of the encoder, and its size."""
        return f"{self.kind.__name__}, {self.settings['num_hidden_layers']} layers of {self.settings['hidden_size']}"

    @property
    def used(self) -> int:
        """Number of tensors used."""
        return len(self.encoder) + len(self.classifier)

    def sha256(self) -> str:
        """Compute the SHA-256 of the encoder's tensors in float16, in order of their names.

        It is that of the weights rather than of a file: the forms in which they are published in float16 or float32
        have the same one.
        """
        digest = hashlib.sha256()
        for name in sorted(self.encoder):
            digest.update(f"{name} {list(self.encoder[name].shape)}\n".encode())
            digest.update(self.encoder[name].half().contiguous().numpy().astype("<f2").tobytes())
        return digest.hexdigest()

    def build(self, all_layers: bool = False, final_norm: bool = True) -> SelfSupervisedFrontEnd:
        """Build the front end with these weights, in float32."""
        with torch.device("meta"):
            front_end = self.kind(all_layers, final_norm=final_norm, **self.settings)
        front_end.model.load_state_dict({name: value.float() for name, value in self.encoder.items()}, assign=True)
        return front_end


def read_checkpoint(source: str | os.PathLike, num_attention_heads: int | None = None) -> Checkpoint:
    """Read a detector of the released code or of a model folder, or an encoder of fairseq, transformers or Whisper.

    Arguments
    ---------
    source : str or Path
        As for :func:`antideepfake.checkpoints.read_weights`.
    num_attention_heads : int, optional
        Cannot be derived from tensors. Needed only for unpublished sizes whose checkpoint does not state it.

    Returns
    -------
    Checkpoint
        Every tensor of the source is in ``encoder``, ``classifier`` or ``left_out``; no tensor of the architecture is
        missing.

    Raises
    ------
    InputError
        As for :func:`antideepfake.checkpoints.read_weights`; also when a tensor is missing, unknown, not finite or of
        the wrong shape: all names are listed.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    >>> Wav2Vec2(**tiny).model.save_pretrained(folder)
    >>> checkpoint = read_checkpoint(folder)
    >>> checkpoint.kind.__name__, checkpoint.settings["num_hidden_layers"], checkpoint.left_out
    ('Wav2Vec2', 2, {})
    """
    return map_weights(read_weights(source), num_attention_heads)


def map_weights(weights: Weights, num_attention_heads: int | None = None) -> Checkpoint:
    """Map the names of tensors, derive the architecture, and check that the two agree.

    Arguments
    ---------
    weights : Weights
        Tensors, on any device including meta.
    num_attention_heads : int, optional
        As for :func:`read_checkpoint`.

    Returns
    -------
    Checkpoint
        As :func:`read_checkpoint` returns it.

    Raises
    ------
    InputError
        As for :func:`read_checkpoint`.
    """
    weights = whisper.to_transformers(weights)
    reasons = LEFT_OUT | (whisper.LEFT_OUT if weights.config.get("model_type") == "whisper" else {})
    is_fairseq = any("conv_layers.0.0.weight" in name for name in weights.state)
    rules = FAIRSEQ if is_fairseq else TRANSFORMERS
    originals: dict[str, str] = {}
    left_out: dict[str, str] = {}
    unknown: list[str] = []
    for name in weights.state:
        if HEAD.fullmatch(name):
            continue
        bare = name.removeprefix(next((prefix for prefix in PREFIXES if name.startswith(prefix)), ""))
        reason = next((text for pattern, text in reasons.items() if re.fullmatch(pattern, bare)), None)
        ours = next((re.sub(old, new, bare) for old, new in rules if re.fullmatch(old, bare)), None)
        if reason is not None:
            left_out[name] = reason
        elif ours is None or ours in originals:
            unknown.append(name)
        else:
            originals[ours] = name
    if not originals:
        raise InputError(
            f"{weights.source}: not a wav2vec 2.0, HuBERT, WavLM, w2v-BERT or Whisper; its tensors are "
            f"{', '.join(list(weights.state)[:4])} ..."
        )
    encoder = {ours: weights.state[name] for ours, name in originals.items()}
    classifier = {head[1]: value for name, value in weights.state.items() if (head := HEAD.fullmatch(name))}
    if is_fairseq:
        kind, settings = _fairseq_architecture(weights, encoder, left_out, num_attention_heads)
    else:
        kind, settings = _transformers_architecture(weights)

    try:
        with torch.device("meta"):
            expected = kind(**settings).model.state_dict()
    except InputError as error:
        raise InputError(f"{weights.source}: {error}") from None
    if classifier:
        expected["proj_fc.weight"], expected["proj_fc.bias"] = torch.empty(2, settings["hidden_size"]), torch.empty(2)
    found = encoder | {f"proj_fc.{name}": value for name, value in classifier.items()}
    originals |= {f"proj_fc.{head[1]}": name for name in weights.state if (head := HEAD.fullmatch(name))}
    check_tensors(weights, kind.__name__, found, expected, originals, unknown)
    return Checkpoint(kind, settings, encoder, classifier, left_out, weights.provenance)


def check_tensors(
    weights: Weights,
    target: str,
    found: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    originals: Mapping[str, str],
    unknown: Sequence[str] = (),
) -> None:
    """Check that tensors are those of an architecture.

    Arguments
    ---------
    weights : Weights
        All tensors of the source.
    target : str
        The architecture, for the message.
    found, expected : mapping
        Tensors by this project's names: of the source and of the architecture.
    originals : mapping
        This project's names to those in the source.
    unknown : sequence of str
        Names in the source that have no name here.

    Raises
    ------
    InputError
        When a tensor is missing, unknown, not finite or of the wrong shape: all names are listed.
    """
    problems = [f"unknown: {name}" for name in unknown]
    problems += [f"unknown: {originals[name]}" for name in found if name not in expected]
    problems += [f"missing: {name}" for name in expected if name not in found]
    for name in found.keys() & expected.keys():
        if found[name].shape != expected[name].shape:
            shapes = f"{list(found[name].shape)} instead of {list(expected[name].shape)}"
            problems.append(f"of shape {shapes}: {originals[name]}")
    problems += [f"not finite: {name}" for name, value in weights.state.items() if not _is_finite(value)]
    if problems:
        raise InputError(f"{weights.source}: does not fit {target}; " + "; ".join(problems))


def _is_finite(value: torch.Tensor) -> bool:
    return value.is_meta or not value.is_floating_point() or bool(torch.isfinite(value).all())


def _transformers_architecture(weights: Weights) -> tuple[type[SelfSupervisedFrontEnd], dict[str, Any]]:
    own = weights.config.get("front_end")  # in a model folder of this project
    settings = own if isinstance(own, dict) else weights.config
    kind = KINDS.get(str(weights.config.get("model_type"))) or OWN_KINDS.get(str(settings.get("class")))
    if kind is None:
        raise InputError(
            f"{weights.source}: a transformers model without a config.json whose model_type is one of "
            f"{', '.join(KINDS)}; pass the folder that contains both"
        )
    return kind, {
        name: settings.get(whisper.FIELDS.get(name, name), settings.get(name, value))
        for name, value in kind.defaults().items()
        if name not in DROPOUT
    }


def _fairseq_architecture(
    weights: Weights, encoder: dict[str, torch.Tensor], left_out: dict[str, str], num_attention_heads: int | None
) -> tuple[type[SelfSupervisedFrontEnd], dict[str, Any]]:
    """Derive the architecture from the shapes; heads and position of the norms are those of published models."""
    conv = "feature_extractor.conv_layers"
    convolutions = [
        encoder[f"{conv}.{index}.conv.weight"].shape for index in range(7) if f"{conv}.{index}.conv.weight" in encoder
    ]
    layers = [int(found[1]) for name in encoder if (found := re.match(r"encoder\.layers\.(\d+)\.", name))]
    position = encoder.get("encoder.pos_conv_embed.conv.parametrizations.weight.original1")
    inner = encoder.get("encoder.layers.0.feed_forward.intermediate_dense.weight")
    if position is None or inner is None or len(convolutions) != 7:
        raise InputError(f"{weights.source}: incomplete; convolutions or the first layer are missing")
    if [position.dim(), inner.dim(), *map(len, convolutions)] != [3, 2, *[3] * 7] or not position.numel():
        raise InputError(f"{weights.source}: convolutions or the first layer do not have the shapes of a wav2vec 2.0")
    size = position.shape[0]
    layer_norm = f"{conv}.1.layer_norm.weight" in encoder
    heads = num_attention_heads
    if heads is None:
        heads = weights.config.get("encoder_attention_heads") or PUBLISHED_HEADS.get(size)
    if heads is None:
        raise InputError(f"{weights.source}: does not state its number of attention heads; pass --num_attention_heads")
    settings = {
        "hidden_size": size,
        "num_hidden_layers": max(layers) + 1,
        "num_attention_heads": heads,
        "intermediate_size": inner.shape[0],
        "feat_extract_norm": "layer" if layer_norm else "group",
        "do_stable_layer_norm": bool(weights.config.get("layer_norm_first", layer_norm)),
        "conv_bias": f"{conv}.0.conv.bias" in encoder,
        "conv_dim": [shape[0] for shape in convolutions],
        "num_conv_pos_embeddings": position.shape[2],
        "num_conv_pos_embedding_groups": size // position.shape[1],
    }
    if "encoder.layers.0.attention.gru_rel_pos_const" in encoder:
        return WavLM, settings
    return HuBERT if any("label_embs_concat" in name for name in left_out) else Wav2Vec2, settings


def load_front_end(
    source: str | os.PathLike, all_layers: bool = False, num_attention_heads: int | None = None
) -> SelfSupervisedFrontEnd:
    """Build a front end from published weights.

    Arguments
    ---------
    source, num_attention_heads :
        As for :func:`read_checkpoint`: a self-supervised model, or a detector, whose classifier is ignored.
    all_layers : bool
        As for :class:`antideepfake.lobes.self_supervised.SelfSupervisedFrontEnd`.

    Returns
    -------
    SelfSupervisedFrontEnd
        In training mode, float32.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    >>> Wav2Vec2(**tiny).model.save_pretrained(folder)
    >>> load_front_end(folder)(torch.randn(1, 16000), torch.ones(1))[0].shape
    torch.Size([1, 49, 16])
    """
    return read_checkpoint(source, num_attention_heads).build(all_layers)


def load_pretrained(front_end: SelfSupervisedFrontEnd, source: str | os.PathLike) -> None:
    """Load published weights of the same architecture into a front end.

    Arguments
    ---------
    front_end : SelfSupervisedFrontEnd
        Changed in place. It may have fewer layers: the lowest are loaded.
    source : str or Path
        As for :func:`load_front_end`.

    Raises
    ------
    InputError
        As for :func:`read_checkpoint` and :func:`load_encoder`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    >>> Wav2Vec2(**tiny).model.save_pretrained(folder)
    >>> front_end = Wav2Vec2(**tiny, hidden_dropout=0.1)
    >>> load_pretrained(front_end, folder)
    """
    checkpoint = read_checkpoint(source, front_end.architecture["num_attention_heads"])
    load_encoder(front_end, checkpoint, source)


def load_encoder(front_end: SelfSupervisedFrontEnd, checkpoint: Checkpoint, source: str | os.PathLike) -> None:
    """Load the encoder of a checkpoint into a front end.

    Arguments
    ---------
    front_end : SelfSupervisedFrontEnd
        Changed in place. It may have fewer layers than the checkpoint: the lowest are loaded.
    checkpoint : Checkpoint
        As :func:`read_checkpoint` returns it.
    source : str or Path
        Of the checkpoint, for the message.

    Raises
    ------
    InputError
        When the architectures differ; names the different settings. Also when the front end states the SHA-256 of its
        weights, and they have another.
    """
    wanted, depth = front_end.architecture, front_end.architecture["num_hidden_layers"]
    with torch.device("meta"):
        found = checkpoint.kind(**checkpoint.settings).architecture
    if depth < found["num_hidden_layers"]:
        logger.info(f"{source}: layers 1 to {depth} of {found['num_hidden_layers']} are used")
        found["num_hidden_layers"] = depth
    differing = [
        f"{name} is {found.get(name)}, not {value}" for name, value in wanted.items() if found.get(name) != value
    ]
    if differing:
        raise InputError(f"{source}: has another architecture; {', '.join(differing)}")
    if front_end.weights_sha256 and checkpoint.sha256() != front_end.weights_sha256:
        raise InputError(
            f"{source}: not the weights of {front_end.weights_source}: the SHA-256 of the tensors is "
            f"{checkpoint.sha256()}, not {front_end.weights_sha256}; download them again, or set the front end's "
            "weights_sha256 to null to use others"
        )
    layer = re.compile(r"encoder\.layers\.(\d+)\.")
    used = {
        name: value
        for name, value in checkpoint.encoder.items()
        if not (found_layer := layer.match(name)) or int(found_layer[1]) < depth
    }
    front_end.model.load_state_dict(used)
