"""From a protocol to SpeechBrain's datasets and batches."""

import hashlib
import os
from typing import Any

import numpy as np
import pandas as pd
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import DynamicBatchSampler

from antideepfake.dataio.audio import read_waveform
from antideepfake.protocol import LABELS, resolve_path


class RandomCrop:
    """Choose the part of a long training clip to read.

    The draw depends on the seed, the epoch and the utterance alone, so a run does not depend on the number of workers.

    Arguments
    ---------
    min_seconds, max_seconds : float
        Clips over ``max_seconds`` are cut to a random length between the two.
    seed : int
        Of the draws.

    Example
    -------
    >>> crop = RandomCrop(10.0, 13.0, seed=1234)
    >>> crop("a", 8.0)
    (0.0, None)
    >>> start, duration = crop("a", 60.0)
    >>> 10.0 <= duration <= 13.0 and 0.0 <= start <= 50.0
    True
    >>> crop("a", 60.0) == (start, duration)
    True
    """

    def __init__(self, min_seconds: float, max_seconds: float, seed: int) -> None:
        if not 0 < min_seconds <= max_seconds:
            raise ValueError(f"0 < min_seconds <= max_seconds is needed, not {min_seconds} and {max_seconds}")
        self.min_seconds = min_seconds
        self.max_seconds = max_seconds
        self.seed = seed
        self.epoch = 0

    def __call__(self, utterance: str, seconds: float) -> tuple[float, float | None]:
        """Give start and duration, in seconds, of what to read of ``utterance``, which lasts ``seconds``."""
        if seconds <= self.max_seconds:
            return 0.0, None
        digest = hashlib.blake2b(f"{self.seed}/{self.epoch}/{utterance}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))
        position, length = torch.rand(2, generator=generator).tolist()
        duration = self.min_seconds + length * (self.max_seconds - self.min_seconds)
        return position * (seconds - duration), duration


def make_dataset(
    protocol: pd.DataFrame,
    data_folder: str | os.PathLike,
    crop: RandomCrop | None = None,
    min_samples: int = 1,
) -> DynamicItemDataset:
    """Make a dataset of a protocol.

    Arguments
    ---------
    protocol : pandas.DataFrame
        Utterances, as :func:`antideepfake.protocol.read_protocol` gives.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    crop : RandomCrop, optional
        For training. Without it the whole file is read.
    min_samples : int
        As :func:`antideepfake.dataio.read_waveform`.

    Returns
    -------
    DynamicItemDataset
        Items with ``id``, ``waveform`` (float32, [time]) and ``target`` (0 = fake, 1 = real).

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
    rows: dict[str, dict[str, Any]] = {
        row.ID: {"path": str(resolve_path(row.Path, data_folder)), "duration": row.Duration, "label": row.Label}
        for row in protocol.itertuples()
    }

    def waveform(utterance: str, path: str, duration: float) -> torch.Tensor:
        start, seconds = crop(utterance, duration) if crop else (0.0, None)
        return read_waveform(path, start, seconds, min_samples)

    dataset = DynamicItemDataset(rows, output_keys=["id", "waveform", "target"])
    dataset.add_dynamic_item(waveform, takes=["id", "path", "duration"], provides="waveform")
    dataset.add_dynamic_item(LABELS.index, takes="label", provides="target")
    return dataset


def make_batch_sampler(
    dataset: DynamicItemDataset, batch_seconds: float, num_buckets: int, max_clip_seconds: float, seed: int
) -> DynamicBatchSampler:
    """Batches of about the same amount of audio, of clips of about the same length, in random order.

    Arguments
    ---------
    dataset : DynamicItemDataset
        As :func:`make_dataset` gives.
    batch_seconds : float
        Audio in a batch, padding included, in seconds.
    num_buckets : int
        Groups of clips by length: more means less padding and less randomness.
    max_clip_seconds : float
        What the crop leaves of a longer clip.
    seed : int
        Of the order.

    Returns
    -------
    DynamicBatchSampler
        For ``train_loader_kwargs``.

    Example
    -------
    >>> rows = {str(n): {"duration": 1.0 + n % 3} for n in range(30)}
    >>> sampler = make_batch_sampler(DynamicItemDataset(rows), 10.0, 3, 13.0, seed=1)
    >>> sum(len(batch) for batch in sampler)
    30
    """
    lengths = [min(dataset.data[key]["duration"], max_clip_seconds) for key in dataset.data_ids]
    # Boundaries at quantiles: the sampler's own are spread up to batch_seconds, and leave all short clips in the first.
    boundaries = np.unique(np.quantile(lengths, np.arange(1, num_buckets + 1) / num_buckets)).tolist()
    return DynamicBatchSampler(
        dataset, max_batch_length=batch_seconds, bucket_boundaries=boundaries, lengths_list=lengths, seed=seed
    )
