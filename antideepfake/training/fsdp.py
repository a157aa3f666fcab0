"""Fully sharded training: every process keeps a part of the weights, of their gradients and of the optimizer state.

It is ``fully_shard`` of torch; Zhao et al. (2023), PyTorch FSDP: Experiences on scaling fully sharded data parallel. A
process collects the weights of a layer from all processes before it computes the layer, and frees them afterwards.
Checkpoints have the content that they have without sharding, whatever the number of processes.
"""

import copy
import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map_only

from antideepfake.distributed import rank_and_size
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd


def shard(modules: Mapping[str, torch.nn.Module], device: str) -> dict[str, torch.nn.Module]:
    """Shard modules over all processes: each layer of a self-supervised front end by itself, then everything else.

    Arguments
    ---------
    modules : mapping
        Changed in place. All processes get the weights of the first one.
    device : str
        Type of the device that the modules are on: ``cuda`` or ``cpu``.

    Returns
    -------
    dict
        Copies of the modules that are not sharded and whose weights take no memory; :func:`load_whole` fills them.

    Example
    -------
    >>> import torch.distributed
    >>> torch.distributed.init_process_group("gloo", f"file://{getfixture('tmp_path')}/store", rank=0, world_size=1)
    >>> layer = torch.nn.Linear(3, 2)
    >>> whole = shard({"layer": layer}, "cpu")
    >>> type(layer.weight).__name__, layer(torch.ones(1, 3)).shape, whole["layer"].weight.device
    ('DTensor', torch.Size([1, 2]), device(type='meta'))
    >>> torch.distributed.destroy_process_group()
    """
    mesh = init_device_mesh(device, (rank_and_size()[1],))
    whole = {}
    for name, module in modules.items():
        broadcast([*module.parameters(), *module.buffers()])
        empty: dict[int, Any] = {
            id(weight): torch.nn.Parameter(weight.to("meta"), weight.requires_grad) for weight in module.parameters()
        }
        whole[name] = copy.deepcopy(module, empty)  # with these weights
        front_ends = [part for part in module.modules() if isinstance(part, SelfSupervisedFrontEnd)]
        for part in (*(layer for front_end in front_ends for layer in front_end.model.encoder.layers), module):
            part.register_forward_hook(_copy_views)
            fully_shard(part, mesh=mesh)
    return whole


def _copy_views(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
    """Copy outputs that are views: changed in place, they would lose the hook that collects the weights."""
    return tree_map_only(torch.Tensor, lambda value: value.clone() if value._is_view() else value, output)


@torch.no_grad()
def broadcast(tensors: Iterable[torch.Tensor]) -> None:
    """Give all processes the values of the first one."""
    for tensor in tensors:
        distributed.broadcast(tensor, 0)


def save_sharded(stateful: torch.nn.Module | torch.optim.Optimizer, path: str | os.PathLike) -> None:
    """Save the whole state of a module or an optimizer. All processes call it; the first one writes.

    The first process needs main memory for the whole state, and the device for one whole tensor at a time.

    Arguments
    ---------
    stateful : torch.nn.Module or torch.optim.Optimizer
        With sharded weights.
    path : str or Path
        Output file, as ``torch.save`` writes it for the same state without sharding.
    """
    is_first = rank_and_size()[0] == 0

    def collect(value: torch.Tensor) -> torch.Tensor | None:
        if isinstance(value, DTensor):
            value = value.full_tensor()  # from all processes
        return value.cpu() if is_first else None

    state = tree_map_only(torch.Tensor, collect, dict(stateful.state_dict()))
    if is_first:
        torch.save(state, path)


def load_sharded(stateful: Any, path: str | os.PathLike, end_of_epoch: bool = True) -> None:
    """Load the state of a module or an optimizer; every process reads its own part.

    Arguments
    ---------
    stateful : torch.nn.Module or torch.optim.Optimizer
        With sharded weights.
    path : str or Path
        File of :func:`save_sharded`, or of ``torch.save`` without sharding.
    end_of_epoch : bool
        SpeechBrain passes it; not used.
    """
    state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    if isinstance(stateful, torch.optim.Optimizer):
        weights = [weight for group in stateful.param_groups for weight in group["params"]]
        for index, moments in state["state"].items():
            state["state"][index] = {name: _own_part(value, weights[index]) for name, value in moments.items()}
    else:
        own = stateful.state_dict()
        state = {name: _own_part(value, own.get(name)) for name, value in state.items()}
    stateful.load_state_dict(state)


def _own_part(value: Any, weight: Any) -> Any:
    """Shard a tensor like the weight that it belongs to; leave other values, such as numbers of steps."""
    if not isinstance(weight, DTensor) or not isinstance(value, torch.Tensor) or value.shape != weight.shape:
        return value
    part = distribute_tensor(value, weight.device_mesh, weight.placements, src_data_rank=None)
    return part.clone()  # otherwise the whole tensor would stay in memory


def load_whole(module: torch.nn.Module, path: str | os.PathLike, end_of_epoch: bool = True) -> None:
    """Load all weights into a module without memory, on the CPU. The file backs them: memory is used where they change.

    Arguments
    ---------
    module : torch.nn.Module
        One that :func:`shard` returned.
    path : str or Path
        File of :func:`save_sharded`.
    end_of_epoch : bool
        SpeechBrain passes it; not used.
    """
    state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    module.load_state_dict(state, assign=True)
    module.cpu()  # buffers that are not part of the state
