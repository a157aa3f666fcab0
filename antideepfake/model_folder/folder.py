"""The model folder: all that a detector needs, and nothing that must be unpickled.

config.json         which modules, with which settings: plain data, for load_detector
hyperparams.yaml    the same for SpeechBrain's from_hparams; as any HyperPyYAML it can run code
model.safetensors   their weights
label_encoder.txt   which class has which index
metadata.json       threshold, classes, training corpora, provenance, license
README.md           the model card: the same for people
"""

import inspect
import json
import os
import pydoc
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import ruamel.yaml
import safetensors.torch
import torch
import yaml
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.fetching import FetchConfig, LocalStrategy
from speechbrain.utils.logger import get_logger
from speechbrain.utils.parameter_transfer import Pretrainer

from antideepfake import lobes
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, atomic_path, read_json
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd
from antideepfake.lobes.settings import check_settings
from antideepfake.model_folder.card import write_model_card
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES, LABEL_ENCODER, OLD_OOD_DETECTOR, OOD_DETECTOR
from antideepfake.model_folder.weights import read_safetensors
from antideepfake.protocol.table import LABELS

logger = get_logger(__name__)

# Shards of a detector, and the Python modules of this project and of torch that define classes for them.
PARTS = {
    "front_end": ("front_ends", "self_supervised"),
    "back_end": ("back_ends",),
    "classifier": ("classifiers", "linear"),
}
TYPES = (int, float, bool, str, list[int])  # of settings that a config.json may give

# Follows the parts' own settings in the hyperparams.yaml of every model folder.
LOADING = """
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
  front_end: !ref <front_end>
  back_end: !ref <back_end>
modules:
  compute_features: !new:torch.nn.Identity
  mean_var_norm: !new:antideepfake.lobes.PassThrough
  embedding_model: !ref <embedding_model>
  classifier: !ref <classifier>
model: !new:torch.nn.ModuleDict
  modules: !ref <modules>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
metadata: !new:antideepfake.model_folder.metadata.ModelMetadata
audio_normalizer: !new:antideepfake.audio.waveform.WaveformNormalizer
pretrainer: !new:antideepfake.model_folder.folder.ModelFolderPretrainer
  loadables:
    model: !ref <model>
    label_encoder: !ref <label_encoder>
    metadata: !ref <metadata>
"""


class ModelFolderPretrainer(Pretrainer):
    """SpeechBrain's pretrainer for the files of a model folder, under the names that they have there.

    Arguments
    ---------
    loadables : mapping
        ``model``, ``label_encoder`` and ``metadata``.
    """

    def __init__(self, loadables: Mapping[str, Any]) -> None:
        hooks = {"model": load_weights, "label_encoder": load_label_encoder, "metadata": ModelMetadata.load}
        super().__init__(loadables=loadables, custom_hooks=hooks)

    def collect_files(
        self,
        default_source: Any = None,
        local_strategy: LocalStrategy = LocalStrategy.SYMLINK,
        fetch_config: FetchConfig = FetchConfig(),  # noqa: B008  (as in SpeechBrain; it is immutable)
    ) -> dict[str, Path]:
        """Fetch the files from ``default_source``, a folder or a hub id."""
        self.add_paths({name: f"{default_source}/{file}" for name, file in FILES.items()})
        return super().collect_files(default_source, local_strategy, fetch_config)


def load_weights(module: torch.nn.Module, path: str | os.PathLike) -> None:
    """Load weights by name; every one must be present, with the right shape, and none left over.

    Arguments
    ---------
    module : torch.nn.Module
        Takes the weights.
    path : str or Path
        A safetensors file.

    Raises
    ------
    InputError
        When the file is damaged or does not fit; names the tensors.
    """
    state, expected = read_safetensors(path), module.state_dict()
    problems = [f"missing: {name}" for name in expected if name not in state]
    problems += [f"unknown: {name}" for name in state if name not in expected]
    problems += [
        f"of shape {list(state[name].shape)} instead of {list(value.shape)}: {name}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InputError(f"{path}: these weights are of another model; {'; '.join(problems[:5])}{more}")
    # in the module's own precision, whatever the file has; assigned, so that a module without memory takes them
    state = {name: value.to(expected[name].dtype) for name, value in state.items()}
    module.load_state_dict(state, assign=True)
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise InputError(f"{path}: holds weights that are not finite, in {', '.join(broken)}")


def load_label_encoder(encoder: CategoricalEncoder, path: str | os.PathLike) -> None:
    """Load which class has which index; it must be 0 for fake and 1 for real.

    Arguments
    ---------
    encoder : CategoricalEncoder
        Takes the classes.
    path : str or Path
        As :func:`write_model_folder` writes it.

    Raises
    ------
    InputError
        When the file says otherwise.
    """
    if Path(path).read_text(encoding="utf-8", errors="replace") != LABEL_ENCODER:
        raise InputError(f"{path}: not the classes of a detector; 'fake' must be 0 and 'real' 1")
    encoder.load(path)
    encoder.expect_len(len(LABELS))


def _describe_parts(settings: str, front_end: torch.nn.Module) -> dict[str, yaml.Node]:
    """Pick the parts of a detector from the YAML of its training.

    Arguments
    ---------
    settings : str
        The YAML, references resolved (``hyperpyyaml.resolve_references``).
    front_end : torch.nn.Module
        What the YAML built. One that was loaded from elsewhere tells its settings itself.

    Returns
    -------
    dict
        YAML nodes of ``front_end``, ``back_end`` and ``classifier``.

    Raises
    ------
    InputError
        When the YAML lacks one of them.
    """
    root = yaml.compose(settings)  # nodes, not values: tags such as !new: stay as they are
    nodes = {key.value: value for key, value in root.value}
    missing = [name for name in PARTS if name not in nodes]
    if missing:
        raise InputError(f"the YAML names no {', '.join(missing)}; a detector has {', '.join(PARTS)}")
    parts = {name: nodes[name] for name in PARTS}
    for node in parts.values():
        if node.tag.startswith("!new:"):
            node.tag = f"!new:{_public_name(node.tag.removeprefix('!new:'))}"
    if isinstance(front_end, SelfSupervisedFrontEnd):
        all_layers = {"all_layers": True} if front_end.all_layers else {}
        own = yaml.compose(yaml.safe_dump(front_end.settings | all_layers, sort_keys=False))
        own.tag = f"!new:antideepfake.lobes.{type(front_end).__name__}"
        parts["front_end"] = own
    return parts


def _as_plain_data(parts: Mapping[str, yaml.Node]) -> dict[str, dict[str, Any]]:
    """Turn YAML nodes into plain data: ``{"class": ..., **settings}`` of each part.

    Arguments
    ---------
    parts : mapping
        As :func:`_describe_parts` gives.

    Returns
    -------
    dict
        What a config.json holds.

    Raises
    ------
    InputError
        When a part is made of other classes than those of ``antideepfake.lobes`` and ``torch.nn.Linear``; names it.
    """
    plain = {}
    for name, node in parts.items():
        values = node.value if isinstance(node, yaml.MappingNode) else []
        try:
            text = yaml.serialize(yaml.MappingNode("tag:yaml.org,2002:map", values))
            settings = ruamel.yaml.YAML(typ="safe", pure=True).load(text)
        except ruamel.yaml.YAMLError:  # a tag further down
            raise InputError(f"the {name}, {node.tag}, holds further objects in its settings") from None
        plain[name] = {"class": node.tag.removeprefix("!new:"), **(settings or {})}
        _build_part(name, plain[name])  # raises where a config.json could not name it
    return plain


def _public_name(name: str) -> str:
    """Give the name that a config.json may hold for a class that a YAML names by any of its names.

    Example
    -------
    >>> _public_name("antideepfake.lobes.back_ends.MeanPooling")
    'antideepfake.lobes.MeanPooling'
    """
    try:
        found = pydoc.locate(name)
    except pydoc.ErrorDuringImport:
        return name
    names = ["torch.nn.Linear", *(f"antideepfake.lobes.{public}" for public in lobes.__all__)]
    return next((public for public in names if find_class(public) is found is not None), name)


def find_class(name: str) -> type[torch.nn.Module] | None:
    """Find a class that a config.json may name; None for all others.

    Example
    -------
    >>> find_class("antideepfake.lobes.MeanPooling"), find_class("os.system")
    (<class 'antideepfake.lobes.back_ends.MeanPooling'>, None)
    """
    if name == "torch.nn.Linear":
        return torch.nn.Linear
    module, _, kind = name.rpartition(".")
    found = getattr(lobes, kind) if module == "antideepfake.lobes" and kind in lobes.__all__ else None
    return found if isinstance(found, type) else None


def build_modules(path: str | os.PathLike) -> torch.nn.ModuleDict:
    """Build the modules of a ``config.json``; it can name no code but this project's.

    Arguments
    ---------
    path : str or Path
        As :func:`write_model_folder` writes it.

    Returns
    -------
    torch.nn.ModuleDict
        The modules of an ``EncoderClassifier``, without memory yet: :func:`load_weights` gives them their weights.

    Raises
    ------
    InputError
        When the file is damaged, names another class, or the sizes are absurd or do not fit together.

    Example
    -------
    >>> path = getfixture("tmp_path") / "config.json"
    >>> config = {
    ...     "front_end": {"class": "antideepfake.lobes.LogFilterBank", "n_filters": 20},
    ...     "back_end": {"class": "antideepfake.lobes.MeanPooling"},
    ...     "classifier": {"class": "torch.nn.Linear", "in_features": 20, "out_features": 2},
    ... }
    >>> _ = path.write_text(json.dumps(config))
    >>> build_modules(path)["classifier"]
    Linear(in_features=20, out_features=2, bias=True)
    """
    config = read_json(path)
    if set(config) != set(PARTS):
        found = ", ".join(key[:80] for key in config)
        raise InputError(f"{path}: must have {', '.join(PARTS)} and no other key; it has {found or 'none'}")
    try:
        parts = {name: _build_part(name, values) for name, values in config.items()}
        _check_sizes(**parts)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return lobes.assemble_detector(lobes.UtteranceEncoder(parts["front_end"], parts["back_end"]), parts["classifier"])


def _build_part(name: str, values: Any) -> torch.nn.Module:
    """Build a part of a detector from plain data, after checking it."""
    if not (isinstance(values, dict) and isinstance(values.get("class"), str)):
        raise InputError(f"the {name} has no 'class'; it must be an object with a class and its settings")
    settings = dict(values)
    named = settings.pop("class")
    kind = find_class(named)
    if kind is None or kind.__module__.rpartition(".")[2] not in PARTS[name]:
        raise InputError(f"the {name} is a {named[:80]}; a config.json may name a {name} of antideepfake.lobes")
    if not issubclass(kind, SelfSupervisedFrontEnd):  # which checks its own
        hints, parameters = get_type_hints(kind.__init__), inspect.signature(kind).parameters
        kinds = {key: hints[key] for key in parameters if hints.get(key) in TYPES}
        check_settings(named, settings, kinds)
        missing = [key for key in kinds if parameters[key].default is inspect.Parameter.empty and key not in settings]
        if missing:
            raise InputError(f"{named} lacks the setting {', '.join(missing)}")
    # no memory yet, whatever the sizes; filters follow from the settings and are not among the weights
    try:
        with torch.device("cpu" if kind is lobes.LogFilterBank else "meta"):
            return kind(**settings)
    except InputError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{named}: cannot be built of these settings ({' '.join(str(error).split())})") from None


def _check_sizes(front_end: Any, back_end: torch.nn.Module, classifier: torch.nn.Module) -> None:
    """Let frames without memory pass the back end and the classifier: what leaves one must fit the next."""
    if isinstance(front_end, SelfSupervisedFrontEnd):
        layers, size = front_end.model.config.num_hidden_layers, front_end.model.config.hidden_size
        shape = (1, layers + 1, 50, size) if front_end.all_layers else (1, 50, size)
    else:
        shape = (1, 50, front_end.filters.shape[1])
    try:
        with torch.device("meta"):
            embeddings = back_end.eval()(torch.empty(shape), torch.ones(1))
            logits = classifier.eval()(embeddings)
    except (RuntimeError, IndexError, ValueError) as error:
        raise InputError(f"the parts do not fit together: {' '.join(str(error).split())[:200]}") from None
    if logits.shape != (1, len(LABELS)):
        raise InputError(f"the classifier gives {list(logits.shape)[1:]} values; it must give {len(LABELS)}")


def write_model_folder(
    folder: str | os.PathLike,
    settings: str,
    modules: Mapping[str, torch.nn.Module],
    metadata: ModelMetadata,
    source: str = "",
) -> None:
    """Write a model folder that ``load_detector(folder)`` and ``EncoderClassifier.from_hparams(source=folder)`` load.

    Arguments
    ---------
    folder : str or Path
        Where to. Its config.json and hyperparams.yaml come last: a folder without them is not finished.
    settings : str
        The training YAML, references resolved (``hyperpyyaml.resolve_references``). Of its keys ``front_end``,
        ``back_end`` and ``classifier`` are taken. Where one is made of classes that are not of this project, a warning
        names it and no config.json is written: such a detector needs code of its own to load.
    modules : mapping
        ``embedding_model``, a :class:`antideepfake.lobes.UtteranceEncoder`, and ``classifier``.
    metadata : ModelMetadata
        What the folder is to remember.
    source : str
        Where others will load it from, for its README.md: a hub id or a path. By default ``folder``.

    Raises
    ------
    InputError
        When the YAML lacks one of the parts.
    """
    folder = Path(folder)
    embedding_model: Any = modules["embedding_model"]
    parts = _describe_parts(settings, embedding_model.front_end)
    keys = [(yaml.ScalarNode("tag:yaml.org,2002:str", name), node) for name, node in parts.items()]
    detector = yaml.serialize(yaml.MappingNode("tag:yaml.org,2002:map", keys))
    plain = None
    try:
        plain = _as_plain_data(parts)
    except InputError as error:
        logger.warning(
            f"{folder}: written without config.json, since {error}; to score with it, make its code importable and "
            "pass --trust_code (trust_code=True in Python)"
        )

    # of an earlier model: until the end nothing here loads
    for name in ("hyperparams.yaml", "config.json", OOD_DETECTOR, OLD_OOD_DETECTOR):
        (folder / name).unlink(missing_ok=True)
    weights = torch.nn.ModuleDict({name: modules[name] for name in ("embedding_model", "classifier")}).state_dict()
    with atomic_open(folder / FILES["label_encoder"]) as file:
        file.write(LABEL_ENCODER)
    with atomic_path(folder / FILES["model"]) as temporary:
        # from tensor to file: in memory, 2 billion weights would be there twice
        safetensors.torch.save_file({name: value.cpu().contiguous() for name, value in weights.items()}, temporary)
        shutil.copymode(folder / FILES["label_encoder"], temporary)  # safetensors lets nobody else read
    metadata.save(folder / FILES["metadata"])
    write_model_card(folder, source or os.fspath(folder), metadata)
    if plain is not None:
        with atomic_open(folder / "config.json") as file:
            json.dump(plain, file, indent=1)
    with atomic_open(folder / "hyperparams.yaml") as file:
        file.write("# A detector of generated speech. Loads with SpeechBrain's EncoderClassifier.from_hparams.\n")
        file.write(detector + LOADING)
