"""Faster products on a CPU."""

import torch
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from antideepfake.lobes.self_supervised import TimeConvolution


class PackedLinear(torch.nn.Module):
    """A linear layer whose weights lie in memory as oneDNN wants them; for inference.

    It is what ``torch.compile`` makes of a linear layer, without a compiler: some 10 to 25 % faster than ``Linear``.

    Arguments
    ---------
    weight : torch.Tensor
        Shape [out_features, in_features], float32 or bfloat16, on the CPU.
    bias : torch.Tensor, optional
        Shape [out_features].

    Example
    -------
    >>> linear = torch.nn.Linear(6, 4)
    >>> x = torch.randn(3, 5, 6)
    >>> torch.allclose(PackedLinear(linear.weight, linear.bias)(x), linear(x), atol=1e-6)
    True
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``x`` ([..., in_features]) to [..., out_features]."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


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
        parent: torch.nn.Module = module.get_submodule(name.rpartition(".")[0])
        # WavLM's attention takes the weights of its linear layers, not the layers
        if type(child) is torch.nn.Linear and not isinstance(parent, WavLMAttention):
            setattr(parent, name.rpartition(".")[2], PackedLinear(child.weight, child.bias))
        elif isinstance(child, TimeConvolution) and child.in_channels > 1:  # over the waveform there is nothing to gain
            child.product = PackedLinear(child.matrix(), child.bias)
            del child.weight
