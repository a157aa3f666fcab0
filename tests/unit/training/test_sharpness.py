"""Sharpness-aware minimization: where it moves the weights, and that it gives them back."""

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.training.sharpness import SharpnessAware


def _modules():
    frozen = torch.nn.Linear(3, 3).requires_grad_(False)
    return {
        "frozen": frozen,
        "layer": torch.nn.Linear(3, 4),
        "norm": torch.nn.BatchNorm1d(4),
        "unused": torch.nn.Linear(1, 1),
    }


def _loss(modules, inputs):
    return modules["norm"](modules["layer"](modules["frozen"](inputs))).pow(3).mean()


def test_weights_move_by_rho_along_the_gradient_and_return():
    modules, inputs = _modules(), torch.randn(5, 3)
    everything = torch.nn.ModuleDict(modules)
    trained = [parameter for parameter in everything.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in everything.parameters()]
    gradients = torch.autograd.grad(_loss(modules, inputs), trained, allow_unused=True)
    steps = dict(zip(trained, gradients, strict=True))
    direction = torch.cat(
        [(torch.zeros_like(p) if steps.get(p) is None else steps[p]).flatten() for p in everything.parameters()]
    )
    trained[0].grad = kept = torch.ones_like(trained[0])
    sharpness_aware = SharpnessAware(modules, 0.5)
    sharpness_aware.ascend(_loss(modules, inputs))
    moved = torch.cat(
        [(new - old).detach().flatten() for new, old in zip(everything.parameters(), before, strict=True)]
    )
    assert moved.norm() == pytest.approx(0.5, rel=1e-4)
    assert torch.dot(moved, direction) == pytest.approx(0.5 * direction.norm().item(), rel=1e-3)
    assert trained[0].grad is kept and (kept == 1).all()
    statistics = modules["norm"].running_mean.clone()
    _loss(modules, inputs)
    assert torch.equal(modules["norm"].running_mean, statistics)
    sharpness_aware.restore()
    sharpness_aware.restore()
    assert all(torch.equal(old, new) for old, new in zip(before, everything.parameters(), strict=True))
    _loss(modules, inputs)
    assert not torch.equal(modules["norm"].running_mean, statistics)


def test_a_gradient_of_zero_moves_nothing():
    layer = torch.nn.Linear(2, 1)
    before = layer.weight.detach().clone()
    SharpnessAware({"layer": layer}, 0.1).ascend(0 * layer(torch.ones(1, 2)).sum())
    assert torch.equal(layer.weight, before)


def test_the_radius_must_be_positive():
    with pytest.raises(InputError, match="sam_rho is 0; it must be above 0"):
        SharpnessAware(_modules(), 0)
