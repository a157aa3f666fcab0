"""Averages of weights: their values, and that frozen weights stay as they are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.training.averaging import MovingAverage, ValidationAverage


def _modules():
    layer = torch.nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    return {"layer": layer, "norm": torch.nn.BatchNorm1d(2)}


def _set(modules, value):
    with torch.no_grad():
        modules["layer"].weight.fill_(value)
        modules["norm"].running_mean.fill_(value)


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=30), st.floats(0.05, 0.99))
def test_a_moving_average_follows_its_formula(values, decay):
    modules = _modules()
    _set(modules, 1.0)
    average, expected = MovingAverage(modules, decay), 1.0
    for step, value in enumerate(values, 1):
        _set(modules, value)
        average.after_step(step)
        rate = min(decay, (1 + step) / (10 + step))
        expected = rate * expected + (1 - rate) * value
    for name in ("layer.weight", "norm.running_mean"):
        assert average.average[name].flatten()[0].item() == pytest.approx(expected, abs=1e-4)


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=9), st.integers(2, 4))
def test_the_mean_is_that_of_the_last_validations(values, count):
    modules = _modules()
    average = ValidationAverage(modules, count)
    for value in values:
        _set(modules, value)
        average.before_validation()
    last = values[-count:]
    assert average.average["layer.weight"][0, 0].item() == pytest.approx(sum(last) / len(last), abs=1e-5)
    assert average.average["norm.running_var"].tolist() == [1, 1]


def test_swapping_twice_changes_nothing_and_leaves_frozen_weights():
    modules = _modules()
    average = MovingAverage(modules, 0.9)
    before = {name: value.clone() for name, value in torch.nn.ModuleDict(modules).state_dict().items()}
    _set(modules, 5.0)
    average.swap()
    assert all(torch.equal(value, before[name]) for name, value in torch.nn.ModuleDict(modules).state_dict().items())
    average.swap()
    assert (modules["layer"].weight == 5).all()
    assert "layer.bias" not in average.average


@pytest.mark.parametrize("kind", [MovingAverage, ValidationAverage])
def test_it_is_saved_and_loaded(kind, tmp_path):
    modules = _modules()
    one, other = (kind(modules, {MovingAverage: 0.5, ValidationAverage: 2}[kind]) for _ in range(2))
    for number in (1, 2, 3):
        _set(modules, float(number))
        one.after_step(number)
        one.before_validation()
    one._save(tmp_path / "average.ckpt")
    other._recover(tmp_path / "average.ckpt", False)
    for average in (one, other):
        _set(modules, 7.0)
        average.after_step(4)
        average.before_validation()
    assert all(torch.equal(value, other.average[name]) for name, value in one.average.items())


@pytest.mark.parametrize(("kind", "value"), [(MovingAverage, 0.0), (MovingAverage, 1.0), (ValidationAverage, 1)])
def test_values_out_of_range_are_refused(kind, value):
    with pytest.raises(InputError, match=r"(ema_decay|average_validations) is [01]"):
        kind(_modules(), value)
