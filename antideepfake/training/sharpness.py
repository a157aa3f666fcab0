"""Sharpness-aware minimization: gradients at the worst weights in a small neighborhood."""

from collections.abc import Mapping

import torch

from antideepfake.errors import InputError

BATCH_NORMALIZATION = torch.nn.modules.batchnorm._BatchNorm


class SharpnessAware:
    """Move the weights of a detector to where the loss of a batch is highest nearby, and back.

    Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization (2021): with the gradient g of
    a batch at the weights w, a step descends along the gradient at w + rho g / ||g|| instead of g. The norm is that
    over all trained weights. The neighbor is that of each batch by itself, also when gradients of several batches or
    processes are averaged (m-sharpness, section 4.1 of the paper).

    Arguments
    ---------
    modules : mapping
        Of the detector.
    rho : float
        Radius of the neighborhood; the paper's default is 0.05.

    Raises
    ------
    InputError
        When the radius is not above 0.

    Example
    -------
    >>> layer = torch.nn.Linear(1, 1, bias=False)
    >>> _ = torch.nn.init.constant_(layer.weight, 2.0)
    >>> sharpness_aware = SharpnessAware({"layer": layer}, rho=0.5)
    >>> sharpness_aware.ascend(layer.weight.square().sum())
    >>> layer.weight.item()
    2.5
    >>> sharpness_aware.restore()
    >>> layer.weight.item()
    2.0
    """

    def __init__(self, modules: Mapping[str, torch.nn.Module], rho: float) -> None:
        if not rho > 0:
            raise InputError(f"sam_rho is {rho}; it must be above 0, such as 0.05, or null")
        self.rho = rho
        everything = torch.nn.ModuleDict(modules)
        self._parameters = [parameter for parameter in everything.parameters() if parameter.requires_grad]
        self._norms = [module for module in everything.modules() if isinstance(module, BATCH_NORMALIZATION)]
        self._kept: list[torch.Tensor] = []
        self._momenta: list[float | None] = []

    def ascend(self, loss: torch.Tensor) -> None:
        """Move the weights up the gradient of a loss.

        Accumulated gradients stay as they are. Until :meth:`restore`, batch normalization keeps its averages.
        """
        gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        with torch.no_grad():
            norm = torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None])
            self._kept = [parameter.detach().clone() for parameter in self._parameters]
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.add_(gradient * (self.rho / (norm + 1e-12)))
        self._momenta = [module.momentum for module in self._norms]
        for module in self._norms:
            module.momentum = 0.0

    @torch.no_grad()
    def restore(self) -> None:
        """Give back the weights, to the last bit; do nothing if they were not moved."""
        for parameter, kept in zip(self._parameters, self._kept, strict=bool(self._kept)):
            parameter.copy_(kept)
        for module, momentum in zip(self._norms, self._momenta, strict=bool(self._momenta)):
            module.momentum = momentum
        self._kept, self._momenta = [], []
