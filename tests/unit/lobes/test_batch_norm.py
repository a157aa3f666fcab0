"""Batch normalization, also of a batch of one."""

import pytest
import torch

from antideepfake.lobes.batch_norm import BatchNorm


@pytest.mark.parametrize("shape", [(5, 3), (1, 3, 4), (2, 3, 1)])
def test_several_values_are_normalized_as_in_torch(shape):
    own, theirs = BatchNorm(3), torch.nn.BatchNorm1d(3)
    x = torch.randn(shape)
    assert torch.equal(own(x), theirs(x))
    assert torch.equal(own.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1)])
@pytest.mark.parametrize("affine", [True, False])
def test_one_value_is_normalized_by_the_averages(shape, affine):
    norm = BatchNorm(3, affine=affine)
    norm(5 * torch.randn(20, 3) + 7)
    before = norm.running_mean.clone()
    x = torch.randn(shape)
    found = norm(x)
    assert torch.equal(norm.running_mean, before)
    torch.testing.assert_close(found, norm.eval()(x))
