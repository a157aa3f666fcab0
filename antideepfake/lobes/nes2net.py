"""Nes2Net and Nes2Net-X: nested Res2Nets on the full-size frames of an encoder.

Liu et al., Nes2Net: a lightweight nested architecture for foundation model driven speech anti-spoofing (IEEE T-IFS
2025). The names of parts are those of the published weights.
"""

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.layer_aggregation import check_one_layer
from antideepfake.lobes.masks import at_least_float32, length_mask

MOST_GROUPS = 64  # the published detectors have 8 at either level; each adds modules
ACTIVATIONS = {"relu": torch.nn.functional.relu, "selu": torch.nn.functional.selu}


class SqueezeExcitation(torch.nn.Module):
    """Weight channels by their mean over time.

    Arguments
    ---------
    channels, hidden_size : int
        Of the input, and of the layer between the means and the weights.
    """

    def __init__(self, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.se = torch.nn.Sequential(
            torch.nn.Identity(),  # in the published weights the mean, which needs the mask
            torch.nn.Conv1d(channels, hidden_size, 1),
            torch.nn.ReLU(),
            torch.nn.Conv1d(hidden_size, channels, 1),
            torch.nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Weight ``x`` ([batch, channels, frames]); ``mask`` ([batch, 1, frames]) is False where there is padding."""
        return x * self.se((x * mask).sum(2, keepdim=True) / mask.sum(2, keepdim=True))


class Res2NetBlock(torch.nn.Module):
    """The inner block of Nes2Net: convolutions over time on groups of channels, each on the sum with the one before.

    Arguments
    ---------
    channels : int
        Of input and output.
    scale : int
        Number of groups.
    dilation : int
        Of the convolutions over time.
    se_ratio : int
        ``channels`` divided by the hidden size of squeeze and excitation.
    activation : str
        ``relu`` or ``selu``.
    """

    def __init__(self, channels: int, scale: int, dilation: int, se_ratio: int, activation: str) -> None:
        super().__init__()
        self.scale, self.activation = scale, ACTIVATIONS[activation]
        width = channels // scale
        self.conv1 = torch.nn.Conv1d(channels, width * scale, 1)
        self.bn1 = torch.nn.BatchNorm1d(width * scale)
        self._add_groups(width, dilation)
        self.conv3 = torch.nn.Conv1d(width * scale, channels, 1)
        self.bn3 = torch.nn.BatchNorm1d(channels)
        self.se = SqueezeExcitation(channels, max(channels // se_ratio, 2))

    def _add_groups(self, width: int, dilation: int) -> None:
        """Add the modules that :meth:`mix_groups` needs."""
        groups = range(self.scale - 1)
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in groups
        )
        self.bns = torch.nn.ModuleList(torch.nn.BatchNorm1d(width) for _ in groups)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``x`` to the same shape, [batch, channels, frames]; ``mask`` is [batch, 1, frames]."""
        y = self.bn1(self.activation(self.conv1(x)))
        y = torch.cat(self.mix_groups(y.chunk(self.scale, 1), mask), 1)
        y = self.bn3(self.activation(self.conv3(y)))
        return self.se(y, mask) + x

    def mix_groups(self, groups: tuple[torch.Tensor, ...], mask: torch.Tensor) -> list[torch.Tensor]:
        """Turn groups ([batch, width, frames] each) into as many."""
        mixed: list[torch.Tensor] = []
        for group, conv, norm in zip(groups, self.convs, self.bns, strict=False):  # the last group passes
            x = group + mixed[-1] if mixed else group
            mixed.append(norm(self.activation(conv(x * mask))))
        return [*mixed, groups[-1]]


class Res2NetXBlock(Res2NetBlock):
    """The inner block of Nes2Net-X: instead of sums, a growing stack of groups, which learned weights sum up.

    Arguments
    ---------
    channels, scale, dilation, se_ratio, activation :
        As for :class:`Res2NetBlock`.
    """

    def _add_groups(self, width: int, dilation: int) -> None:
        groups = range(self.scale - 1)
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(width, width, (3, 1), padding=(dilation, 0), dilation=(dilation, 1)) for _ in groups
        )
        self.bns = torch.nn.ModuleList(torch.nn.BatchNorm2d(width) for _ in groups)
        self.weighted_sum = torch.nn.ParameterList(torch.full((1, 1, 1, n + 2), 1 / (n + 2)) for n in groups)

    def mix_groups(self, groups: tuple[torch.Tensor, ...], mask: torch.Tensor) -> list[torch.Tensor]:
        """Turn groups ([batch, width, frames] each) into as many."""
        stack, mixed = groups[-1].unsqueeze(3), []
        for group, conv, norm, weights in zip(groups, self.convs, self.bns, self.weighted_sum, strict=False):
            stack = torch.cat([stack, group.unsqueeze(3)], 3)
            stack = norm(self.activation(conv(stack * mask.unsqueeze(3))))
            mixed.append((stack * weights).sum(3))
        return [*mixed, groups[-1]]


class AttentivePooling(torch.nn.Module):
    """Mean and standard deviation over time, weighted by attention separately for each channel (ASTP).

    Arguments
    ---------
    channels : int
        Of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = torch.nn.Conv1d(channels, 128, 1)
        self.linear2 = torch.nn.Conv1d(128, channels, 1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Turn ``x`` ([batch, channels, frames]) into means and standard deviations ([batch, 2 channels])."""
        weights = self.linear2(self.linear1(x).tanh()).masked_fill(~mask, float("-inf")).softmax(2)
        mean = (weights * x).sum(2)
        variance = (weights * (x - mean.unsqueeze(2)).square()).sum(2)
        return torch.cat([mean, variance.clamp(min=1e-10).sqrt()], 1)


class Nes2Net(torch.nn.Module):
    """Res2Net blocks on groups of the channels of a frame, nested in a Res2Net over the groups.

    Arguments
    ---------
    n_features : int
        Size of a frame.
    n_groups : int
        Groups of the outer level; divides ``n_features``.
    scale : int
        Groups of the inner level.
    dilation : int
        Of the convolutions over time: 1 in the detectors of singing voices and of ASVspoof 5, 2 in those trained on
        ASVspoof 2019. Weights of one load with the other, and give wrong scores.
    se_ratio : int
        Size of a group divided by the hidden size of squeeze and excitation.
    activation : str
        ``relu`` or ``selu``.
    pooling : str
        ``mean`` over time, or ``attentive``: mean and standard deviation weighted by attention.
    stacked : bool
        Nes2Net-X: a growing stack of groups at the inner level instead of sums.

    Raises
    ------
    InputError
        When a setting is out of range.

    Example
    -------
    >>> head = Nes2Net(n_features=128).eval()
    >>> head(torch.randn(2, 50, 128), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 128])
    """

    def __init__(
        self,
        n_features: int,
        n_groups: int = 8,
        scale: int = 8,
        dilation: int = 2,
        se_ratio: int = 1,
        activation: str = "relu",
        pooling: str = "mean",
        stacked: bool = False,
    ) -> None:
        super().__init__()
        if not 2 <= n_groups <= MOST_GROUPS or n_features % n_groups:
            raise InputError(
                f"Nes2Net: n_groups is {n_groups}; it must be from 2 to {MOST_GROUPS} and divide n_features, "
                f"{n_features}"
            )
        channels = n_features // n_groups
        most = min(channels, MOST_GROUPS)
        if not 2 <= scale <= most:
            raise InputError(f"Nes2Net: scale is {scale}; with groups of size {channels} it must be from 2 to {most}")
        if activation not in ACTIVATIONS:
            raise InputError(f"Nes2Net: activation is {activation!r}; use {' or '.join(ACTIVATIONS)}")
        if pooling not in ("mean", "attentive"):
            raise InputError(f"Nes2Net: pooling is {pooling!r}; use mean or attentive")
        self.n_groups, self.activation = n_groups, ACTIVATIONS[activation]
        kind = Res2NetXBlock if stacked else Res2NetBlock
        self.Build_in_Res2Nets = torch.nn.ModuleList(
            kind(channels, scale, dilation, se_ratio, activation) for _ in range(n_groups - 1)
        )
        self.bns = torch.nn.ModuleList(torch.nn.BatchNorm1d(channels) for _ in range(n_groups - 1))
        self.bn = torch.nn.BatchNorm1d(n_features)
        self.pooling = AttentivePooling(n_features) if pooling == "attentive" else None

    def forward(self, frames: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``frames`` ([batch, frames, n_features]) into embeddings.

        Returns
        -------
        torch.Tensor
            Shape [batch, n_features], or twice the size with attentive pooling.

        Raises
        ------
        InputError
            When the front end gives several layers.
        """
        check_one_layer(frames)
        mask = length_mask(relative_lengths, frames.shape[1]).unsqueeze(1)
        groups = at_least_float32(frames).transpose(1, 2).masked_fill(~mask, 0.0).chunk(self.n_groups, 1)
        mixed: list[torch.Tensor] = []
        for group, block, norm in zip(groups, self.Build_in_Res2Nets, self.bns, strict=False):  # the last group passes
            x = group + mixed[-1] if mixed else group
            mixed.append(norm(self.activation(block(x, mask))))
        x = self.activation(self.bn(torch.cat([*mixed, groups[-1]], 1)))
        if self.pooling is not None:
            return self.pooling(x, mask)
        return (x * mask).sum(2) / mask.sum(2)
