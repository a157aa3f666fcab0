"""From a file, folder or hub id to tensors; nothing is unpickled but tensors."""

import argparse
import json
import os
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors.torch
import torch
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError

from antideepfake.errors import InputError
from antideepfake.files import sha256

WEIGHT_FILES = ("*.safetensors", "*.ckpt", "*.pt", "*.pth", "pytorch_model*.bin")  # in this order of preference


class Inert:
    """Stands for an object in a checkpoint that is not needed; does nothing with what it is given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# What original fairseq checkpoints hold beside tensors. Nothing of it is run: fairseq's class is not even there.
HARMLESS: list[Any] = [argparse.Namespace, (Inert, "fairseq.data.dictionary.Dictionary")]


@dataclass(frozen=True)
class Weights:
    """Tensors by name, and what came with them.

    Arguments
    ---------
    state : dict
        Name to tensor.
    config : dict
        What the checkpoint (fairseq) or the folder's config.json (transformers) says of the architecture; may be empty.
    source : str
        Where from, for messages.
    provenance : str
        Where from, for a model folder to remember: a name, and the SHA-256 of the files.
    """

    state: dict[str, torch.Tensor]
    config: dict[str, Any]
    source: str
    provenance: str = ""


def fetch_folder(source: str | os.PathLike, patterns: tuple[str, ...]) -> Path:
    """Give a local folder, downloaded if ``source`` is a hub id.

    Arguments
    ---------
    source : str or Path
        A folder, or ``owner/name`` on the Hugging Face hub. What exists here, or lies in a folder that does, is a path.
    patterns : tuple of str
        Files to download.

    Returns
    -------
    Path
        The folder, or a path that is not there.

    Raises
    ------
    InputError
        When the hub has no such model or cannot be reached.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> fetch_folder(folder, ("*.json",)) == folder
    True
    """
    path = Path(source)
    is_id = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", os.fspath(source)) and not path.parent.exists()
    if path.exists() or not is_id:
        return path
    try:
        return Path(huggingface_hub.snapshot_download(os.fspath(source), allow_patterns=list(patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{source}: no such folder here, and not to be had from the hub ({reason})") from None


def read_weights(source: str | os.PathLike) -> Weights:
    """Read all tensors of a checkpoint.

    Arguments
    ---------
    source : str or Path
        A file (``.safetensors``, or ``.ckpt``, ``.pt``, ``.pth``, ``.bin`` of torch, flat or under ``model``), a folder
        that holds one (or several with their index), or a hub id.

    Returns
    -------
    Weights
        The tensors, on the CPU.

    Raises
    ------
    InputError
        When there is no such file, it is damaged, or it holds objects other than tensors.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.ckpt"
    >>> torch.save({"model": {"weight": torch.ones(2)}}, path)
    >>> read_weights(path).state
    {'weight': tensor([1., 1.])}
    """
    path = fetch_folder(source, (*WEIGHT_FILES, "*.json"))
    if not path.exists():
        raise InputError(f"{source}: no such file or folder")
    config: dict[str, Any] = {}
    files = [path]
    if path.is_dir():
        files = _weight_files(path)
        if (path / "config.json").is_file():
            try:
                config = dict(json.loads((path / "config.json").read_text(encoding="utf-8")))
            except ValueError as error:
                raise InputError(f"{path}/config.json: damaged ({error})") from None
    state: dict[str, torch.Tensor] = {}
    for file in files:
        tensors, found = _read_file(file)
        state.update(tensors)
        config = config or found
    name = os.fspath(source) if path.is_dir() else path.name
    return Weights(state, config, os.fspath(source), f"{name} (SHA-256 {sha256(files)})")


def _weight_files(folder: Path) -> list[Path]:
    for pattern in WEIGHT_FILES:
        files = sorted(folder.glob(pattern))
        if len(files) > 1 and not list(folder.glob("*.index.json")):
            names = ", ".join(file.name for file in files)
            raise InputError(f"{folder}: holds several checkpoints ({names}); name one of them")
        if files:
            return files
    raise InputError(f"{folder}: holds no weights ({', '.join(WEIGHT_FILES)})")


def _read_file(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read one file: its tensors, and what it says of the architecture."""
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path), {}
        except SafetensorError as error:
            raise InputError(f"{path}: not a whole safetensors file ({error})") from None
    try:
        with torch.serialization.safe_globals(HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        unknown = re.search(r"GLOBAL ([\w.]+)", str(error))
        if unknown is None:
            raise InputError(f"{path}: not a torch checkpoint, or damaged") from None
        raise InputError(
            f"{path}: holds objects other than tensors ({unknown[1]}), which could run code and are not opened; save "
            "its state dict alone where it comes from, or take it as safetensors"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path}: not a torch checkpoint, or damaged ({reason[0]})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, not tensors by name")
    state = content.get("model", content)
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    others = [str(name) for name in state if name not in tensors]
    if others or not tensors:
        raise InputError(
            f"{path}: not tensors by name, flat or under 'model'; it holds {', '.join(map(str, list(state)[:5]))}"
        )
    return tensors, _architecture(content) if "model" in content else {}


def _architecture(content: dict[str, Any]) -> dict[str, Any]:
    """What a fairseq checkpoint says of its model: ``cfg.model``, ``cfg`` (WavLM), or older ``args``."""
    config = content.get("cfg") or vars(content.get("args") or argparse.Namespace())
    if isinstance(config, dict) and isinstance(config.get("model"), dict | argparse.Namespace):
        config = config["model"]
    return dict(vars(config) if isinstance(config, argparse.Namespace) else config)
