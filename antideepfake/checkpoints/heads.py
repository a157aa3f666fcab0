"""The published names and architectures of Nes2Net, MHFA and SLS, whose tensors this project names alike."""

import re
from typing import Any

import torch

from antideepfake.checkpoints.key_mapping import Checkpoint
from antideepfake.errors import InputError
from antideepfake.lobes.self_supervised import WavLM

# Tensors that no other detector has; Nes2Net for singing voices also exists as Nes2Net-X, and comes first.
NES2NET_SINGING = "ssl_model.fc_att_merge.0.weight"
NES2NET = "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.weighted_sum.0"
MHFA = "cmp_linear_k.weight"
SLS = "fc3.weight"


def rename_nes2net(name: str) -> str:
    """Give this project's name of a tensor of Nes2Net or Nes2Net-X.

    Example
    -------
    >>> rename_nes2net("Nested_Res2Net_TDNN.bns.0.weight"), rename_nes2net("Nested_Res2Net_TDNN.fc.bias")
    ('back_end.bns.0.weight', 'classifier.bias')
    >>> rename_nes2net("ssl_model.fc_att_merge.2.weight")
    'layer_aggregation.fc_att_merge.2.weight'
    """
    name = name.replace("Nested_Res2Net_TDNN.", "back_end.", 1).replace("ssl_model.", "layer_aggregation.", 1)
    return name.replace("back_end.fc.", "classifier.")


def find_nes2net(state: dict[str, torch.Tensor], source: str, encoder: Checkpoint | None) -> dict[str, dict[str, Any]]:
    """Derive the parts of a Nes2Net-X, as :func:`antideepfake.checkpoints.aasist.find_components` does.

    The dilation is not in the weights: it is 1 on WavLM (ASVspoof 5), and 2 on XLS-R (ASVspoof 2019).
    """
    back_end = _find_nested(state, source) | {"dilation": 1 if encoder and encoder.kind is WavLM else 2}
    return {
        "back_end": back_end,
        "classifier": _find_linear(state),
        "fixed_length": {"class": "antideepfake.lobes.FixedLength", "n_samples": 64600},
    }


def find_nes2net_singing(
    state: dict[str, torch.Tensor], source: str, encoder: Checkpoint | None
) -> dict[str, dict[str, Any]]:
    """Derive the parts of a Nes2Net or Nes2Net-X for singing voices, which merges the layers of its encoder by SEA.

    Their dilation is 1. The activation, ReLU or SELU, has no weights, but the batch normalization after it has its
    mean: below 0 in some channel after SELU, in none after ReLU.
    """
    mean = state.get("Nested_Res2Net_TDNN.Build_in_Res2Nets.0.bn1.running_mean", torch.zeros(1))
    activation = "selu" if bool((mean < 0).any()) else "relu"
    return {
        "back_end": _find_nested(state, source) | {"dilation": 1, "activation": activation},
        "classifier": _find_linear(state),
        "layer_aggregation": {"class": "antideepfake.lobes.SEA", "n_layers": _last_size(state[NES2NET_SINGING])},
    }


def _find_nested(state: dict[str, torch.Tensor], source: str) -> dict[str, Any]:
    """Derive class and settings of a Nes2Net, except those that the shapes do not tell."""
    blocks = {found[1] for name in state if (found := re.search(r"\.Build_in_Res2Nets\.(\d+)\.", name))}
    first = "Nested_Res2Net_TDNN.Build_in_Res2Nets.0."
    groups = {found[1] for name in state if (found := re.match(rf"{re.escape(first)}convs\.(\d+)\.", name))}
    try:
        channels = state[f"{first}conv1.weight"].shape[1]
        hidden_size = state[f"{first}se.se.1.weight"].shape[0]
    except (KeyError, IndexError):
        raise InputError(f"{source}: an incomplete Nes2Net; tensors of the first block are missing") from None
    return {
        "class": "antideepfake.lobes.Nes2Net",
        "n_features": channels * (len(blocks) + 1),
        "n_groups": len(blocks) + 1,
        "scale": len(groups) + 1,
        "se_ratio": max(channels // max(hidden_size, 1), 1),
        "pooling": "attentive" if "Nested_Res2Net_TDNN.pooling.linear1.weight" in state else "mean",
        "stacked": NES2NET in state,
    }


def _find_linear(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Derive the classifier of a Nes2Net; one that is missing is reported with the other tensors."""
    weight = state.get("Nested_Res2Net_TDNN.fc.weight", torch.empty(2, 1))
    return {"class": "torch.nn.Linear", "in_features": _last_size(weight), "out_features": 2}


def _last_size(tensor: torch.Tensor) -> int:
    """Return the last size of a tensor, 1 if it has no dimensions: its shape is checked later."""
    return tensor.shape[-1] if tensor.dim() else 1


def rename_mhfa(name: str) -> str:
    """Give this project's name of a tensor of MHFA.

    Example
    -------
    >>> rename_mhfa("weights_k"), rename_mhfa("projection.trans.2.bias")
    ('back_end.weights_k', 'classifier.linear.bias')
    """
    if name.startswith("projection."):
        name = name.replace("projection.trans.0.", "classifier.norm.")
        return name.replace("projection.trans.2.", "classifier.linear.")
    return f"back_end.{name}"


def find_mhfa(state: dict[str, torch.Tensor], source: str, encoder: Checkpoint | None) -> dict[str, dict[str, Any]]:
    """Derive the parts of an MHFA, as :func:`antideepfake.checkpoints.aasist.find_components` does.

    The subtraction of the mean over features is not in the weights: the published recipes switch it on.
    """
    try:
        compression_size, n_features = state[MHFA].shape
        embedding_size = state["pooling_fc.weight"].shape[0]
        sizes = {"n_heads": state["att_head.weight"].shape[0], "n_layers": state["weights_k"].shape[0]}
    except (KeyError, IndexError, ValueError):
        raise InputError(f"{source}: an incomplete MHFA; tensors of its attention are missing") from None
    return {
        "back_end": {
            "class": "antideepfake.lobes.MHFA",
            "n_features": n_features,
            **sizes,
            "compression_size": compression_size,
            "embedding_size": embedding_size,
            "center_features": True,
        },
        "classifier": {"class": "antideepfake.lobes.BatchNormClassifier", "in_features": embedding_size},
    }


def rename_sls(name: str) -> str:
    """Give this project's name of a tensor of SLS.

    Example
    -------
    >>> rename_sls("first_bn.bias"), rename_sls("fc3.bias")
    ('back_end.first_bn.bias', 'classifier.fc3.bias')
    """
    return f"classifier.{name}" if name.startswith("fc3.") else f"back_end.{name}"


def find_sls(state: dict[str, torch.Tensor], source: str, encoder: Checkpoint | None) -> dict[str, dict[str, Any]]:
    """Derive the parts of an SLS, as :func:`antideepfake.checkpoints.aasist.find_components` does."""
    try:
        n_features = state["fc0.weight"].shape[1]
        embedding_size, pooled = state["fc1.weight"].shape
    except (KeyError, IndexError, ValueError):
        raise InputError(f"{source}: an incomplete SLS; tensors of fc0 or fc1 are missing") from None
    return {
        "back_end": {
            "class": "antideepfake.lobes.SLS",
            "n_features": n_features,
            "n_frames": max(pooled // max(n_features // 3, 1), 1) * 3,
            "embedding_size": embedding_size,
        },
        "classifier": {"class": "antideepfake.lobes.SELUClassifier", "in_features": embedding_size},
        "fixed_length": {"class": "antideepfake.lobes.FixedLength", "n_samples": 64600},
    }
