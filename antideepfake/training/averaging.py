"""Averages of the weights of a detector during training, which are validated and exported in their place."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver, register_checkpoint_hooks

from antideepfake.errors import InputError

Weights = dict[str, torch.Tensor]


@register_checkpoint_hooks
class WeightAverage:
    """The average of the trained weights of a detector and of the buffers of its modules; a checkpoint stores it.

    Arguments
    ---------
    modules : mapping
        Of the detector, on their device.

    Example
    -------
    >>> layer = torch.nn.Linear(1, 1, bias=False)
    >>> _ = torch.nn.init.constant_(layer.weight, 2.0)
    >>> average = MovingAverage({"layer": layer}, decay=0.9)
    >>> _ = torch.nn.init.constant_(layer.weight, 3.0)
    >>> average.after_step(1)  # the first steps count more
    >>> average.swap()
    >>> layer.weight.item(), average.average["layer.weight"].item()
    (2.8181817531585693, 3.0)
    """

    def __init__(self, modules: Mapping[str, torch.nn.Module]) -> None:
        self._modules = torch.nn.ModuleDict(modules)
        self.average = self._copy()
        """The average; the weights themselves while they are swapped."""

    def _named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, parameter in self._modules.named_parameters():
            if parameter.requires_grad:
                yield name, parameter
        for name, buffer in self._modules.named_buffers():
            if buffer.is_floating_point():  # the statistics of batch normalization; counts stay as they are
                yield name, buffer

    def _copy(self) -> Weights:
        return {name: value.detach().clone() for name, value in self._named_weights()}

    def after_step(self, step: int) -> None:
        """Update the average after an optimizer step, the first of which is 1."""

    def before_validation(self) -> None:
        """Update the average before a validation."""

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights of the detector and their average."""
        for name, value in self._named_weights():
            kept = value.detach().clone()
            value.copy_(self.average[name])
            self.average[name] = kept

    def _state(self) -> Any:
        return self.average

    def _set_state(self, state: Any) -> None:
        self.average = state

    @mark_as_saver
    def _save(self, path: str | os.PathLike) -> None:
        torch.save(self._state(), path)

    @mark_as_loader
    def _recover(self, path: str | os.PathLike, end_of_epoch: bool) -> None:
        device = next(iter(self.average.values())).device
        self._set_state(torch.load(path, map_location=device, weights_only=True))


class MovingAverage(WeightAverage):
    """The exponential moving average of the weights over optimizer steps (Polyak and Juditsky, 1992).

    After step t, the average is d times itself plus 1 - d times the weights, with d = min(decay, (1 + t) / (10 + t)) as
    in TensorFlow's ``ExponentialMovingAverage``, so that the first weights are forgotten in short runs, too.

    Arguments
    ---------
    modules : mapping
        Of the detector.
    decay : float
        In (0, 1). The average reaches back some 1 / (1 - decay) steps.

    Raises
    ------
    InputError
        When the decay is out of range.
    """

    def __init__(self, modules: Mapping[str, torch.nn.Module], decay: float) -> None:
        if not 0 < decay < 1:
            raise InputError(f"ema_decay is {decay}; it must lie between 0 and 1, such as 0.999")
        super().__init__(modules)
        self.decay = decay

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Move the average towards the weights."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self._named_weights():
            self.average[name].lerp_(value, 1 - decay)


class ValidationAverage(WeightAverage):
    """The mean of the weights at the last validations (Izmailov et al., 2018, average weights of the end of training).

    A checkpoint stores the trained weights once for each of these validations.

    Arguments
    ---------
    modules : mapping
        Of the detector.
    count : int
        Number of validations, 2 or more.

    Raises
    ------
    InputError
        When the count is out of range.
    """

    def __init__(self, modules: Mapping[str, torch.nn.Module], count: int) -> None:
        if count < 2:
            raise InputError(f"average_validations is {count}; it must be 2 or more, or null")
        super().__init__(modules)
        self.count = count
        self.snapshots: list[Weights] = []
        """Weights at the last validations."""

    @torch.no_grad()
    def before_validation(self) -> None:
        """Add the weights to the mean, and drop those of the oldest validation."""
        self.snapshots = [*self.snapshots, self._copy()][-self.count :]
        self.average = {name: value.clone() for name, value in self.snapshots[0].items()}
        for number, snapshot in enumerate(self.snapshots[1:], 2):
            for name, value in snapshot.items():
                self.average[name].lerp_(value, 1 / number)  # the mean so far; exact for weights that stay the same

    def _state(self) -> Any:
        return {"average": self.average, "snapshots": self.snapshots}

    def _set_state(self, state: Any) -> None:
        self.average, self.snapshots = state["average"], state["snapshots"]
