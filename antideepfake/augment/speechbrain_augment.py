"""Apply SpeechBrain's augmentations to one utterance at a time, with random numbers from a generator."""

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
    """Make an augmentation of ``speechbrain.augment`` depend only on its waveform and a random generator.

    Without this class, the augmentation uses the global random generators of the process and, with a csv file, the
    state of its shuffled list. Its result would then depend on the number of workers.

    Arguments
    ---------
    augment : torch.nn.Module
        A single-channel augmentation of ``speechbrain.augment.time_domain``, such as ``AddNoise``, ``AddReverb``,
        ``SpeedPerturb``, ``DropFreq``, ``DropChunk`` or ``DoClip``. With a csv file, each call chooses one of all files
        at random, regardless of ``sorting``. Instead of SpeechBrain's ``Augmenter``, use
        :class:`antideepfake.augment.Compose`.

    Raises
    ------
    InputError
        When the csv file is missing or does not have SpeechBrain's format, or a recording in it cannot be read. Only
        one recording is checked.

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
                self(torch.ones(SAMPLE_RATE), np.random.default_rng(0))  # makes the augmentation read the list
            except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
                raise InputError(
                    f"{csv_file}: {error}; the file needs the columns ID, duration, wav, wav_format and wav_opts"
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
                random.seed(seed)  # some augmentations use Python's random generator
                return self.augment(waveform.clone()[None], *self.lengths)[0]
        finally:
            random.setstate(python_state)


class _AnyFile(Iterator):
    """Replace the data loader of an augmentation: an endless iterator that samples files independently."""

    def __init__(self, dataset: DynamicItemDataset) -> None:
        self.dataset = dataset

    def __next__(self) -> PaddedBatch:
        return PaddedBatch([self.dataset[int(torch.randint(len(self.dataset), ()))]])
