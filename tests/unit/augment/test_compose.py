"""Compose: order, and how often."""

import numpy as np
import pytest
import torch

from antideepfake.augment.compose import Compose
from antideepfake.errors import InputError


def add(waveform, generator):
    return waveform + 1


def double(waveform, generator):
    return waveform * 2


def noise(waveform, generator):
    return waveform + float(generator.random())


def test_augmentations_come_in_their_order():
    rng = np.random.default_rng(1)
    assert Compose([add, double])(torch.ones(2), rng).tolist() == [4, 4]
    assert Compose([double, add])(torch.ones(2), rng).tolist() == [3, 3]
    assert Compose([])(torch.ones(2), rng).tolist() == [1, 1]


def test_each_has_its_own_probability():
    chain, rng = Compose([add, double, double], [1.0, 0.3, 0.0]), np.random.default_rng(1)
    values = np.array([chain(torch.zeros(1), rng).item() for _ in range(2000)])
    assert set(values) == {1, 2}
    assert (values == 2).mean() == pytest.approx(0.3, abs=0.04)


def test_the_generator_decides():
    chain = Compose([noise, noise, Compose([noise], [0.5])], [0.5, 0.5, 0.5])
    first, second = (
        [chain(torch.zeros(1), rng).item() for _ in range(20)] for rng in map(np.random.default_rng, (1, 1))
    )
    assert first == second and len(set(first)) > 5


@pytest.mark.parametrize("probabilities", [[0.5], [0.5, 1.5], [0.5, -0.1], [0.5, 0.5, 0.5]])
def test_probabilities_that_do_not_fit_are_named(probabilities):
    with pytest.raises(InputError, match="for 2 augmentations; set one probability from 0 to 1 for each"):
        Compose([add, double], probabilities)
