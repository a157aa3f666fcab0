"""Apply augmentations in sequence."""

from collections.abc import Sequence

import numpy as np
import torch

from antideepfake.dataio.datasets import Augmentation
from antideepfake.errors import InputError


class Compose:
    """Apply augmentations in sequence, each with its own probability.

    Arguments
    ---------
    augmentations : sequence of callables
        Each takes a waveform (float32, [time], 16 kHz) and a ``numpy.random.Generator`` and returns a waveform.
    probabilities : sequence of float, optional
        Probability of each augmentation, from 0 (never applied) to 1 (always applied). By default, all are applied.

    Raises
    ------
    InputError
        When the number of probabilities differs from the number of augmentations, or a probability is outside [0, 1].

    Example
    -------
    >>> from antideepfake.augment import Codec, RawBoost
    >>> augment = Compose([RawBoost(), Codec(["gsm", "mp3"])], probabilities=[1.0, 0.3])
    >>> augment(torch.randn(16000), np.random.default_rng(1)).shape
    torch.Size([16000])
    """

    def __init__(self, augmentations: Sequence[Augmentation], probabilities: Sequence[float] | None = None) -> None:
        self.augmentations = augmentations
        self.probabilities = [1.0] * len(augmentations) if probabilities is None else probabilities
        if len(self.probabilities) != len(augmentations) or not all(0 <= p <= 1 for p in self.probabilities):
            raise InputError(
                f"probabilities {list(self.probabilities)} for {len(augmentations)} augmentations; "
                "set one probability from 0 to 1 for each augmentation"
            )

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``."""
        for augmentation, probability in zip(self.augmentations, self.probabilities, strict=True):
            if generator.random() < probability:
                waveform = augmentation(waveform, generator)
        return waveform
