"""Faster products on a CPU."""

from typing import Any

import torch
from transformers.activations import GELUActivation

from antideepfake.lobes.self_supervised import TimeConvolution


class PackedLinear(torch.nn.Module):
    """A linear layer whose weights lie in memory as oneDNN wants them; for inference.

    It is what ``torch.compile`` makes of a linear layer, without a compiler; ``Linear`` sorts them anew at every call.

    Arguments
    ---------
    weight : torch.Tensor
        Shape [out_features, in_features], float32 or bfloat16, on the CPU.
    bias : torch.Tensor, optional
        Shape [out_features].
    activation : str
        ``gelu`` to apply that to the result, or ``none``.

    Example
    -------
    >>> linear = torch.nn.Linear(6, 4)
    >>> x = torch.randn(3, 5, 6)
    >>> torch.allclose(PackedLinear(linear.weight, linear.bias)(x), linear(x), atol=1e-6)
    True
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None, activation: str = "none") -> None:
        super().__init__()
        self.activation = activation
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``x`` ([..., in_features]) to [..., out_features]."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "none")


def can_pack(dtype: torch.dtype) -> bool:
    """Tell whether this processor and this build of torch have what :class:`PackedLinear` needs."""
    operators = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(operators, "_linear_pointwise")):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and operators._is_mkldnn_bf16_supported())


def pack_linears(module: torch.nn.Module) -> None:
    """Replace the linear layers and the convolutions over time within a module, in place; for inference on a CPU.

    Where :func:`can_pack` says no, everything stays as it is.

    Arguments
    ---------
    module : torch.nn.Module
        All of its weights are of one type.

    Example
    -------
    >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4))
    >>> pack_linears(module)
    >>> type(module[0]).__name__
    'PackedLinear'
    """
    if not can_pack(next(module.parameters()).dtype):
        return
    for name, child in list(module.named_modules()):
        parent: Any = module.get_submodule(name.rpartition(".")[0])
        if type(child) is torch.nn.Linear:
            activation = "none"
            if child is getattr(parent, "intermediate_dense", None):
                activation = _take_gelu(parent, "intermediate_act_fn")
            setattr(parent, name.rpartition(".")[2], PackedLinear(child.weight, child.bias, activation))
        elif isinstance(child, TimeConvolution) and child.in_channels > 1:  # over the waveform there is nothing to gain
            activation = "none" if hasattr(parent, "layer_norm") else _take_gelu(parent, "activation")
            child.product = PackedLinear(child.matrix(), child.bias, activation)
            del child.weight


def _take_gelu(parent: torch.nn.Module, name: str) -> str:
    """Leave the activation that follows a layer to the layer, if it is a GELU."""
    if not isinstance(getattr(parent, name), GELUActivation):
        return "none"
    setattr(parent, name, torch.nn.Identity())
    return "gelu"
