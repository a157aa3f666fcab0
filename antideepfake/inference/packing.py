"""Copies of modules for fast inference on a CPU; the originals stay as they are."""

import copy
from typing import Any, TypeVar

import torch

from antideepfake.lobes.self_supervised import TimeConvolution

Module = TypeVar("Module", bound=torch.nn.Module)

# Linear layers -> the activation that follows: in the encoders of transformers, and in Whisper.
ACTIVATIONS = {"intermediate_dense": "intermediate_act_fn", "fc1": "activation"}


class PackedLinear(torch.nn.Module):
    """A linear layer whose weights are stored in oneDNN's own memory layout; for inference.

    This is what ``torch.compile`` turns a linear layer into, without a compiler. ``torch.nn.Linear`` converts its
    weights to that layout at every call.

    Arguments
    ---------
    weight : torch.Tensor
        Shape [out_features, in_features], float32 or bfloat16, on the CPU.
    bias : torch.Tensor, optional
        Shape [out_features].
    activation : str
        ``gelu`` to apply a GELU to the result, or ``none``.

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


class PackedTimeConvolution(torch.nn.Module):
    """A :class:`antideepfake.lobes.self_supervised.TimeConvolution` with packed weights; for inference.

    Arguments
    ---------
    convolution : TimeConvolution
        The original, which stays as it is.
    dtype : torch.dtype
        float32 or bfloat16.
    activation : str
        As for :class:`PackedLinear`.

    Example
    -------
    >>> convolution = TimeConvolution(torch.nn.Conv1d(3, 4, kernel_size=2))
    >>> x = torch.randn(10, 3)
    >>> torch.allclose(PackedTimeConvolution(convolution, torch.float32)(x), convolution(x), atol=1e-6)
    True
    """

    def __init__(self, convolution: TimeConvolution, dtype: torch.dtype, activation: str = "none") -> None:
        super().__init__()
        self.windows = convolution.windows
        bias = None if convolution.bias is None else convolution.bias.to(dtype)
        self.product = PackedLinear(convolution.matrix().to(dtype), bias, activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``x`` ([time, in_channels]) without padding to [frames, out_channels]."""
        return self.product(self.windows(x))


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this processor and this build of torch support :class:`PackedLinear`."""
    operators = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(operators, "_linear_pointwise")):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and operators._is_mkldnn_bf16_supported())


def copy_for_inference(module: Module, dtype: torch.dtype = torch.float32, pack: bool = True) -> Module:
    """Copy a module for inference: in another precision, with packed linear layers and convolutions over time.

    Arguments
    ---------
    module : torch.nn.Module
        The original, which stays as it is. The copy shares every tensor that it neither packs nor converts.
    dtype : torch.dtype
        Precision of the copy: float32 or bfloat16.
    pack : bool
        Pack where :func:`can_pack` allows it; the module is then on the CPU.

    Returns
    -------
    torch.nn.Module
        For inference only: its ``state_dict`` lacks the packed weights.

    Example
    -------
    >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4))
    >>> fast = copy_for_inference(module)
    >>> type(fast[0]).__name__, type(module[0]).__name__
    ('PackedLinear', 'Linear')
    """
    fast = share_weights(module)
    if pack and can_pack(dtype):
        _pack_layers(fast, dtype)
    for part in fast.modules():  # new tensors: a conversion in place would change the original
        for name, weight in part.named_parameters(recurse=False):
            setattr(part, name, torch.nn.Parameter(weight.detach().to(dtype), requires_grad=False))
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.to(dtype) if buffer.is_floating_point() else buffer)
    return fast


def share_weights(module: Module) -> Module:
    """Copy the structure of a module, so that layers can be replaced; the tensors are those of the original.

    Example
    -------
    >>> linear = torch.nn.Linear(6, 4)
    >>> share_weights(linear).weight is linear.weight
    True
    """
    tensors = (*module.parameters(), *module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


def _pack_layers(module: torch.nn.Module, dtype: torch.dtype) -> None:
    """Replace the layers of a copy, one after another: converted weights are never all in memory twice."""
    for name, child in list(module.named_modules()):
        parent: Any = module.get_submodule(name.rpartition(".")[0])
        packed: torch.nn.Module
        if type(child) is torch.nn.Linear:
            follows = ACTIVATIONS.get(name.rpartition(".")[2])
            activation = _fuse_gelu(parent, follows) if follows else "none"
            bias = None if child.bias is None else child.bias.to(dtype)
            packed = PackedLinear(child.weight.to(dtype), bias, activation)
        elif isinstance(child, TimeConvolution) and child.in_channels > 1:  # the first one reads the float32 waveform
            activation = "none" if hasattr(parent, "layer_norm") else _fuse_gelu(parent, "activation")
            packed = PackedTimeConvolution(child, dtype, activation)
        else:
            continue
        setattr(parent, name.rpartition(".")[2], packed)


def _fuse_gelu(parent: torch.nn.Module, name: str) -> str:
    """Replace the activation that follows a layer by nothing if it is a GELU, which the packed layer then applies."""
    if not _is_gelu(getattr(parent, name)):
        return "none"
    setattr(parent, name, torch.nn.Identity())
    return "gelu"


def _is_gelu(activation: torch.nn.Module) -> bool:
    if type(activation).__module__.startswith("torch."):
        return isinstance(activation, torch.nn.GELU) and activation.approximate == "none"
    from transformers.activations import GELUActivation  # slow to import, and already imported by such an activation

    return isinstance(activation, GELUActivation)
