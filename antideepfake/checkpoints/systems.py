"""Detectors of other authors as they publish them: every tensor is used or left out for a reason."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

import torch
import yaml

from antideepfake.audio.samples import SAMPLE_RATE
from antideepfake.checkpoints import aasist, heads
from antideepfake.checkpoints.key_mapping import Checkpoint, check_tensors, map_weights
from antideepfake.checkpoints.loading import Weights
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.model_folder.folder import find_class

ENCODER = "feature_extractor.conv_layers.0.0.weight"  # what precedes this name is the prefix of an encoder


@dataclass(frozen=True)
class Kind:
    """How the tensors of a kind of detector are read.

    Arguments
    ---------
    mark : str
        Name of a tensor that no other kind has.
    rename : callable
        Published name to this project's, below ``layer_aggregation``, ``back_end`` or ``classifier``.
    find_components : callable
        Tensors, source and encoder to class and settings of each part, as in a config.json.
    left_out : mapping
        Names of unused tensors, as regular expressions, and why they are not used.
    is_reversed : bool
        Whether the classes are 0 for bona fide and 1 for spoofed.
    has_one_logit : bool
        Whether the classifier has one output, higher for bona fide. It becomes the logit of real; that of fake is 0.
    output_settings : mapping
        What the back end takes from the encoder: ``all_layers``, ``final_norm``.
    may_normalize : bool
        Whether waveforms are normalized if the encoder was pre-trained on normalized ones.
    """

    mark: str
    rename: Callable[[str], str]
    find_components: Callable[[dict[str, torch.Tensor], str, Checkpoint | None], dict[str, dict[str, Any]]]
    left_out: Mapping[str, str] = field(default_factory=dict)
    is_reversed: bool = False
    has_one_logit: bool = False
    output_settings: Mapping[str, bool] = field(default_factory=dict)
    may_normalize: bool = False


KINDS = (
    Kind(aasist.MARK, aasist.rename, aasist.find_components, aasist.LEFT_OUT),
    Kind(
        heads.NES2NET_SINGING,
        heads.rename_nes2net,
        heads.find_nes2net_singing,
        has_one_logit=True,
        output_settings={"all_layers": True},
        may_normalize=True,
    ),
    Kind(heads.NES2NET, heads.rename_nes2net, heads.find_nes2net),
    Kind(
        heads.MHFA,
        heads.rename_mhfa,
        heads.find_mhfa,
        is_reversed=True,
        output_settings={"all_layers": True},
        may_normalize=True,
    ),
    Kind(heads.SLS, heads.rename_sls, heads.find_sls, output_settings={"all_layers": True, "final_norm": False}),
)


@dataclass(frozen=True)
class MappedSystem:
    """A published detector with known architecture.

    Arguments
    ---------
    kind : Kind
        How it was read.
    components : dict
        Name to class and settings of each part but a self-supervised front end, as in a config.json.
    state : dict
        Tensors of layer aggregation, back end and classifier, by this project's names.
    encoder : Checkpoint or None
        The self-supervised front end.
    left_out : dict
        Names of unused tensors, and why they are not used.
    provenance : str
        Name and SHA-256 of the source.
    """

    kind: Kind
    components: dict[str, dict[str, Any]]
    state: dict[str, torch.Tensor]
    encoder: Checkpoint | None
    left_out: dict[str, str]
    provenance: str

    @property
    def description(self) -> str:
        """The back end, and the front end with its size."""
        back_end = self.components["back_end"]["class"].rpartition(".")[2]
        return f"{back_end} on {self.encoder.description}" if self.encoder else back_end

    @property
    def used(self) -> int:
        """Number of tensors used."""
        return len(self.state) + (self.encoder.used if self.encoder else 0)

    @property
    def normalize(self) -> bool:
        """Whether waveforms are normalized; encoders with normalization over channels were pre-trained so."""
        is_large = self.encoder is not None and self.encoder.settings.get("feat_extract_norm") == "layer"
        return self.kind.may_normalize and is_large

    def settings(self) -> str:
        """Give the YAML of the detector, for :func:`antideepfake.model_folder.folder.write_model_folder`."""
        parts = []
        if self.encoder:
            parts.append(f"front_end: !new:antideepfake.lobes.{self.encoder.kind.__name__}\n")
        for name, values in self.components.items():
            text = yaml.safe_dump({key: value for key, value in values.items() if key != "class"}, sort_keys=False)
            parts.append(f"{name}: !new:{values['class']}\n" + indent(text, "  "))
        return "".join(parts)

    def windows(self) -> dict[str, float]:
        """Give the windowing of a model folder: recordings longer than a fixed length in windows of that length."""
        if "fixed_length" not in self.components:
            return {}
        seconds = self.components["fixed_length"]["n_samples"] / SAMPLE_RATE
        return {"utterance_seconds": seconds, "window_seconds": seconds}

    def build(self) -> dict[str, torch.nn.Module]:
        """Build the ``embedding_model`` and the ``classifier`` with these weights, in float32."""
        parts = _build_components(self.components)
        if self.encoder:
            parts["front_end"] = self.encoder.build(**self.kind.output_settings)
        _head(parts).load_state_dict(self.state)
        classifier = parts.pop("classifier")
        encoder: Any = UtteranceEncoder(**parts, normalize=self.normalize)  # type: ignore[arg-type]
        return {"embedding_model": encoder, "classifier": classifier}


def map_system(weights: Weights, num_attention_heads: int | None = None) -> MappedSystem | None:
    """Recognize a detector of other authors by its tensors, and map their names.

    Arguments
    ---------
    weights : Weights
        As :func:`antideepfake.checkpoints.read_weights` returns them.
    num_attention_heads : int, optional
        As for :func:`antideepfake.checkpoints.read_checkpoint`.

    Returns
    -------
    MappedSystem or None
        None if it is no detector of a known kind.

    Raises
    ------
    InputError
        When a tensor is missing, unknown, not finite or of the wrong shape: all names are listed.
    """
    prefix = next((name.removesuffix(ENCODER) for name in weights.state if name.endswith(ENCODER)), None)
    inner = {name: value for name, value in weights.state.items() if prefix and name.startswith(prefix)}
    outer = {name: value for name, value in weights.state.items() if name not in inner}
    kind = next((kind for kind in KINDS if kind.mark in outer), None)
    if kind is None:
        return None
    encoder = None
    if prefix:
        bare = {name.removeprefix(prefix): value for name, value in inner.items()}
        encoder = map_weights(Weights(bare, {}, weights.source, weights.provenance), num_attention_heads)
    components = kind.find_components(outer, weights.source, encoder)

    left_out = {name: text for name in outer for old, text in kind.left_out.items() if re.fullmatch(old, name)}
    originals = {kind.rename(name): name for name in outer if name not in left_out}
    state = {ours: outer[name] for ours, name in originals.items()}
    if kind.has_one_logit:
        state |= {
            name: torch.cat([torch.zeros_like(value), value])
            for name, value in state.items()
            if name.startswith("classifier.") and value.dim()  # a damaged one without dimensions is reported below
        }
    with torch.device("meta"):
        expected = _head(_build_components(components)).state_dict()
    check_tensors(weights, components["back_end"]["class"].rpartition(".")[2], state, expected, originals)
    if kind.is_reversed:
        state |= {name: state[name].flip(0) for name in state if name.startswith("classifier.linear.")}
    left_out |= {f"{prefix}{name}": text for name, text in (encoder.left_out if encoder else {}).items()}
    return MappedSystem(kind, components, state, encoder, left_out, weights.provenance)


def _head(parts: Mapping[str, torch.nn.Module]) -> torch.nn.ModuleDict:
    names = ("layer_aggregation", "back_end", "classifier")
    return torch.nn.ModuleDict({name: parts[name] for name in names if name in parts})


def _build_components(components: dict[str, dict[str, Any]]) -> dict[str, torch.nn.Module]:
    built = {}
    for name, values in components.items():
        kind: Any = find_class(values["class"])
        built[name] = kind(**{key: value for key, value in values.items() if key != "class"})
    return built
