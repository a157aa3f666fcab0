"""Gradient reversal: features that a classifier of nuisances cannot use."""

from typing import Any

import torch


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, weight: float) -> torch.Tensor:
        ctx.weight = weight
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.weight * gradients[0], None


def reverse_gradient(features: torch.Tensor, weight: float) -> torch.Tensor:
    """Return features unchanged, but with their gradient times -weight.

    A classifier that follows learns as always, and what comes before learns to make it fail (Ganin and Lempitsky,
    Unsupervised Domain Adaptation by Backpropagation, 2015).

    Arguments
    ---------
    features : torch.Tensor
        Of any shape.
    weight : float
        Strength of the reversed gradient, 0 or more.

    Returns
    -------
    torch.Tensor
        The features.

    Example
    -------
    >>> features = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(features, 0.5).sum().backward()
    >>> features.grad
    tensor([-0.5000, -0.5000])
    """
    return _Reversal.apply(features, weight)
