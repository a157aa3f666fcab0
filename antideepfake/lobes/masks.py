"""Lengths and masks, which keep padding out of every result."""

import torch


def whole_lengths(relative_lengths: torch.Tensor, steps: int) -> torch.Tensor:
    """Turn lengths relative to ``steps`` into whole steps.

    Arguments
    ---------
    relative_lengths : torch.Tensor
        As in SpeechBrain: relative to the padded length, in (0, 1]; shape [batch].
    steps : int
        Samples or frames of the padded batch.

    Returns
    -------
    torch.Tensor
        Shape [batch], int64. Rounded, unlike in SpeechBrain's masks, which include a step of padding when the product
        is slightly too large.

    Example
    -------
    >>> whole_lengths(torch.tensor([1.0, 0.5]), 4)
    tensor([4, 2])
    """
    return (relative_lengths * steps).round().long()


def length_mask(relative_lengths: torch.Tensor, steps: int) -> torch.Tensor:
    """Mark the steps of a padded batch that are not padding.

    Arguments
    ---------
    relative_lengths, steps :
        As for :func:`whole_lengths`.

    Returns
    -------
    torch.Tensor
        True where there is signal; shape [batch, steps].

    Example
    -------
    >>> length_mask(torch.tensor([1.0, 0.5]), 4).int()
    tensor([[1, 1, 1, 1],
            [1, 1, 0, 0]], dtype=torch.int32)
    """
    return torch.arange(steps, device=relative_lengths.device) < whole_lengths(relative_lengths, steps).unsqueeze(1)


def masked_mean(features: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
    """Average over time, without padding.

    Arguments
    ---------
    features : torch.Tensor
        Shape [batch, steps, size].
    relative_lengths : torch.Tensor
        As for :func:`length_mask`.

    Returns
    -------
    torch.Tensor
        Shape [batch, 1, size], at least in float32.

    Example
    -------
    >>> masked_mean(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2 / 3]))
    tensor([[[2.]]])
    """
    mask = length_mask(relative_lengths, features.shape[1]).unsqueeze(2)
    return at_least_float32(features).masked_fill(~mask, 0.0).sum(1, keepdim=True) / mask.sum(1, keepdim=True)


def at_least_float32(features: torch.Tensor) -> torch.Tensor:
    """Convert half precision, in which sums over time would be inaccurate, to float32.

    Example
    -------
    >>> at_least_float32(torch.ones(2, dtype=torch.bfloat16)).dtype, at_least_float32(torch.ones(2).double()).dtype
    (torch.float32, torch.float64)
    """
    return features.to(torch.promote_types(features.dtype, torch.float32))
