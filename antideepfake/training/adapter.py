"""LoRA adapters in the format of PEFT: what training has changed, to be stacked on the model folder it started from.

adapter_config.json         settings of the matrices
adapter_model.safetensors   the matrices, the back end and the classifier
metadata.json               of the trained detector: threshold, corpora, license
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from antideepfake.errors import InputError
from antideepfake.files import atomic_path, read_json
from antideepfake.inference.detector import Detector
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES
from antideepfake.model_folder.weights import read_safetensors
from antideepfake.training.adaptation import list_lora_layers

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FRONT_END = "embedding_model.front_end"
BASE = "base_sha256"  # in the header of the weights: the front end that the matrices were trained on
PREFIX = "base_model.model."  # of PEFT
# Settings of PEFT that change what the matrices mean; others concern training.
SETTINGS = ("r", "lora_alpha", "target_modules", "modules_to_save", "rank_pattern", "alpha_pattern", "use_rslora")


def write_adapter(folder: str | os.PathLike, modules: Mapping[str, torch.nn.Module], metadata: ModelMetadata) -> None:
    """Write the LoRA matrices of a trained detector, with its back end and its classifier.

    Arguments
    ---------
    folder : str or Path
        Output folder. adapter_config.json is written last: without it, the folder does not load.
    modules : mapping
        ``embedding_model``, with LoRA that is not merged, and ``classifier``.
    metadata : ModelMetadata
        Of the trained detector.

    Example
    -------
    >>> from antideepfake.lobes import MeanPooling, UtteranceEncoder, Wav2Vec2
    >>> from antideepfake.training.adaptation import add_lora
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> add_lora(front_end)
    >>> modules = {"embedding_model": UtteranceEncoder(front_end, MeanPooling()), "classifier": torch.nn.Linear(16, 2)}
    >>> write_adapter(getfixture("tmp_path") / "adapter", modules, ModelMetadata())
    """
    import peft  # takes seconds to import, and most training does without

    folder = Path(folder)
    detector = torch.nn.ModuleDict({name: modules[name] for name in ("embedding_model", "classifier")})
    layers = list_lora_layers(detector)
    (name,) = {adapter for layer in layers.values() for adapter in layer.active_adapters}
    first: Any = next(iter(layers.values()))
    parts = ["classifier", *(f"embedding_model.{name}" for name in ("back_end", "layer_aggregation", "second_branch"))]
    heads = [name for name, module in detector.named_modules() if name in parts and module.state_dict()]
    config = peft.LoraConfig(
        r=first.r[name],
        lora_alpha=first.lora_alpha[name],
        target_modules=sorted(layers),
        modules_to_save=heads,
        inference_mode=True,
    )
    state = {
        PREFIX + key.replace(f".{name}.", "."): value.detach().cpu().contiguous()
        for key, value in detector.state_dict().items()
        if ".lora_" in key or key.startswith(tuple(f"{head}." for head in heads))
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    with atomic_path(folder / WEIGHTS) as temporary:
        digest = compute_base_digest(detector.get_submodule(FRONT_END))
        safetensors.torch.save_file(state, temporary, {"format": "pt", BASE: digest})
    metadata.save(folder / FILES["metadata"])
    config.save_pretrained(os.fspath(folder))


def compute_base_digest(front_end: torch.nn.Module) -> str:
    """Compute the SHA-256 of the weights of a front end without its LoRA matrices."""
    digest = hashlib.sha256()
    for name, value in sorted(front_end.state_dict().items()):
        if ".lora_" not in name:
            digest.update(name.replace(".base_layer.", ".").encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def apply_adapter(detector: Detector, folder: str | os.PathLike) -> ModelMetadata:
    """Merge an adapter into a detector.

    Arguments
    ---------
    detector : Detector
        The base: its front end is that on which the adapter was trained. Changed in place.
    folder : str or Path
        A folder of :func:`write_adapter`, or of PEFT for the modules of a detector.

    Returns
    -------
    ModelMetadata
        Of the detector with the adapter: that of the folder, or what is known of the base.

    Raises
    ------
    InputError
        When the folder has no LoRA adapter, or one of another base.
    """
    import peft

    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: not an adapter in the format of PEFT; it has no {name}")
    values = read_json(folder / CONFIG)
    if values.get("peft_type") != "LORA" or values.get("use_dora") or values.get("bias", "none") != "none":
        raise InputError(f"{folder / CONFIG}: not a plain LoRA adapter; merge it with PEFT")
    with safetensors.safe_open(folder / WEIGHTS, "pt") as file:
        base = (file.metadata() or {}).get(BASE)
    state = read_safetensors(folder / WEIGHTS)
    embedding_model: Any = detector.mods["embedding_model"]
    if base and base != compute_base_digest(embedding_model.front_end):
        raise InputError(
            f"{folder}: trained on the front end of another model; pass the model that training started from"
        )
    modules = torch.nn.ModuleDict({name: detector.mods[name] for name in ("embedding_model", "classifier")})
    try:
        settings = {name: values[name] for name in SETTINGS if values.get(name) is not None}
        model = peft.get_peft_model(modules, peft.LoraConfig(**settings))  # type: ignore[arg-type]
        wanted = peft.get_peft_model_state_dict(model)
        problems = [f"missing: {name}" for name in wanted if name not in state]
        problems += [f"unknown: {name}" for name in state if name not in wanted]
        if problems:
            raise ValueError("; ".join(problems[:5]))
        peft.set_peft_model_state_dict(model, state)
        merged: Any = model.merge_and_unload()
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{folder}: does not fit this model ({' '.join(str(error).split())[:300]})") from None
    for name in ("embedding_model", "classifier"):
        detector.mods[name] = merged[name].requires_grad_(False).eval()
    detector.prepare()
    detector.ood_detector = None  # it was fitted to other embeddings
    if (folder / FILES["metadata"]).is_file():
        metadata = ModelMetadata()
        metadata.load(folder / FILES["metadata"])
        return metadata
    old = detector.metadata
    return ModelMetadata(
        training_corpora=old.training_corpora,
        training_attacks=old.training_attacks,
        provenance=f"{old.provenance or 'unknown model'}, with the adapter {folder.name}",
        license=old.license,
        windows=old.windows,
    )
