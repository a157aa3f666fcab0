"""The model folder: all files that a detector needs. Loading them unpickles nothing.

config.json         modules and their settings as plain data, for load_detector
hyperparams.yaml    the same for SpeechBrain's from_hparams; like any HyperPyYAML, it can run code
model.safetensors   weights of the modules
label_encoder.txt   index of each class
metadata.json       threshold, classes, training corpora, provenance, license
README.md           model card
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
from safetensors import SafetensorError
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.fetching import FetchConfig, LocalStrategy
from speechbrain.utils.logger import get_logger
from speechbrain.utils.parameter_transfer import Pretrainer

from antideepfake import lobes
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, atomic_path, explain_write_errors, read_json
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd
from antideepfake.lobes.settings import check_settings
from antideepfake.model_folder.card import write_model_card
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES, LABEL_ENCODER, OLD_OOD_DETECTOR, OOD_DETECTOR
from antideepfake.model_folder.weights import read_safetensors
from antideepfake.protocol.table import LABELS

logger = get_logger(__name__)

# Components of a detector -> Python modules of this package and of torch with the classes allowed for them.
COMPONENTS = {
    "front_end": ("front_ends", "self_supervised", "whisper"),
    "back_end": ("back_ends", "aasist", "ecapa", "frame_level", "mhfa", "nes2net", "sls"),
    "classifier": ("classifiers", "linear"),
    "layer_aggregation": ("layer_aggregation",),
    "fixed_length": ("fixed_length",),
    "second_branch": ("second_branches",),
}
OPTIONAL = ("layer_aggregation", "fixed_length", "second_branch")
# Components whose filters are computed from their settings and are not part of the weights.
ON_CPU = (lobes.LogFilterBank, lobes.SincFilterBank, lobes.SpectralFineStructure)
TYPES = (int, float, bool, str, list[int])  # types of settings that a config.json may contain

# The hyperparams.yaml of every model folder has the components first, then this text.
LOADING = """
normalize: {normalize}
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
  front_end: !ref <front_end>
  back_end: !ref <back_end>{optional}
  normalize: !ref <normalize>
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
  normalize: !ref <normalize>
pretrainer: !new:antideepfake.model_folder.folder.ModelFolderPretrainer
  loadables:
    model: !ref <model>
    label_encoder: !ref <label_encoder>
    metadata: !ref <metadata>
"""


class ModelFolderPretrainer(Pretrainer):
    """SpeechBrain's pretrainer for the files of a model folder.

    Arguments
    ---------
    loadables : mapping
        ``model``, ``label_encoder`` and ``metadata`` -> object to load.
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
        """Fetch the files from ``default_source``, a folder or a Hub id."""
        self.add_paths({name: f"{default_source}/{file}" for name, file in FILES.items()})
        return super().collect_files(default_source, local_strategy, fetch_config)


def load_weights(module: torch.nn.Module, path: str | os.PathLike) -> None:
    """Load weights by name. Names and shapes must match those of the module exactly.

    Arguments
    ---------
    module : torch.nn.Module
        Module that receives the weights.
    path : str or Path
        A safetensors file.

    Raises
    ------
    InputError
        If the file is damaged or does not match the module; the message names the tensors.
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
        details = "; ".join(problems[:5]) + more
        raise InputError(f"{path}: the weights belong to another model; use the files of one model folder ({details})")
    # Convert to the precision of the module. Assign, because a module on the meta device has no memory to copy to.
    state = {name: value.to(expected[name].dtype) for name, value in state.items()}
    module.load_state_dict(state, assign=True)
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise InputError(
            f"{path}: weights are not finite in {', '.join(broken)}; train again, or use another checkpoint"
        )


def load_label_encoder(encoder: CategoricalEncoder, path: str | os.PathLike) -> None:
    """Load the index of each class, which must be 0 for fake and 1 for real.

    Arguments
    ---------
    encoder : CategoricalEncoder
        Encoder that receives the classes.
    path : str or Path
        File that :func:`write_model_folder` wrote.

    Raises
    ------
    InputError
        If the file has other classes or indices.
    """
    if Path(path).read_text(encoding="utf-8", errors="replace") != LABEL_ENCODER:
        raise InputError(f"{path}: not the classes of a detector; 'fake' must be 0 and 'real' 1")
    encoder.load(path)
    encoder.expect_len(len(LABELS))


def _describe_components(settings: str, front_end: torch.nn.Module) -> dict[str, yaml.Node]:
    """Extract the components of a detector from its training YAML.

    Arguments
    ---------
    settings : str
        The YAML with resolved references (``hyperpyyaml.resolve_references``).
    front_end : torch.nn.Module
        The front end. A self-supervised one provides its own settings, which may come from a checkpoint.

    Returns
    -------
    dict
        YAML nodes of ``front_end``, ``back_end`` and ``classifier``, and of optional components that are not null.

    Raises
    ------
    InputError
        If the YAML lacks a component.
    """
    root = yaml.compose(settings)  # nodes keep tags such as !new:
    nodes = {key.value: value for key, value in root.value}
    required = [name for name in COMPONENTS if name not in OPTIONAL]
    missing = [name for name in required if name not in nodes]
    if missing:
        raise InputError(f"the YAML names no {', '.join(missing)}; it must define {', '.join(required)}")
    null = "tag:yaml.org,2002:null"
    components = {name: nodes[name] for name in COMPONENTS if name in nodes and nodes[name].tag != null}
    for node in components.values():
        if node.tag.startswith("!new:"):
            node.tag = f"!new:{_public_name(node.tag.removeprefix('!new:'))}"
    if isinstance(front_end, SelfSupervisedFrontEnd):
        own = yaml.compose(yaml.safe_dump(front_end.settings | front_end.output_settings, sort_keys=False))
        own.tag = f"!new:antideepfake.lobes.{type(front_end).__name__}"
        components["front_end"] = own
    return components


def _as_plain_data(components: Mapping[str, yaml.Node]) -> dict[str, dict[str, Any]]:
    """Convert YAML nodes to plain data: ``{"class": ..., **settings}`` for each component.

    Arguments
    ---------
    components : mapping
        Nodes, as :func:`_describe_components` returns them.

    Returns
    -------
    dict
        Content of a config.json.

    Raises
    ------
    InputError
        If a component uses a class outside ``antideepfake.lobes`` and ``torch.nn.Linear``; the message names it.
    """
    plain = {}
    for name, node in components.items():
        values = node.value if isinstance(node, yaml.MappingNode) else []
        try:
            text = yaml.serialize(yaml.MappingNode("tag:yaml.org,2002:map", values))
            settings = ruamel.yaml.YAML(typ="safe", pure=True).load(text)
        except ruamel.yaml.YAMLError:  # a tag inside the settings
            raise InputError(f"the {name}, {node.tag}, has objects in its settings") from None
        plain[name] = {"class": node.tag.removeprefix("!new:"), **(settings or {})}
        _build_component(name, plain[name])  # raises an error if a config.json may not name the class
    return plain


def _public_name(name: str) -> str:
    """Return the public name of a class, which a config.json may contain, for any of its names.

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
    """Return the class of a name that a config.json may contain; None for other names.

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


def load_modules(folder: str | os.PathLike) -> torch.nn.ModuleDict:
    """Build the modules of a model folder and load their weights.

    Arguments
    ---------
    folder : str or Path
        That :func:`write_model_folder` wrote.

    Returns
    -------
    torch.nn.ModuleDict
        The modules of an ``EncoderClassifier``, on the CPU.

    Raises
    ------
    InputError
        As for :func:`build_modules` and :func:`load_weights`; also when the sizes of the components do not match.
    """
    folder = Path(folder)
    modules = build_modules(folder / "config.json")
    load_weights(modules, folder / FILES["model"])
    try:
        _check_sizes(modules)
    except InputError as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from None
    return modules


def build_modules(path: str | os.PathLike) -> torch.nn.ModuleDict:
    """Build the modules of a ``config.json``, which can name only classes of this package and ``torch.nn.Linear``.

    Arguments
    ---------
    path : str or Path
        File that :func:`write_model_folder` wrote.

    Returns
    -------
    torch.nn.ModuleDict
        The modules of an ``EncoderClassifier`` on the meta device, for :func:`load_weights`.

    Raises
    ------
    InputError
        If the file is damaged or names another class, or if sizes are out of range.

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
    normalize = config.pop("normalize", True)
    if not isinstance(normalize, bool):
        raise InputError(f"{path}: normalize is {str(normalize)[:80]}; it must be true or false")
    required = [name for name in COMPONENTS if name not in OPTIONAL]
    if not set(required) <= set(config) <= set(COMPONENTS):
        found = ", ".join(key[:80] for key in config)
        raise InputError(
            f"{path}: must have {', '.join(required)}, may have {', '.join(OPTIONAL)}, normalize, and no other key; it "
            f"has {found or 'none'}"
        )
    try:
        components: dict[str, Any] = {name: _build_component(name, values) for name, values in config.items()}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    classifier = components.pop("classifier")
    return lobes.assemble_detector(lobes.UtteranceEncoder(**components, normalize=normalize), classifier)


def _build_component(name: str, values: Any) -> torch.nn.Module:
    """Validate the plain data of a component and build it."""
    if not (isinstance(values, dict) and isinstance(values.get("class"), str)):
        raise InputError(f"the {name} has no 'class'; it must be an object with a class and its settings")
    settings = dict(values)
    class_name = settings.pop("class")
    component = find_class(class_name)
    if component is None or component.__module__.rpartition(".")[2] not in COMPONENTS[name]:
        raise InputError(f"the {name} is a {class_name[:80]}; it must be a {name} of antideepfake.lobes")
    if not issubclass(component, SelfSupervisedFrontEnd):  # it checks its own settings
        hints, parameters = get_type_hints(component.__init__), inspect.signature(component).parameters
        types = {key: hints[key] for key in parameters if hints.get(key) in TYPES}
        check_settings(class_name, settings, types)
        missing = [key for key in types if parameters[key].default is inspect.Parameter.empty and key not in settings]
        if missing:
            raise InputError(f"{class_name} lacks the setting {', '.join(missing)}; add it")
    # The meta device allocates no memory, whatever the sizes.
    try:
        with torch.device("cpu" if component in ON_CPU else "meta"):
            return component(**settings)
    except InputError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{class_name}: cannot be built with these settings ({' '.join(str(error).split())})"
        ) from None


@torch.inference_mode()
def _check_sizes(modules: torch.nn.ModuleDict) -> None:
    """Check that the sizes of the components match, by a pass of empty frames through all but the front end.

    Without weights, on the meta device, the pass would make torch import its compiler, which takes seconds.
    """
    encoder: Any = modules["embedding_model"]
    front_end, back_end, second_branch = encoder.front_end, encoder.back_end, encoder.second_branch
    frames = getattr(back_end, "n_frames", 50)  # of a back end that not all numbers of frames suit
    if isinstance(front_end, SelfSupervisedFrontEnd):
        layers, size = front_end.model.config.num_hidden_layers, front_end.model.config.hidden_size
        shape = (1, layers + 1, frames, size) if front_end.all_layers else (1, frames, size)
    else:
        shape = (1, frames, front_end.n_filters)
    training = modules.training
    modules.eval()
    try:
        states, lengths = torch.zeros(shape), torch.ones(1)
        if encoder.layer_aggregation is not None:
            states = encoder.layer_aggregation(states, lengths)
        embeddings = back_end(states, lengths)
        if second_branch is not None:
            embeddings = torch.cat([embeddings, torch.zeros(1, second_branch.embedding_size)], 1)
        logits = modules["classifier"](embeddings)
    except (RuntimeError, IndexError, ValueError) as error:
        raise InputError(f"the sizes of the components do not match: {' '.join(str(error).split())[:200]}") from None
    finally:
        modules.train(training)
    if logits.shape != (1, len(LABELS)):
        raise InputError(
            f"the classifier has outputs of shape {list(logits.shape)[1:]}; it must have {len(LABELS)} outputs"
        )


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
        Output folder. Its config.json and hyperparams.yaml are written last: without them, the folder is incomplete.
    settings : str
        The training YAML with resolved references (``hyperpyyaml.resolve_references``). Only the keys ``front_end``,
        ``back_end``, ``classifier``, ``layer_aggregation``, ``fixed_length`` and ``second_branch`` are used. If one has
        a class outside this package, a warning names it and no config.json is written, because loading such a detector
        runs its code.
    modules : mapping
        ``embedding_model``, a :class:`antideepfake.lobes.UtteranceEncoder`, and ``classifier``.
    metadata : ModelMetadata
        Metadata of the detector.
    source : str
        Source from which others load the model, a Hub id or a path, for the README.md. By default ``folder``.

    Raises
    ------
    InputError
        If the YAML lacks a component.
    """
    folder = Path(folder)
    embedding_model: Any = modules["embedding_model"]
    components = _describe_components(settings, embedding_model.front_end)
    keys = [(yaml.ScalarNode("tag:yaml.org,2002:str", name), node) for name, node in components.items()]
    detector = yaml.serialize(yaml.MappingNode("tag:yaml.org,2002:map", keys))
    plain: dict[str, Any] | None = None
    try:
        plain = _as_plain_data(components)
    except InputError as error:
        logger.warning(
            f"{folder}: written without config.json, because {error}; to use it, make its code importable and pass "
            "--trust_code (trust_code=True in Python)"
        )

    # Delete the files of an earlier model first, so that an incomplete folder never loads.
    for name in ("hyperparams.yaml", "config.json", OOD_DETECTOR, OLD_OOD_DETECTOR):
        (folder / name).unlink(missing_ok=True)
    weights = torch.nn.ModuleDict({name: modules[name] for name in ("embedding_model", "classifier")}).state_dict()
    with atomic_open(folder / FILES["label_encoder"]) as file:
        file.write(LABEL_ENCODER)
    with atomic_path(folder / FILES["model"]) as temporary:
        # Write the tensors directly to the file; a copy in memory would double 2 billion weights.
        with explain_write_errors(folder, SafetensorError):
            safetensors.torch.save_file({name: value.cpu().contiguous() for name, value in weights.items()}, temporary)
        # safetensors makes the file readable only by its owner
        shutil.copymode(folder / FILES["label_encoder"], temporary)
    metadata.save(folder / FILES["metadata"])
    write_model_card(folder, source or os.fspath(folder), metadata)
    if plain is not None:
        if not embedding_model.normalize:
            plain["normalize"] = False
        with atomic_open(folder / "config.json") as file:
            json.dump(plain, file, indent=1)
    with atomic_open(folder / "hyperparams.yaml") as file:
        file.write("# A detector of generated speech. Loads with SpeechBrain's EncoderClassifier.from_hparams.\n")
        optional = "".join(f"\n  {name}: !ref <{name}>" for name in OPTIONAL if name in components)
        file.write(detector + LOADING.format(optional=optional, normalize=embedding_model.normalize))
