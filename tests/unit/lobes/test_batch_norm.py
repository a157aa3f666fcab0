"""Batch normalization, also of a batch of one."""

import pytest
import torch

from antideepfake.lobes.batch_norm import BatchNorm, Standardization


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


def test_standardization_follows_the_averages_of_training():
    norm, batches = Standardization(3), 4 * torch.randn(5, 8, 3) + 2
    for batch in batches:
        found = norm(batch)
    assert torch.equal(found, norm.eval()(batches[-1]))
    torch.testing.assert_close(norm.running_mean, batches.mean((0, 1)))
    torch.testing.assert_close(norm.running_var, batches.var(1).mean(0))


def test_standardization_is_fitted_to_its_outputs():
    norm = Standardization(3).eval()
    x = torch.stack([7 * torch.randn(50) - 3, 0.1 * torch.randn(50), torch.full((50,), 4.0)], 1)
    for _ in range(2):  # the second fit changes nothing
        found = norm.fit(norm(x))
        torch.testing.assert_close(norm(x), found, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(found[:, :2].std(0, correction=0), torch.ones(2))
        assert found[:, 2].abs().max() < 1e-3
