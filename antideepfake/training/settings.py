"""The YAML of an experiment: its keys and their types, and the detector that they describe."""

import inspect
import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import partial
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import torch
import yaml

from antideepfake.checkpoints.initialization import start_from
from antideepfake.dataio.datasets import RandomCrop
from antideepfake.errors import InputError
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.training.adaptation import adapt
from antideepfake.training.hparams import HyperParameters, children, load_hparams, read_include, read_nodes

# Keys of version 0.1 that training now sets up itself.
REMOVED_KEYS = ("save_folder", "__set_seed", "embedding_model", "modules", "__start", "__adapt", "checkpointer")
RENAMED_KEYS = {"licence": "license"}
POSITIVE = ("lr", "max_steps", "number_of_epochs", "valid_interval", "batch_seconds", "valid_batch_seconds")


@dataclass
class ExperimentSettings:
    """The keys of a training YAML. A recipe may have more; those with a default may be left out.

    Arguments
    ---------
    data_folder : str
        What ``$ROOT`` stands for in protocols.
    output_folder, model_folder : str
        Folders for everything that training writes, and for the trained model.
    corpora, start_corpora : list of str
        Corpora of the training data, and of the training data of ``start_from``.
    license : str or None
        SPDX id of the license of the corpora.
    seed : int
        Of all random numbers.
    front_end, back_end, classifier : torch.nn.Module
        The parts of the detector.
    layer_aggregation, fixed_length, second_branch, normalize : torch.nn.Module or None, bool
        As for :class:`antideepfake.lobes.UtteranceEncoder`.
    start_from : str or None
        Weights to start from, as for :func:`antideepfake.checkpoints.start_from`.
    frozen_layers, lora_rank, gradient_checkpointing :
        As for :func:`antideepfake.training.adapt`.
    brain_class : callable
        :class:`antideepfake.training.DetectorBrain` or a subclass; takes further keys as for ``lr_schedule``.
    loss : callable
        Of logits [batch, 2] and targets [batch].
    opt_class : callable
        An optimizer class; takes further keys as for ``lr_schedule``.
    lr_schedule : callable
        A class (``!name:``), which is called with the keys of the YAML that its arguments are named after, or an
        object (``!new:``). The object is called with the optimizer before each step.
    lr : float
        Learning rate after the warm-up.
    layer_decay : float
        As for :func:`antideepfake.training.parameter_groups`.
    max_steps, number_of_epochs : int, float
        Training ends after this many optimizer steps or passes over the training set, whichever comes first.
    valid_interval : int
        Optimizer steps between validations.
    patience : int or None
        Stop after this many validations without EER improvement.
    batch_seconds, valid_batch_seconds : float
        Audio in a batch, padding included.
    num_buckets : int
        Groups of utterances by length.
    num_workers : int
        Processes that read audio.
    crop : RandomCrop or None
        Of the training utterances.
    augmentation : callable or None
        Of the training utterances: waveform and ``numpy.random.Generator`` to waveform.
    splice : float or None
        Fraction of the spoofed training utterances to splice into bona fide ones
        (:class:`antideepfake.augment.splice.TrainingSplices`).
    skip_limit : int
        Abort after this many unusable training and validation files.
    mask_padding : bool
        If false, the padding of a batch counts as speech.
    clean_validation : bool
        If false, validation utterances are cropped and augmented like training utterances.
    ema_decay : float or None
        Validate and export the moving average of the weights
        (:class:`antideepfake.training.averaging.MovingAverage`).
    average_validations : int or None
        Validate and export the mean of the weights at so many of the last validations
        (:class:`antideepfake.training.averaging.ValidationAverage`).
    sam_rho : float or None
        Radius of sharpness-aware minimization (:class:`antideepfake.training.sharpness.SharpnessAware`), with which a
        step takes twice as long.
    fsdp : bool
        Shard weights, gradients and optimizer state over the processes of ``torchrun``
        (:func:`antideepfake.training.fsdp.shard`).
    """

    data_folder: str
    output_folder: str
    model_folder: str
    corpora: list[str]
    start_corpora: list[str]
    license: str | None
    seed: int
    front_end: torch.nn.Module
    back_end: torch.nn.Module
    classifier: torch.nn.Module
    start_from: str | None
    brain_class: Callable[..., Any]
    loss: Callable[..., Any]
    opt_class: Callable[..., Any]
    lr_schedule: Callable[..., Any]
    lr: float
    max_steps: int
    number_of_epochs: float
    valid_interval: int
    batch_seconds: float
    valid_batch_seconds: float
    num_buckets: int
    num_workers: int
    crop: RandomCrop | None
    augmentation: Callable[..., Any] | None
    patience: int | None = None
    splice: float | None = None
    layer_decay: float = 1.0
    skip_limit: int = 100
    mask_padding: bool = True
    clean_validation: bool = True
    ema_decay: float | None = None
    average_validations: int | None = None
    sam_rho: float | None = None
    fsdp: bool = False
    frozen_layers: int | None = None
    lora_rank: int | None = None
    gradient_checkpointing: bool = False
    layer_aggregation: torch.nn.Module | None = None
    fixed_length: torch.nn.Module | None = None
    second_branch: torch.nn.Module | None = None
    normalize: bool = True


# What a value of each type must be, in words, and a test of it.
TYPES: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    NoneType: ("null", lambda value: value is None),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: type(value) is int),
    float: ("a number", lambda value: type(value) in (int, float) and isfinite(value)),
    str: ("text", lambda value: isinstance(value, str)),
    list[str]: (
        "a list of names",
        lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    ),
    Callable[..., Any]: ("a class (!name:) or an object (!new:) that can be called", callable),
    torch.nn.Module: ("a torch module (!new:)", lambda value: isinstance(value, torch.nn.Module)),
    RandomCrop: ("a RandomCrop (!new:)", lambda value: isinstance(value, RandomCrop)),
}


def load_experiment(file: str | os.PathLike, overrides: str = "") -> HyperParameters:
    """Read and check the YAML of an experiment, and build its detector.

    Arguments
    ---------
    file, overrides :
        As for :func:`antideepfake.training.load_hparams`.

    Returns
    -------
    HyperParameters
        The keys of :class:`ExperimentSettings`, further keys of the YAML, and ``modules``: the detector with the
        weights that training starts from.

    Raises
    ------
    InputError
        When a key is missing, has a value of the wrong type, or is of version 0.1; names the line.
    """
    _refuse_old_keys(file)
    _refuse_old_settings(file, overrides)
    hparams = load_hparams(file, overrides)
    check_settings(hparams)
    hparams["modules"] = build_detector(hparams)
    return hparams


def _refuse_old_keys(file: str | os.PathLike) -> None:
    """Say how to update a YAML that was written for version 0.1."""
    if not Path(file).is_file():
        return  # load_hparams says so
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    removed = []
    for number, line in enumerate(lines, 1):
        key = line.partition(":")[0]
        if "front_end[pretrained]" in line.partition("#")[0]:
            raise InputError(f"{file}:{number}: 'pretrained' is now called 'weights_source'; rename it")
        if key in RENAMED_KEYS:
            raise InputError(f"{file}:{number}: '{key}' is now called '{RENAMED_KEYS[key]}'; rename it")
        if key in REMOVED_KEYS:
            removed.append((number, key))
    if removed:
        names = ", ".join(f"{key} (line {number})" for number, key in removed)
        raise InputError(
            f"{file}:{removed[0][0]}: training now sets up modules, starting weights and checkpoints itself; delete "
            f"these keys and what is indented below them: {names}"
        )


def _refuse_old_settings(file: str | os.PathLike, overrides: str) -> None:
    """Say how to update settings below a key that a class no longer takes."""
    try:
        text = Path(file).read_text(encoding="utf-8")
        nodes = read_nodes(text) | read_nodes(overrides)
        front_end, brain = (nodes.get(key, yaml.ScalarNode("", "")) for key in ("front_end", "brain_class"))
        included, settings = read_include(file, front_end)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return  # load_hparams says so
    if refresh := children(brain).get("refresh"):
        line = refresh.start_mark.line + 1
        raise InputError(f"{file}:{line}: 'refresh' is now 'policy_refresh', a key of the YAML; delete this line")
    # A front end takes 'pretrained', with a warning; only references to the new name fail.
    if "front_end[weights_source]" not in text + overrides or "weights_source" in {**settings, **children(front_end)}:
        return
    for path, names in ((included, settings), (file, children(front_end))):
        if old := names.get("pretrained"):
            line = old.start_mark.line + 1
            raise InputError(f"{path}:{line}: 'pretrained' is now called 'weights_source'; rename it")


def check_settings(hparams: HyperParameters) -> None:
    """Check the values of a training YAML against :class:`ExperimentSettings`, and add the defaults of missing keys.

    Raises
    ------
    InputError
        At the first missing key or wrong value.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.yaml"
    >>> _ = path.write_text("data_folder: 3")
    >>> check_settings(load_hparams(path))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    antideepfake.errors.InputError: ...train.yaml:1: data_folder is 3; it must be text
    """
    kinds = get_type_hints(ExperimentSettings)
    for setting in fields(ExperimentSettings):
        name, kind = setting.name, kinds[setting.name]
        if setting.default is not MISSING:
            hparams.setdefault(name, setting.default)
        value = hparams[name]
        choices = [TYPES[choice] for choice in ([kind] if kind in TYPES else get_args(kind))]
        if not any(is_right(value) for _, is_right in choices):
            wanted = " or ".join(text for text, _ in choices)
            raise InputError(f"{hparams.where(name)} is {str(value)[:80]}; it must be {wanted}")
        if name in POSITIVE and value <= 0:
            raise InputError(f"{hparams.where(name)} is {value}; it must be above 0")


def build_detector(hparams: HyperParameters) -> dict[str, torch.nn.Module]:
    """Build the detector of an experiment: its parts, the weights to start from, and which of them are trained.

    Arguments
    ---------
    hparams : HyperParameters
        ``front_end``, ``back_end``, ``classifier``, ``layer_aggregation``, ``fixed_length``, ``second_branch``,
        ``normalize``, ``start_from``, ``frozen_layers``, ``lora_rank`` and ``gradient_checkpointing``.

    Returns
    -------
    dict
        ``embedding_model``, a :class:`antideepfake.lobes.UtteranceEncoder`, and ``classifier``.

    Raises
    ------
    InputError
        As :func:`antideepfake.checkpoints.start_from` and :func:`antideepfake.training.adapt`.
    """
    front_end, classifier = hparams["front_end"], hparams["classifier"]
    optional = {name: hparams.get(name) for name in ("layer_aggregation", "fixed_length", "second_branch")}
    embedding_model = UtteranceEncoder(
        front_end, hparams["back_end"], **optional, normalize=hparams.get("normalize", True)
    )
    start_from(embedding_model, classifier, hparams["start_from"])
    adapt(front_end, hparams["frozen_layers"], hparams["lora_rank"], hparams["gradient_checkpointing"])
    return {"embedding_model": embedding_model, "classifier": classifier}


def bind_keys(factory: Callable[..., Any], hparams: HyperParameters) -> Callable[..., Any]:
    """Bind those arguments of a class or function that keys of the YAML are named after.

    Arguments
    ---------
    factory : callable
        What ``!name:`` gives. Arguments that are set below it in the YAML stay as they are.
    hparams : HyperParameters
        Keys and values.

    Example
    -------
    >>> def schedule(lr, n_warmup_steps=0):
    ...     return lr, n_warmup_steps
    >>> bind_keys(schedule, HyperParameters({"lr": 0.1, "seed": 1}, "train.yaml"))()
    (0.1, 0)
    """
    bound = factory.keywords if isinstance(factory, partial) else {}
    names = [name for name in inspect.signature(factory).parameters if name in hparams and name not in bound]
    return partial(factory, **{name: hparams[name] for name in names})
