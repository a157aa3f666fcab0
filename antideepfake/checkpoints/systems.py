"""Detectors of the field as their authors publish them: every tensor is used or left out for a reason."""

import re
from dataclasses import dataclass
from textwrap import indent
from typing import Any

import torch
import yaml

from antideepfake.audio.samples import SAMPLE_RATE
from antideepfake.checkpoints import aasist
from antideepfake.checkpoints.key_mapping import Checkpoint, check_tensors, map_weights
from antideepfake.checkpoints.loading import Weights
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.model_folder.folder import find_class

ENCODERS = ("ssl_model.model.",)  # prefixes of a self-supervised encoder in these detectors


@dataclass(frozen=True)
class System:
    """A published detector with known architecture.

    Arguments
    ---------
    components : dict
        Name to class and settings of each part but a self-supervised front end, as in a config.json.
    state : dict
        Tensors of back end and classifier, by this project's names.
    encoder : Checkpoint or None
        The self-supervised front end.
    left_out : dict
        Names of unused tensors, and why they are not used.
    provenance : str
        Name and SHA-256 of the source.
    """

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

    def settings(self) -> str:
        """Give the YAML of the detector, for :func:`antideepfake.model_folder.folder.write_model_folder`."""
        parts = []
        if self.encoder:
            parts.append(f"front_end: !new:antideepfake.lobes.{self.encoder.kind.__name__}\n")
        for name, values in self.components.items():
            text = yaml.safe_dump({key: value for key, value in values.items() if key != "class"}, sort_keys=False)
            parts.append(f"{name}: !new:{values['class']}\n" + indent("" if text == "{}\n" else text, "  "))
        return "".join(parts)

    def windows(self) -> dict[str, float]:
        """Give the windowing of a model folder: recordings longer than the fixed length in windows of that length."""
        length = self.components.get("fixed_length")
        seconds = length["n_samples"] / SAMPLE_RATE if length else 0
        return {"utterance_seconds": seconds, "window_seconds": seconds} if length else {}

    def build(self) -> dict[str, torch.nn.Module]:
        """Build the ``embedding_model`` and the ``classifier`` with these weights, in float32."""
        parts = _build_components(self.components)
        if self.encoder:
            parts["front_end"] = self.encoder.build()
        torch.nn.ModuleDict({name: parts[name] for name in ("back_end", "classifier")}).load_state_dict(self.state)
        classifier = parts.pop("classifier")
        return {"embedding_model": UtteranceEncoder(**parts, normalize=False), "classifier": classifier}


def map_system(weights: Weights, num_attention_heads: int | None = None) -> System | None:
    """Recognize a detector of the field by its tensors, and map their names.

    Arguments
    ---------
    weights : Weights
        As :func:`antideepfake.checkpoints.read_weights` returns them.
    num_attention_heads : int, optional
        As for :func:`antideepfake.checkpoints.read_checkpoint`.

    Returns
    -------
    System or None
        None if it is no detector of this kind.

    Raises
    ------
    InputError
        When a tensor is missing, unknown, not finite or of the wrong shape: all names are listed.
    """
    prefix = next((text for text in ENCODERS if any(name.startswith(text) for name in weights.state)), None)
    inner = {name: value for name, value in weights.state.items() if prefix and name.startswith(prefix)}
    outer = {name: value for name, value in weights.state.items() if name not in inner}
    if aasist.MARK not in outer:
        return None
    encoder = None
    if prefix:
        bare = {name.removeprefix(prefix): value for name, value in inner.items()}
        encoder = map_weights(Weights(bare, {}, weights.source, weights.provenance), num_attention_heads)
    components = aasist.find_components(outer, weights.source)

    reasons = {name: text for name in outer for old, text in aasist.LEFT_OUT.items() if re.fullmatch(old, name)}
    originals = {aasist.rename(name): name for name in outer if name not in reasons}
    state = {ours: outer[name] for ours, name in originals.items()}
    with torch.device("meta"):
        parts = _build_components(components)
    expected = torch.nn.ModuleDict({name: parts[name] for name in ("back_end", "classifier")}).state_dict()
    check_tensors(weights, components["back_end"]["class"].rpartition(".")[2], state, expected, originals)
    left_out = reasons | {f"{prefix}{name}": text for name, text in (encoder.left_out if encoder else {}).items()}
    return System(components, state, encoder, left_out, weights.provenance)


def _build_components(components: dict[str, dict[str, Any]]) -> dict[str, torch.nn.Module]:
    built = {}
    for name, values in components.items():
        kind: Any = find_class(values["class"])
        built[name] = kind(**{key: value for key, value in values.items() if key != "class"})
    return built
