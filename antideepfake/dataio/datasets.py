"""Make SpeechBrain datasets from protocols."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.data_pipeline import DataPipeline
from torch.utils.data import Dataset

from antideepfake.audio.waveform import SAMPLE_RATE, SilentError, read_waveform
from antideepfake.errors import InputError
from antideepfake.protocol.segments import TOLERANCE, Spans, crop_spans, label_frames
from antideepfake.protocol.table import resolve_path
from antideepfake.seeds import derive_seed

Augmentation = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
"""A callable from a waveform (float32, [time], 16 kHz) and a random generator to a waveform of any length.

It takes all random numbers from the generator and does not modify the input waveform.
"""
Splice = Callable[[torch.Tensor, int, np.random.Generator], tuple[torch.Tensor, Spans]]
"""A callable from the waveform of a spoofed utterance, its index in the protocol and a random generator to a waveform
and its fake spans in seconds: the same waveform, or a partially spoofed one.
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
        self.pipeline = DataPipeline(["epoch", "index", *data])
        self.set_output_keys(output_keys)

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        epoch, utterance = index if isinstance(index, tuple) else (0, index)
        values = {name: column[utterance] for name, column in self.data.items()}
        return self.pipeline.compute_outputs({"epoch": epoch, "index": utterance, **values})


def make_dataset(
    protocol: pd.DataFrame,
    data_folder: str | os.PathLike,
    min_samples: int = 1,
    crop: RandomCrop | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    normalized: bool = True,
    segments: Mapping[str, Spans] | None = None,
    splice: Splice | None = None,
    frame_seconds: float | None = None,
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
    segments : mapping, optional
        Fake spans of partially spoofed utterances, see :func:`antideepfake.protocol.read_listed_segments`. A crop of
        such an utterance is real if it contains no part of a fake span. By default, and without an entry, an utterance
        has its label throughout.
    splice : callable, optional
        Makes partially spoofed utterances of wholly spoofed ones, such as
        :class:`antideepfake.augment.splice.TrainingSplices`. It is applied before the augmentation.
    frame_seconds : float, optional
        Also give the label of each frame of this length. An augmentation that changes the length of a waveform is
        assumed to have changed its speed.

    Returns
    -------
    UtteranceDataset
        A dataset of items with ``id``, ``waveform`` (float32, [time]) and ``target`` (0 = fake, 1 = real), and with
        ``frame_targets`` (int64, [frames]) if there are ``frame_seconds``. If a crop is silent, another one is sampled,
        up to ``CROPS`` times. An item whose file is not usable raises an ``InputError``; use :class:`SkippingDataset`
        to skip such items.

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
    segments = segments or {}
    throughout = {"fake": np.array([[0.0, np.inf]]), "real": np.empty((0, 2))}

    def read(utterance: str, epoch: int, index: int, path: str, duration: float, label: str) -> dict[str, Any]:
        generator = np.random.default_rng(derive_seed(seed, epoch, utterance))
        file = resolve_path(path, data_folder)
        fake = throughout["real"]

        def change(waveform: torch.Tensor) -> torch.Tensor:
            nonlocal fake
            length = len(waveform) / SAMPLE_RATE
            fake = crop_spans(segments.get(utterance, throughout[label]), start, start + length)
            if splice is not None and is_throughout(fake, length):
                waveform, fake = splice(waveform, index, generator)
            if augmentation is None:
                return waveform
            changed = augmentation(waveform, generator)
            fake = fake * (len(changed) / len(waveform))
            return changed

        for _ in range(CROPS):
            start, seconds = crop(duration, generator) if crop else (0.0, None)
            try:
                waveform = read_waveform(file, start, seconds, min_samples, change, normalized)
                break
            except SilentError:
                if seconds is None:  # the whole file
                    raise
        else:
            raise SilentError(f"{file}: silent in {CROPS} random crops")
        clip = {"waveform": waveform, "target": 0 if len(fake) else 1}
        if frame_seconds:
            labels = label_frames(fake, len(waveform) / SAMPLE_RATE, frame_seconds)
            clip["frame_targets"] = torch.from_numpy(labels)
        return clip

    # indexing a pandas array takes a microsecond, indexing a Series takes ten
    data = {name: protocol[column].array for name, column in columns.items()}
    outputs = ["waveform", "target", *(["frame_targets"] if frame_seconds else [])]
    dataset = UtteranceDataset(data, ["id", *outputs])
    dataset.add_dynamic_item(read, takes=["id", "epoch", "index", "path", "duration", "label"], provides="clip")
    for name in outputs:
        dataset.add_dynamic_item(itemgetter(name), takes="clip", provides=name)
    return dataset


def is_throughout(fake: Spans, seconds: float) -> bool:
    """Tell whether all of an utterance is fake, but for the rounding of times.

    Example
    -------
    >>> is_throughout(np.array([[0.0, 1.9999]]), 2.0), is_throughout(np.array([[0.0, 1.0]]), 2.0)
    (True, False)
    """
    return len(fake) == 1 and bool(fake[0, 0] <= TOLERANCE and fake[0, 1] >= seconds - TOLERANCE)


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
