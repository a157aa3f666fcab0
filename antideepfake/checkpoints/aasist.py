"""The published names of AASIST's tensors, and the architecture that they tell."""

import re
from typing import Any

import torch

from antideepfake.checkpoints.key_mapping import Checkpoint
from antideepfake.errors import InputError

MARK = "GAT_layer_S.att_weight"  # a tensor that no other detector has
# Parts of a published name to those of this project.
PARTS = {
    "pos_S": "graph.position",
    "first_bn": "norm",
    "bn2": "norm",
    "conv_downsample": "shortcut",
    "LL": "projection",
    "first_bn1": "encoder_norm",
    "GAT_layer_S": "graph.spectral_attention",
    "GAT_layer_T": "graph.temporal_attention",
    "pool_S": "graph.spectral_pool",
    "pool_T": "graph.temporal_pool",
    "proj": "score",
    "att_proj": "pair",
    "att_weight": "pair_score",
    "proj_with_att": "attended",
    "proj_without_att": "direct",
    "bn": "norm",
    "proj_type1": "temporal",
    "proj_type2": "spectral",
    "att_weight11": "pair_scores.0",
    "att_weight12": "pair_scores.1",
    "att_weight22": "pair_scores.2",
    "att_projM": "master_pair",
    "att_weightM": "master_score",
    "proj_with_attM": "master_attended",
    "proj_without_attM": "master_direct",
}
for _branch in (1, 2):
    _ours = f"graph.branches.{_branch - 1}"
    PARTS |= {
        f"master{_branch}": f"{_ours}.master",
        f"HtrgGAT_layer_ST{_branch}1": f"{_ours}.first",
        f"HtrgGAT_layer_ST{_branch}2": f"{_ours}.second",
        f"pool_hS{_branch}": f"{_ours}.spectral_pool",
        f"pool_hT{_branch}": f"{_ours}.temporal_pool",
    }
LEFT_OUT = {r"encoder\.\d+\.0\.bn1\..+": "normalizes what the published code computes and never uses"}
# Pool ratios are not in the weights: those of the published variants, by the size of a node in their graphs.
RATIOS = {
    64: {"spectral_ratio": 0.5, "temporal_ratio": 0.7, "branch_ratio": 0.5},  # AASIST
    24: {"spectral_ratio": 0.4, "temporal_ratio": 0.5, "branch_ratio": 0.7},  # AASIST-L
}


def rename(name: str) -> str:
    """Give this project's name of a tensor, below ``back_end`` or ``classifier``.

    Example
    -------
    >>> rename("HtrgGAT_layer_ST21.att_weight12"), rename("encoder.3.0.bn2.weight"), rename("out_layer.bias")
    ('back_end.graph.branches.1.first.pair_scores.1', 'back_end.encoder.3.norm.weight', 'classifier.bias')
    """
    if name.startswith("out_layer."):
        return name.replace("out_layer", "classifier")
    name = re.sub(r"^encoder\.(\d+)\.0\.", r"encoder.\1.", name)
    return "back_end." + ".".join(PARTS.get(part, part) for part in name.split("."))


def find_components(
    state: dict[str, torch.Tensor], source: str, encoder: Checkpoint | None = None
) -> dict[str, dict[str, Any]]:
    """Derive the parts of the detector from the shapes of its tensors.

    Arguments
    ---------
    state : dict
        Tensors by their published names, without those of a self-supervised encoder.
    source : str
        Of the tensors, for messages.
    encoder : Checkpoint or None
        The self-supervised front end; AASIST does not depend on it.

    Returns
    -------
    dict
        Name to class and settings of each part but a self-supervised front end.

    Raises
    ------
    InputError
        When tensors that tell the architecture are missing, or it is no published variant.
    """
    blocks = range(sum(re.fullmatch(r"encoder\.\d+\.0\.conv1\.weight", name) is not None for name in state))
    try:
        channels = [state[f"encoder.{block}.0.conv1.weight"].shape[0] for block in blocks]
        graph_size, branch_size = state[MARK].shape[0], state["pool_hS1.proj.weight"].shape[1]
        settings = {"channels": channels, "graph_size": graph_size, "branch_size": branch_size}
        if "LL.weight" in state:
            projection_size, n_features = state["LL.weight"].shape
            attention_size = state["attention.0.weight"].shape[0]
            sizes = {"projection_size": projection_size, "attention_size": attention_size}
            back_end = {"class": "antideepfake.lobes.SSLAASIST", "n_features": n_features, **sizes, **settings}
            front_end = {}
        else:
            back_end = {"class": "antideepfake.lobes.AASIST", **settings, **RATIOS[graph_size]}
            front_end = {"front_end": {"class": "antideepfake.lobes.SincFilterBank", "n_filters": 70}}
    except (KeyError, IndexError, ValueError):
        raise InputError(
            f"{source}: has tensors of AASIST, but is none of AASIST, AASIST-L and AASIST on self-supervised features "
            "as published, or is incomplete"
        ) from None
    return {
        **front_end,
        "back_end": back_end,
        "classifier": {"class": "torch.nn.Linear", "in_features": 5 * branch_size, "out_features": 2},
        "fixed_length": {"class": "antideepfake.lobes.FixedLength", "n_samples": 64600},
    }
