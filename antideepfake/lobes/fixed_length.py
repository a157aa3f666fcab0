"""The fixed input length of detectors that are defined for one length only."""

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.masks import whole_lengths


class FixedLength(torch.nn.Module):
    """Cut every utterance to its first samples, or repeat it end to end: all have the same length, without padding.

    It is the convention of ASVspoof systems such as AASIST (Jung et al. 2022). In a training YAML, ``fixed_length:
    !new:antideepfake.lobes.FixedLength`` puts it before the front end. Of a recording that is longer, only the first
    samples influence the score, unless it is scored in windows.

    Arguments
    ---------
    n_samples : int
        Length in samples; 64600 (4.04 s at 16 kHz) in the ASVspoof systems.

    Raises
    ------
    InputError
        When the length is below 1.

    Example
    -------
    >>> waveforms = torch.tensor([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 0, 0, 0, 0]])
    >>> FixedLength(n_samples=5)(waveforms, torch.tensor([1.0, 3 / 7]))
    (tensor([[1, 2, 3, 4, 5],
            [1, 2, 3, 1, 2]]), tensor([1., 1.]))
    """

    def __init__(self, n_samples: int = 64600) -> None:
        super().__init__()
        if n_samples < 1:
            raise InputError(f"FixedLength: n_samples is {n_samples}; it must be 1 or more")
        self.n_samples = n_samples

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn ``waveforms`` ([batch, time]) into [batch, n_samples], and the relative lengths into ones."""
        lengths = whole_lengths(relative_lengths, waveforms.shape[1]).unsqueeze(1)
        samples = torch.arange(self.n_samples, device=waveforms.device) % lengths
        return waveforms.gather(1, samples), torch.ones_like(relative_lengths)
