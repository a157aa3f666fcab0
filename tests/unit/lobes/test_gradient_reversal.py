"""Gradient reversal: the same values, the opposite gradient."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.lobes.gradient_reversal import reverse_gradient


@given(st.floats(0, 4, width=32))
def test_values_stay_and_the_gradient_is_reversed(weight):
    features = torch.randn(3, 5, requires_grad=True)
    result = reverse_gradient(features, weight)
    assert torch.equal(result, features)
    (gradient,) = torch.autograd.grad(result.square().sum(), features)
    assert torch.allclose(gradient, -weight * 2 * features)
