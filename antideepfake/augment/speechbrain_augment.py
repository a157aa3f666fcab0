"""SpeechBrain's augmentations, one utterance at a time and with random numbers from a generator."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.callchains import lengths_arg_exists

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError


class Seeded:
    """Make an augmentation of ``speechbrain.augment`` depend on its waveform and a generator alone.

    On its own, it draws from the random numbers of the whole process, and with a csv file, from what is left of the
    last shuffle of its list: its result would depend on the number of workers.

    Arguments
    ---------
    augment : torch.nn.Module
        Any from ``speechbrain.augment.time_domain`` for one channel: ``AddNoise``, ``AddReverb``, ``SpeedPerturb``,
        ``DropFreq``, ``DropChunk``, ``DoClip`` and others. With a csv file, each call draws any of the files,
        whatever ``sorting`` says. In place of SpeechBrain's ``Augmenter`` take :class:`antideepfake.augment.Compose`.

    Raises
    ------
    InputError
        When the csv file is missing or is not one of SpeechBrain's, or the one of its recordings that is tried at once
        cannot be read.

    Example
    -------
    >>> from speechbrain.augment.time_domain import AddNoise
    >>> noise = Seeded(AddNoise(snr_low=5, snr_high=20))
    >>> waveform = torch.randn(16000)
    >>> first, second = (noise(waveform, np.random.default_rng(1)) for _ in range(2))
    >>> torch.equal(first, second)
    True
    """

    def __init__(self, augment: Any) -> None:
        self.augment = augment
        self.lengths = [torch.ones(1)] if lengths_arg_exists(augment.forward) else []
        csv_file = getattr(augment, "csv_file", None)
        if csv_file is not None:
            try:
                self(torch.ones(SAMPLE_RATE), np.random.default_rng(0))  # which makes it read the list
            except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
                raise InputError(
                    f"{csv_file}: {error}; a list of recordings has the columns ID, duration, wav, wav_format, wav_opts"
                ) from error
            files = _AnyFile(augment.data_loader.dataset)
            augment.data_loader = files
            setattr(augment, "noise_data" if hasattr(augment, "noise_data") else "rir_data", files)

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``."""
        seed = int(generator.integers(2**63))
        python_state = random.getstate()
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                random.seed(seed)  # a few of them draw from there
                return self.augment(waveform.clone()[None], *self.lengths)[0]
        finally:
            random.setstate(python_state)


class _AnyFile(Iterator):
    """Stands for the augmentation's own pass over its files: without end, and each draw independent of the last."""

    def __init__(self, dataset: DynamicItemDataset) -> None:
        self.dataset = dataset

    def __next__(self) -> PaddedBatch:
        return PaddedBatch([self.dataset[int(torch.randint(len(self.dataset), ()))]])
