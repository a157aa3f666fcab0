"""How much memory it takes to train a front end, without training it."""

import copy
import ctypes
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd
from antideepfake.parallel import end_with_parent
from antideepfake.training.adaptation import add_lora, checkpoint_gradients, freeze_layers, require_layers
from antideepfake.training.hparams import build_front_end


def freeze_half(front_end: SelfSupervisedFrontEnd) -> None:
    """Freeze the lower half of the layers and everything below them."""
    freeze_layers(front_end, front_end.model.config.num_hidden_layers // 2)


WAYS: dict[str, tuple[str, tuple[Callable[[SelfSupervisedFrontEnd], None], ...]]] = {
    "all": ("fp32", ()),
    "all, bf16": ("bf16", ()),
    "all, checkpointed": ("fp32", (checkpoint_gradients,)),
    "upper half": ("fp32", (freeze_half,)),
    "LoRA": ("fp32", (add_lora,)),
    "LoRA, checkpointed": ("fp32", (add_lora, checkpoint_gradients)),
}
"""Ways to train a front end: the precision (``bf16`` is autocast), and how the front end is adapted."""


@dataclass(frozen=True)
class TrainingMemory:
    """Memory of a training step, in bytes.

    Arguments
    ---------
    weights : int
        Of the whole detector, in float32.
    gradients : int
        Of the trained weights.
    moments : int
        AdamW's two moments of each trained weight.
    activations : int
        What the forward pass stores for the backward pass. With autocast, also the weights in bfloat16.
    peak : int
        Maximum at any time. Less than the sum, since activations are freed while gradients are computed.
    """

    weights: int
    gradients: int
    moments: int
    activations: int
    peak: int


def compute_memory(front_end: SelfSupervisedFrontEnd, clips: int, seconds: float, precision: str) -> TrainingMemory:
    """Compute the memory for training a front end, by running a step with tensors that have shapes but no memory.

    The step is that of a detector with mean pooling and a linear classifier, trained with torch's AdamW for GPUs,
    without gradient accumulation. The libraries need additional memory: half a gigabyte or more on a GPU.

    Arguments
    ---------
    front_end : SelfSupervisedFrontEnd
        As it is to be trained; best built under ``torch.device("meta")``, where it takes no memory itself.
    clips : int
        In a batch.
    seconds : float
        Length of each.
    precision : str
        ``fp32``, or ``bf16`` for autocast.

    Returns
    -------
    TrainingMemory
        In bytes.

    Example
    -------
    >>> from antideepfake.lobes import Wav2Vec2
    >>> with torch.device("meta"):
    ...     front_end = Wav2Vec2()
    >>> memory = compute_memory(front_end, clips=1, seconds=1.0, precision="fp32")
    >>> [round(size / 1e6) for size in (memory.weights, memory.gradients, memory.moments, memory.activations)]
    [377, 377, 755, 91]
    """
    require_layers(front_end)
    front_end = copy.deepcopy(front_end).to("meta")
    with FakeTensorMode(allow_non_fake_inputs=True), _MemoryTracker() as tracker:
        front_end.to_empty(device="cpu")
        classifier = torch.nn.Linear(front_end.model.config.hidden_size, 2)
        weights = [*front_end.parameters(), *classifier.parameters()]
        trained = sum(weight.nbytes for weight in weights if weight.requires_grad)
        before, after = (tracker.current for _ in _training_step(front_end, classifier, clips, seconds, precision))
    total = sum(weight.nbytes for weight in weights)
    return TrainingMemory(total, trained, 2 * trained, after - before, tracker.peak)


def measure_memory(file: str | os.PathLike, way: str, clips: int, seconds: float) -> int:
    """Measure the memory for training a front end, by running a step on the CPU in a separate process.

    Arguments
    ---------
    file : str or Path
        YAML of a front end, like those of ``hparams/front_ends``.
    way : str
        One of :data:`WAYS`.
    clips, seconds :
        As for :func:`compute_memory`.

    Returns
    -------
    int
        Peak resident memory without that of Python and the libraries, in bytes.

    Raises
    ------
    InputError
        When there is not enough memory, or the system is not Linux.
    """
    if sys.platform != "linux":
        raise InputError("memory can be measured on Linux only; omit the measurement")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            return pool.submit(_measure_here, file, way, clips, seconds).result()
        except BrokenProcessPool:
            raise InputError(f"{file}: not enough memory to train it ({way}); use fewer or shorter clips") from None


def _measure_here(file: str | os.PathLike, way: str, clips: int, seconds: float) -> int:
    # M_MMAP_THRESHOLD, in bytes: otherwise glibc keeps freed memory
    ctypes.CDLL(None).mallopt(-3, 2**17)
    libraries = _resident("VmRSS")
    front_end = build_front_end(file)
    precision, changes = WAYS[way]
    for change in changes:
        change(front_end)
    classifier = torch.nn.Linear(front_end.model.config.hidden_size, 2)
    for _ in _training_step(front_end, classifier, clips, seconds, precision):
        pass
    return _resident("VmHWM") - libraries


def _resident(kind: str) -> int:
    """Read the resident memory of this process, in bytes: ``VmRSS`` is the current value, ``VmHWM`` the peak."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split(f"{kind}:")[1].split()[0])


def _training_step(
    front_end: SelfSupervisedFrontEnd, classifier: torch.nn.Linear, clips: int, seconds: float, precision: str
) -> Iterator[None]:
    """Run a step as in the middle of a training; yields before and after the forward pass."""
    front_end.train()
    front_end.model.config.layerdrop = 0.0  # a step that skips no layer takes the most memory
    weights = [weight for weight in [*front_end.parameters(), *classifier.parameters()] if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, foreach=True)
    for weight in weights:  # the first step allocates the moments
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    optimizer.zero_grad()
    waveforms = list(torch.zeros(clips, round(seconds * SAMPLE_RATE)))
    yield
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        logits = classifier(MeanPooling()(*front_end.encode(waveforms)))
    loss = torch.nn.functional.cross_entropy(logits.float(), torch.zeros(clips, dtype=torch.int64))
    yield
    loss.backward()
    optimizer.step()


class _MemoryTracker(TorchDispatchMode):
    """Tracks the memory of all tensors, from allocation to release."""

    def __init__(self) -> None:
        super().__init__()
        self.current = self.peak = 0
        self.sizes = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage() not in self.sizes:
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.sizes[storage] = size
        self.current += size
        self.peak = max(self.peak, self.current)
        weakref.finalize(storage, self._remove, size)

    def _remove(self, size: int) -> None:
        self.current -= size
