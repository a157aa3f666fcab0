"""Layer aggregation: from all hidden states of an encoder to one sequence of frames.

A module takes states [batch, layers, frames, size] and their relative lengths [batch], and gives frames [batch, frames,
size]. In a training YAML, ``layer_aggregation: !new:antideepfake.lobes.SEA {n_layers: 25}`` puts one between a front
end with ``all_layers: True`` and any back end that takes one layer. Frames of padding may have any value.
"""

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.masks import at_least_float32, masked_mean


def count_layers(states: torch.Tensor) -> int:
    """Count the layers of ``states``: [batch, layers, frames, size], or [batch, frames, size] for one."""
    return states.shape[1] if states.dim() == 4 else 1


def check_layers(states: torch.Tensor, n_layers: int) -> None:
    """Raise an ``InputError`` unless ``states`` have ``n_layers`` layers, a setting of the module that calls.

    Example
    -------
    >>> check_layers(torch.zeros(2, 5, 50, 384), 13)
    Traceback (most recent call last):
    antideepfake.errors.InputError: the back end has n_layers 13, but the front end returns 5; set n_layers to 5, or \
change all_layers of the front end
    """
    found = count_layers(states)
    if found != n_layers:
        raise InputError(
            f"the back end has n_layers {n_layers}, but the front end returns {found}; set n_layers to {found}, or "
            "change all_layers of the front end"
        )


def check_one_layer(states: torch.Tensor) -> None:
    """Raise an ``InputError`` unless ``states`` are those of one layer, [batch, frames, size].

    Example
    -------
    >>> check_one_layer(torch.zeros(2, 5, 50, 384))
    Traceback (most recent call last):
    antideepfake.errors.InputError: the back end takes one layer, but the front end returns 5; set layer_aggregation, \
such as !new:antideepfake.lobes.LayerSum {n_layers: 5}, or all_layers of the front end to False
    """
    if states.dim() == 4:
        found = states.shape[1]
        raise InputError(
            f"the back end takes one layer, but the front end returns {found}; set layer_aggregation, such as "
            f"!new:antideepfake.lobes.LayerSum {{n_layers: {found}}}, or all_layers of the front end to False"
        )


class LayerSum(torch.nn.Module):
    """A learned weighting of an encoder's layers, the same for all utterances.

    The weights are a softmax over one number per layer, equal at the start (Yang et al., SUPERB, 2021). This is also
    the weighted sum of Liu et al., Nes2Net (2025): there the numbers start at 1 instead of 0, which a softmax does not
    see.

    Arguments
    ---------
    n_layers : int
        Hidden states: one more than the encoder's layers. 1 for a front end that returns only the last.

    Example
    -------
    >>> LayerSum(n_layers=5)(torch.randn(2, 5, 50, 384), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 50, 384])
    """

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        self.n_layers = n_layers
        if n_layers > 1:
            self.layer_weights = torch.nn.Parameter(torch.zeros(n_layers))

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``states`` ([batch, layers, frames, size]; [batch, frames, size] for one) into [batch, frames, size].

        The lengths have no influence.

        Raises
        ------
        InputError
            When the front end gives another number of layers.
        """
        check_layers(states, self.n_layers)
        if self.n_layers == 1:
            return at_least_float32(states)
        return torch.einsum("l,bltd->btd", self.layer_weights.softmax(0), at_least_float32(states))


class SEA(torch.nn.Module):
    """A weighting of an encoder's layers that depends on the utterance, by squeeze and excitation.

    Each layer is described by its mean over time and features; two linear layers turn the means into weights in (0, 1),
    whose sum is not 1. Of the published Nes2Net for singing voices (Liu et al., Nes2Net, 2025).

    Arguments
    ---------
    n_layers : int
        Hidden states, at least 3: one more than the encoder's layers.

    Raises
    ------
    InputError
        When ``n_layers`` is below 3.

    Example
    -------
    >>> SEA(n_layers=5)(torch.randn(2, 5, 50, 384), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 50, 384])
    """

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        if n_layers < 3:
            raise InputError(f"SEA: n_layers is {n_layers}; it must be 3 or more")
        self.n_layers = n_layers
        self.fc_att_merge = torch.nn.Sequential(
            torch.nn.Linear(n_layers, n_layers // 3, bias=False),
            torch.nn.ReLU(),
            torch.nn.Linear(n_layers // 3, n_layers, bias=False),
            torch.nn.Sigmoid(),
        )

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``states`` ([batch, layers, frames, size]) into frames ([batch, frames, size]).

        Raises
        ------
        InputError
            When the front end gives another number of layers.
        """
        check_layers(states, self.n_layers)
        states = at_least_float32(states)
        weights = self.fc_att_merge(masked_mean(states.mean(3).transpose(1, 2), relative_lengths).squeeze(1))
        return torch.einsum("bl,bltd->btd", weights, states)


class AttM(torch.nn.Module):
    """Attentive merging: a weighting of layers that depends on the utterance, then a projection of all layers to one.

    Pan et al., Attentive merging of hidden embeddings from pre-trained speech model for anti-spoofing detection (2024).

    Arguments
    ---------
    n_layers : int
        Hidden states, at least 2: one more than the encoder's layers.
    n_features : int
        Size of a frame. The projection has n_layers n_features^2 weights: 26 million for 25 layers of size 1024.

    Raises
    ------
    InputError
        When ``n_layers`` is below 2.

    Example
    -------
    >>> AttM(n_layers=5, n_features=16)(torch.randn(2, 5, 50, 16), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 50, 16])
    """

    def __init__(self, n_layers: int, n_features: int) -> None:
        super().__init__()
        if n_layers < 2:
            raise InputError(f"AttM: n_layers is {n_layers}; it must be 2 or more")
        self.n_layers = n_layers
        self.W = torch.nn.Parameter(torch.randn(n_features, 1))
        self.W1 = torch.nn.Parameter(torch.randn(n_layers, n_layers // 2))
        self.W2 = torch.nn.Parameter(torch.randn(n_layers // 2, n_layers))
        self.linear_proj = torch.nn.Linear(n_layers * n_features, n_features)

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``states`` ([batch, layers, frames, n_features]) into frames ([batch, frames, n_features]).

        Raises
        ------
        InputError
            When the front end gives another number of layers.
        """
        check_layers(states, self.n_layers)
        states = at_least_float32(states).transpose(1, 2)  # [batch, frames, layers, size]
        silu = torch.nn.functional.silu
        means = masked_mean(states.flatten(2), relative_lengths).unflatten(2, states.shape[2:]).squeeze(1)
        weights = (silu(silu(means @ self.W).squeeze(2) @ self.W1) @ self.W2).sigmoid()
        weighted = states * weights[:, None, :, None]
        return self.linear_proj(weighted.transpose(2, 3).flatten(2))  # the layer is the faster index
