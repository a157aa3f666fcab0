"""From a protocol to SpeechBrain's dataset."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.data_pipeline import DataPipeline
from torch.utils.data import Dataset

from antideepfake.audio.waveform import SilentError, read_waveform
from antideepfake.errors import InputError
from antideepfake.protocol.table import LABELS, resolve_path
from antideepfake.seeds import derive_seed

Augmentation = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
"""From a waveform (float32, [time], 16 kHz) and a source of random numbers to a waveform of the same or another length.

All that is random comes from the source, and the waveform that is given stays as it is.
"""
CROPS = 20  # crops drawn of an utterance before it counts as silent: synthesizers write seconds of digital silence
SUBSTITUTES = 100  # unreadable utterances in a row after which the data folder must be wrong


class RandomCrop:
    """Choose the part of a long training clip to read.

    Arguments
    ---------
    min_seconds, max_seconds : float
        Clips over ``max_seconds`` are cut to a random length between the two.

    Example
    -------
    >>> crop = RandomCrop(10.0, 13.0)
    >>> crop(8.0, np.random.default_rng(1))
    (0.0, None)
    >>> start, duration = crop(60.0, np.random.default_rng(1))
    >>> 10.0 <= duration <= 13.0 and 0.0 <= start <= 50.0
    True
    """

    def __init__(self, min_seconds: float, max_seconds: float) -> None:
        if not 0 < min_seconds <= max_seconds:
            raise ValueError(f"0 < min_seconds <= max_seconds is needed, not {min_seconds} and {max_seconds}")
        self.min_seconds = min_seconds
        self.max_seconds = max_seconds

    def __call__(self, seconds: float, generator: np.random.Generator) -> tuple[float, float | None]:
        """Give start and duration, in seconds, of what to read of an utterance that lasts ``seconds``."""
        if seconds <= self.max_seconds:
            return 0.0, None
        duration = generator.uniform(self.min_seconds, self.max_seconds)
        return generator.uniform(0.0, seconds - duration), duration


class UtteranceDataset(DynamicItemDataset):
    """A dataset of which item ``(e, n)`` is utterance ``n`` as it is in epoch ``e``; item ``n`` is that of epoch 0.

    So the epoch reaches the processes that read, whenever it changes. The pipeline is SpeechBrain's; its dict
    of every utterance is not: they stay in the columns of the protocol, which may be those of a file.

    Arguments
    ---------
    data : dict of str to sequence
        ``id`` and further columns, equally long.
    output_keys : list of str
        What an item is to hold, as in SpeechBrain.
    """

    def __init__(self, data: Mapping[str, Sequence[Any]], output_keys: list[str]) -> None:
        self.data = data
        self.data_ids = data["id"]
        self.pipeline = DataPipeline(["epoch", *data])
        self.set_output_keys(output_keys)

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        epoch, place = index if isinstance(index, tuple) else (0, index)
        values = {name: column[place] for name, column in self.data.items()}
        return self.pipeline.compute_outputs({"epoch": epoch, **values})


def make_dataset(
    protocol: pd.DataFrame,
    data_folder: str | os.PathLike,
    min_samples: int = 1,
    crop: RandomCrop | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> UtteranceDataset:
    """Make a dataset of a protocol.

    Arguments
    ---------
    protocol : pandas.DataFrame
        Utterances, as :func:`antideepfake.protocol.table.read_protocol` gives.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    min_samples : int
        As :func:`antideepfake.audio.waveform.read_waveform`.
    crop : RandomCrop, optional
        For training. Without it the whole file is read.
    augmentation : callable, optional
        For training, before the waveform is normalized: what :mod:`antideepfake.augment` has, or the like.
    seed : int
        Of cropping and augmentation. Their draws depend on it, the epoch and the identifier of the utterance alone.

    Returns
    -------
    UtteranceDataset
        Items with ``id``, ``waveform`` (float32, [time]) and ``target`` (0 = fake, 1 = real). A silent crop is drawn
        again, up to ``CROPS`` times. Reading an item whose file cannot be used raises an ``InputError``;
        :class:`SkippingDataset` goes on.

    Example
    -------
    >>> import soundfile
    >>> root = getfixture("tmp_path")
    >>> soundfile.write(root / "a.wav", torch.rand(8000).numpy(), 16000)
    >>> table = pd.DataFrame([{"ID": "a", "Label": "real", "Path": "$ROOT/a.wav", "Duration": 0.5}])
    >>> item = make_dataset(table, root)[0]
    >>> item["id"], item["waveform"].shape, item["target"]
    ('a', torch.Size([8000]), 1)
    """
    columns = {"id": "ID", "path": "Path", "duration": "Duration", "label": "Label"}

    def waveform(utterance: str, epoch: int, path: str, duration: float) -> torch.Tensor:
        generator = np.random.default_rng(derive_seed(seed, epoch, utterance))

        def augment(waveform: torch.Tensor) -> torch.Tensor:
            return waveform if augmentation is None else augmentation(waveform, generator)

        file = resolve_path(path, data_folder)
        for _ in range(CROPS):
            start, seconds = crop(duration, generator) if crop else (0.0, None)
            try:
                return read_waveform(file, start, seconds, min_samples, augment)
            except SilentError:
                if seconds is None:  # the whole file
                    raise
        raise SilentError(f"{file}: silent in {CROPS} random crops")

    # an array of pandas gives a value in a microsecond, a Series takes ten
    data = {name: protocol[column].array for name, column in columns.items()}
    dataset = UtteranceDataset(data, ["id", "waveform", "target"])
    dataset.add_dynamic_item(waveform, takes=["id", "epoch", "path", "duration"], provides="waveform")
    dataset.add_dynamic_item(LABELS.index, takes="label", provides="target")
    return dataset


class SkippingDataset(Dataset):
    """A dataset that goes on where an utterance cannot be read, and says which one and why.

    What takes the place of an utterance follows from its position alone, so that a resumed run, or one with another
    number of processes, gets the same batches.

    Arguments
    ---------
    dataset : UtteranceDataset
        As :func:`make_dataset` gives it.
    substitute : bool
        For training: the next utterance of the protocol that can be read takes the place. Otherwise, for validation,
        the item is ``min_samples`` zeros with ``readable`` false, to be left out of the result.
    min_samples : int
        Length of these zeros.

    Example
    -------
    >>> table = pd.DataFrame([{"ID": "a", "Label": "real", "Path": "missing.wav", "Duration": 0.5}])
    >>> item = SkippingDataset(make_dataset(table, "."), substitute=False, min_samples=400)[0]
    >>> item["readable"], item["skipped"]
    (False, '[["a", "missing.wav: no such file"]]')
    """

    def __init__(self, dataset: UtteranceDataset, substitute: bool, min_samples: int) -> None:
        self.dataset = dataset
        self.substitute = substitute
        self.min_samples = min_samples

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        epoch, place = index if isinstance(index, tuple) else (0, index)
        skipped: list[tuple[str, str]] = []
        for position in range(place, place + min(len(self), SUBSTITUTES)):
            position %= len(self)
            try:
                item = self.dataset[epoch, position]
                # text, since a batch of lists would be taken apart
                return {**item, "readable": True, "skipped": json.dumps(skipped)}
            except InputError as error:
                skipped.append((str(self.dataset.data_ids[position]), str(error)))
            if not self.substitute:
                nothing = {"id": skipped[0][0], "waveform": torch.zeros(self.min_samples), "target": 0}
                return {**nothing, "readable": False, "skipped": json.dumps(skipped)}
        raise InputError(f"{len(skipped)} utterances in a row cannot be used; the first: {skipped[0][1]}")
