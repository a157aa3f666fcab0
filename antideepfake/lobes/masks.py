"""Lengths and masks: what keeps padding out of every result."""

import torch


def length_mask(relative_lengths: torch.Tensor, steps: int) -> torch.Tensor:
    """Tell the steps of a padded batch that are there from padding.

    Arguments
    ---------
    relative_lengths : torch.Tensor
        Lengths as SpeechBrain has them, relative to the longest of the batch, in (0, 1]; shape [batch].
    steps : int
        Samples or frames of the padded batch.

    Returns
    -------
    torch.Tensor
        True where there is signal; shape [batch, steps]. Lengths are rounded to whole steps: SpeechBrain's masks
        compare without rounding, and let one step of padding in where the product comes out a hair too large.

    Example
    -------
    >>> length_mask(torch.tensor([1.0, 0.5]), 4).int()
    tensor([[1, 1, 1, 1],
            [1, 1, 0, 0]], dtype=torch.int32)
    """
    lengths = (relative_lengths * steps).round()
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


class SentenceMeanNorm(torch.nn.Module):
    """Take the mean over time from every feature of every utterance, padding left out.

    On log spectra this removes the tint of microphone and channel.

    Example
    -------
    >>> norm = SentenceMeanNorm()
    >>> norm(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2 / 3]))[0, :2].flatten()
    tensor([-1.,  1.])
    """

    def forward(self, features: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Normalise ``features`` ([batch, frames, size]); ``relative_lengths`` are of frames, [batch]."""
        mask = length_mask(relative_lengths, features.shape[1]).unsqueeze(2)
        features = features.masked_fill(~mask, 0.0)
        return (features - features.sum(1, keepdim=True) / mask.sum(1, keepdim=True)) * mask
