"""The items that a detector scores: files, or samples in memory."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from antideepfake.audio.ffmpeg import scale_integers
from antideepfake.audio.recording import Recording
from antideepfake.audio.samples import SAMPLE_RATE, Samples, split_samples, stream_file, stream_samples
from antideepfake.errors import InputError
from antideepfake.parallel import check_temporary_folder

Item = str | os.PathLike | Recording | tuple[Any, int]


def read_items(
    items: Iterable[Item], longest: float, num_workers: int
) -> Iterator[tuple[Item, tuple[str, Samples | str | None]]]:
    """Read items in order.

    Arguments
    ---------
    items : iterable
        Paths, :class:`antideepfake.audio.recording.Recording`, or pairs of samples and their rate in Hz.
    longest : float
        Seconds from which a recording is long, and is not read to its end.
    num_workers : int
        Processes that read; 0 reads in this process.

    Yields
    ------
    item
        The item.
    (name, samples)
        Mono at 16 kHz, not normalized, shape [time]; the reason if there are none; None for a long recording.

    Example
    -------
    >>> call = np.random.default_rng(1).standard_normal(8000)
    >>> [(name, len(samples)) for _, (name, samples) in read_items([(call, 8000)], 13.0, 0)]
    [('item 0', 16000)]
    """
    if num_workers == 0:
        for index, item in enumerate(items):
            yield item, _read_item(item, index, longest)
        return
    from torch.utils.data import DataLoader  # with processes alone: a detector in ONNX Runtime starts without torch

    check_temporary_folder()
    items = list(items)
    dataset: Any = _Items(items, longest)
    # samples come back as tensors in memory that the processes share
    for item, (name, samples) in zip(items, DataLoader(dataset, batch_size=None, num_workers=num_workers), strict=True):
        yield item, (name, samples if samples is None or isinstance(samples, str) else np.asarray(samples))


class _Items:
    """Items as :func:`read_items` gives them."""

    def __init__(self, items: list[Item], longest: float) -> None:
        self.items = items
        self.longest = longest

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[str, Samples | str | None]:
        return _read_item(self.items[index], index, self.longest)


def _read_item(item: Item, index: int, longest: float) -> tuple[str, Samples | str | None]:
    name = _name_item(item, index)
    blocks: list[Samples] = []
    seconds = 0.0
    try:
        for block in open_item(item, name):
            blocks.append(block)
            seconds += len(block) / SAMPLE_RATE
            if seconds > longest:
                return name, None
        return name, np.concatenate(blocks)
    except InputError as error:
        return name, str(error)
    except Exception as error:  # no item may stop the others
        return name, f"{name}: neither a path nor a pair of samples and their rate ({type(error).__name__}: {error})"


def _name_item(item: Item, index: int) -> str:
    if isinstance(item, Recording):
        item = item.path
    return os.fspath(item) if isinstance(item, (str, os.PathLike)) else f"item {index}"


def open_item(item: Item, name: str) -> Iterator[Samples]:
    """Read an item block by block.

    Arguments
    ---------
    item : Item
        As for :func:`read_items`.
    name : str
        Its name, for error messages.

    Yields
    ------
    array of float32
        Mono, 16 kHz, not normalized; shape [time].

    Example
    -------
    >>> sum(map(len, open_item((np.random.default_rng(1).standard_normal(8000), 8000), "a call")))
    16000
    """
    if isinstance(item, (str, os.PathLike)):
        item = Recording(item)
    if isinstance(item, Recording):
        return stream_file(item)
    samples, sample_rate = item
    return stream_samples(split_samples(to_signal(samples, name), sample_rate, name), int(sample_rate), name)


def to_signal(samples: Any, name: str) -> Samples:
    """Turn an array, a tensor or a list into float32 samples; integers, of any width, are scaled to [-1, 1).

    Example
    -------
    >>> to_signal(np.array([-32768, 16384], np.int16), "a call")
    array([-1. ,  0.5], dtype=float32)
    """
    if hasattr(samples, "detach"):  # a tensor
        samples = samples.detach().cpu()
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    array = np.asarray(samples)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: samples of type {array.dtype}; pass floats or integers")
    if array.dtype.kind != "f":
        return scale_integers(array)
    with np.errstate(over="ignore"):  # an overflow becomes infinite, which stream_samples refuses
        return np.array(array, np.float32, order="C")  # a copy, in native byte order
