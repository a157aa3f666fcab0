"""Read tensors from a file, a folder or a Hub id; nothing but tensors is unpickled."""

import argparse
import os
import pickle
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from antideepfake.checkpoints.ctranslate2 import is_ctranslate2, read_ctranslate2
from antideepfake.errors import InputError
from antideepfake.files import read_json, sha256
from antideepfake.model_folder.weights import first_line, raise_system_error, read_safetensors, refuse_text

CTRANSLATE2 = "model.bin"
# in this order of preference
WEIGHT_FILES = ("*.safetensors", "*.ckpt", "*.pt", "*.pth", "pytorch_model*.bin", CTRANSLATE2)


class Inert:
    """Placeholder for an object in a checkpoint that is not needed; ignores its arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# Objects besides tensors in checkpoints: settings and a dictionary (fairseq), numpy numbers such as the error rate of
# an epoch. None of their code runs: all of these names but the first load as the class above.
HARMLESS: list[Any] = [argparse.Namespace]
HARMLESS += [
    (Inert, name)
    for name in (
        "fairseq.data.dictionary.Dictionary",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy.core.multiarray.scalar",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "_codecs.encode",  # bytes of a numpy number
    )
]
CONTAINERS = ("model", "state_dict", "model_state_dict", "net")  # keys under which training programs store the tensors
# Parts of a name that come from a wrapper: DistributedDataParallel, torch.compile, FSDP.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
NUMBERS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
NUMBERS |= {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


@dataclass(frozen=True)
class Weights:
    """The tensors of a checkpoint by name, with their origin.

    Arguments
    ---------
    state : dict
        Name to tensor.
    config : dict
        Description of the architecture in the checkpoint (fairseq, OpenAI's Whisper) or the folder's config.json
        (transformers); may be empty.
    source : str
        File, folder or Hub id, for messages.
    provenance : str
        Name and SHA-256 of the files, for the metadata of a model folder.
    """

    state: dict[str, torch.Tensor]
    config: dict[str, Any]
    source: str
    provenance: str = ""


def fetch_folder(source: str | os.PathLike, patterns: tuple[str, ...]) -> Path:
    """Find a local folder; download it if ``source`` is a Hub id.

    Arguments
    ---------
    source : str or Path
        A folder, or ``owner/name`` on the Hugging Face Hub. It is a path if it or its parent folder exists.
    patterns : tuple of str
        Files to download.

    Returns
    -------
    Path
        The folder; it may not exist.

    Raises
    ------
    InputError
        When the Hub has no such model or cannot be reached.

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
        raise InputError(f"{source}: not a local folder, and could not be downloaded from the Hub ({reason})") from None


def read_weights(source: str | os.PathLike) -> Weights:
    """Read all tensors of a checkpoint.

    Arguments
    ---------
    source : str or Path
        A file (``.safetensors``, or ``.ckpt``, ``.pt``, ``.pth``, ``.bin`` of torch, or ``model.bin`` of CTranslate2),
        a folder that contains one (or several with their index), or a Hub id. A torch file has its tensors at the top
        level, or under ``model``, ``state_dict``, ``model_state_dict`` or ``net``. The parts of names that wrappers add
        (``module.``, ``_orig_mod.``) are removed, and so is ``model.`` if all names begin with it.

    Returns
    -------
    Weights
        The tensors, on the CPU.

    Raises
    ------
    InputError
        When the file does not exist, is damaged, or contains objects other than tensors.

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
        # beside a model of CTranslate2, a config.json does not describe the architecture
        if (path / "config.json").is_file() and files[0].name != CTRANSLATE2:
            config = read_json(path / "config.json")
    state: dict[str, torch.Tensor] = {}
    for file in files:
        tensors, found = _read_file(file)
        state.update(tensors)
        config = config or found
    name = os.fspath(source) if path.is_dir() else path.name
    state = _strip_wrappers(state, source)
    return Weights(state, config, os.fspath(source), f"{name} (SHA-256 {sha256(files)})")


def _weight_files(folder: Path) -> list[Path]:
    for pattern in WEIGHT_FILES:
        files = sorted(folder.glob(pattern))
        if len(files) > 1 and not list(folder.glob("*.index.json")):
            names = ", ".join(file.name for file in files)
            raise InputError(f"{folder}: contains several checkpoints ({names}); pass one of them")
        if files:
            return files
    raise InputError(f"{folder}: contains no weights ({', '.join(WEIGHT_FILES)})")


def _strip_wrappers(state: dict[str, torch.Tensor], source: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Remove the parts of names that wrappers of a model add."""
    names = [".".join(part for part in name.split(".") if part not in WRAPPERS) for name in state]
    if all(name.startswith("model.") for name in names):  # the attribute of a LightningModule
        names = [name.removeprefix("model.") for name in names]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{source}: contains {twice[0]} with and without the prefix of a wrapper such as module.; keep one"
        )
    return dict(zip(names, state.values(), strict=True))


def _read_file(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read one file: its tensors, and its description of the architecture."""
    if path.suffix == ".safetensors":
        return read_safetensors(path), {}
    refuse_text(path)
    if is_ctranslate2(path):
        return read_ctranslate2(path), {}
    try:
        with torch.serialization.safe_globals(HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_whole_archive(path))
    except pickle.UnpicklingError as error:
        unknown = re.search(r"GLOBAL ([\w.]+)", str(error))
        if unknown is None:
            raise InputError(f"{path}: not a torch checkpoint, or damaged") from None
        raise InputError(
            f"{path}: contains objects other than tensors ({unknown[1]}), which could run code and are not loaded; "
            "save its state dict alone, or as safetensors"
        ) from None
    except Exception as error:  # torch and its unpickler raise many types for a damaged file
        raise_system_error(error)
        raise InputError(f"{path}: not a torch checkpoint, or damaged ({first_line(error)})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: contains a {type(content).__name__}, not tensors by name; save the state dict")
    container = next((name for name in CONTAINERS if isinstance(content.get(name), dict)), None)
    state = content if container is None else content[container]
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    numbers = [name for name, value in state.items() if value is None or isinstance(value, int | float | str | Inert)]
    if not tensors or len(tensors) + len(numbers) < len(state) or not all(isinstance(name, str) for name in state):
        raise InputError(
            f"{path}: not tensors by name, at the top level or under one of {', '.join(CONTAINERS)}; it contains "
            f"{', '.join(str(name)[:80] for name in list(state)[:5] if isinstance(name, str | int))}"
        )
    for name, value in tensors.items():
        # strides of 0 turn a byte into a tensor of terabytes, which a copy would allocate
        if not (
            value.layout is torch.strided
            and value.device.type == "cpu"
            and value.dtype in NUMBERS
            and value.nbytes <= value.untyped_storage().nbytes()
        ):
            raise InputError(f"{path}: {name[:80]} is not a plain tensor of numbers; save the state dict alone")
    if isinstance(content.get("dims"), dict):  # OpenAI's Whisper
        return tensors, {"dims": content["dims"]}
    return tensors, _architecture(content) if container == "model" else {}


def _is_whole_archive(path: Path) -> bool:
    """Check whether a file is a ZIP archive, torch's current format; refuse one that unpacks to more than its size."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:  # torch never compresses
            raise ValueError("the sizes of its entries exceed that of the file")
    return True


def _architecture(content: dict[str, Any]) -> dict[str, Any]:
    """Find the settings of a fairseq checkpoint: ``cfg.model``, ``cfg`` (WavLM), or older ``args``; else nothing."""
    found = [content[key] for key in ("cfg", "args") if isinstance(content.get(key), dict | argparse.Namespace)]
    config: dict[str, Any] = _as_dict(found[0]) if found else {}
    model = config.get("model")
    return _as_dict(model) if isinstance(model, dict | argparse.Namespace) else config


def _as_dict(config: dict[str, Any] | argparse.Namespace) -> dict[str, Any]:
    return dict(vars(config) if isinstance(config, argparse.Namespace) else config)
