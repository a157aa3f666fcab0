"""Make SpeechBrain datasets from protocols."""

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
"""A callable from a waveform (float32, [time], 16 kHz) and a random generator to a waveform of any length.

It takes all random numbers from the generator and does not modify the input waveform.
"""
CROPS = 20  # crops to try before an utterance counts as silent; synthesizers may write seconds of digital silence
SUBSTITUTES = 100  # consecutive unreadable utterances after which the data folder is assumed to be wrong


class RandomCrop:
    """Choose the segment of a long training utterance to read.

    Arguments
    ---------
    min_seconds, max_seconds : float
        Utterances longer than ``max_seconds`` are cut to a random length between the two values.

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
            raise ValueError(f"0 < min_seconds <= max_seconds is required, not {min_seconds} and {max_seconds}")
        self.min_seconds = min_seconds
        self.max_seconds = max_seconds

    def __call__(self, seconds: float, generator: np.random.Generator) -> tuple[float, float | None]:
        """Return start and duration, in seconds, of the segment to read of an utterance of length ``seconds``.

        The duration is None if the whole utterance is to be read.
        """
        if seconds <= self.max_seconds:
            return 0.0, None
        duration = generator.uniform(self.min_seconds, self.max_seconds)
        return generator.uniform(0.0, seconds - duration), duration


class UtteranceDataset(DynamicItemDataset):
    """A dataset whose item ``(e, n)`` is utterance ``n`` in epoch ``e``. Item ``n`` is that utterance in epoch 0.

    The index carries the epoch to the worker processes. The pipeline is SpeechBrain's. Unlike SpeechBrain's dataset,
    this one does not build a dict per utterance; it reads the columns of the protocol, which may be mapped from a file.

    Arguments
    ---------
    data : dict of str to sequence
        Column ``id`` and further columns of the same length.
    output_keys : list of str
        Keys of an item, as in SpeechBrain.
    """

    def __init__(self, data: Mapping[str, Sequence[Any]], output_keys: list[str]) -> None:
        self.data = data
        self.data_ids = data["id"]
        self.pipeline = DataPipeline(["epoch", *data])
        self.set_output_keys(output_keys)

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        epoch, utterance = index if isinstance(index, tuple) else (0, index)
        values = {name: column[utterance] for name, column in self.data.items()}
        return self.pipeline.compute_outputs({"epoch": epoch, **values})


def make_dataset(
    protocol: pd.DataFrame,
    data_folder: str | os.PathLike,
    min_samples: int = 1,
    crop: RandomCrop | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    normalized: bool = True,
) -> UtteranceDataset:
    """Make a dataset from a protocol.

    Arguments
    ---------
    protocol : pandas.DataFrame
        The result of :func:`antideepfake.protocol.table.read_protocol`.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.
    min_samples : int
        Minimum length of a waveform, see :func:`antideepfake.audio.waveform.read_waveform`.
    crop : RandomCrop, optional
        Crop for training. By default, whole files are read.
    augmentation : callable, optional
        Augmentation for training, such as those of :mod:`antideepfake.augment`. It is applied before normalization.
    seed : int
        Seed of cropping and augmentation. Their random numbers depend only on the seed, the epoch and the ID of the
        utterance.
    normalized : bool
        As for :func:`antideepfake.audio.waveform.read_waveform`.

    Returns
    -------
    UtteranceDataset
        A dataset of items with ``id``, ``waveform`` (float32, [time]) and ``target`` (0 = fake, 1 = real). If a crop is
        silent, another one is sampled, up to ``CROPS`` times. An item whose file is not usable raises an
        ``InputError``; use :class:`SkippingDataset` to skip such items.

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
                return read_waveform(file, start, seconds, min_samples, augment, normalized)
            except SilentError:
                if seconds is None:  # the whole file
                    raise
        raise SilentError(f"{file}: silent in {CROPS} random crops")

    # indexing a pandas array takes a microsecond, indexing a Series takes ten
    data = {name: protocol[column].array for name, column in columns.items()}
    dataset = UtteranceDataset(data, ["id", "waveform", "target"])
    dataset.add_dynamic_item(waveform, takes=["id", "epoch", "path", "duration"], provides="waveform")
    dataset.add_dynamic_item(LABELS.index, takes="label", provides="target")
    return dataset


class SkippingDataset(Dataset):
    """A dataset that skips unreadable utterances and reports which ones it skipped and why.

    The substitute for an utterance depends only on the index of the utterance. Therefore a resumed run, or a run with
    another number of processes, has the same batches.

    Arguments
    ---------
    dataset : UtteranceDataset
        The result of :func:`make_dataset`.
    substitute : bool
        If True, as in training, the next readable utterance of the protocol replaces an unreadable one. If False, as in
        validation, the item consists of ``min_samples`` zeros, and its ``readable`` is False, so that the caller can
        exclude it.
    min_samples : int
        Number of zeros.

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
        epoch, first = index if isinstance(index, tuple) else (0, index)
        skipped: list[tuple[str, str]] = []
        for utterance in range(first, first + min(len(self), SUBSTITUTES)):
            utterance %= len(self)
            try:
                item = self.dataset[epoch, utterance]
                # JSON text, because PaddedBatch would collate lists element by element
                return {**item, "readable": True, "skipped": json.dumps(skipped)}
            except InputError as error:
                skipped.append((str(self.dataset.data_ids[utterance]), str(error)))
            if not self.substitute:
                nothing = {"id": skipped[0][0], "waveform": torch.zeros(self.min_samples), "target": 0}
                return {**nothing, "readable": False, "skipped": json.dumps(skipped)}
        raise InputError(
            f"{len(skipped)} consecutive utterances cannot be read; check the data folder; the first: {skipped[0][1]}"
        )
