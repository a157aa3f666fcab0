"""How much memory training a front end takes, before it is tried."""

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
from antideepfake.training.adaptation import add_lora, checkpoint_gradients, freeze_layers, require_layers
from antideepfake.training.hparams import build_front_end


def freeze_half(front_end: SelfSupervisedFrontEnd) -> None:
    """Freeze the lower half of the layers, and what is below."""
    freeze_layers(front_end, front_end.model.config.num_hidden_layers // 2)


WAYS: dict[str, tuple[str, tuple[Callable[[SelfSupervisedFrontEnd], None], ...]]] = {
    "all": ("fp32", ()),
    "all, bf16": ("bf16", ()),
    "all, checkpointed": ("fp32", (checkpoint_gradients,)),
    "upper half": ("fp32", (freeze_half,)),
    "LoRA": ("fp32", (add_lora,)),
    "LoRA, checkpointed": ("fp32", (add_lora, checkpoint_gradients)),
}
"""Ways to train a front end: the precision (``bf16`` is autocast), and what is done to it."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a step of training takes.

    Arguments
    ---------
    weights : int
        Of the whole detector, in float32.
    gradients : int
        Of what is trained.
    moments : int
        AdamW's two for each weight that is trained.
    activations : int
        What the forward pass leaves for the backward pass. With autocast also the weights in bfloat16.
    peak : int
        The most at one time. Less than the sum: gradients come as activations go.
    """

    weights: int
    gradients: int
    moments: int
    activations: int
    peak: int


def compute_memory(front_end: SelfSupervisedFrontEnd, clips: int, seconds: float, precision: str) -> TrainingMemory:
    """Compute what training a front end takes: a step is gone through with tensors that have shapes but no memory.

    The step is that of a detector with mean pooling and a linear classifier, trained with AdamW as torch has it for
    GPUs, without accumulation of gradients. What the libraries take for themselves comes on top: half a gigabyte or
    more on a GPU.

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
    with FakeTensorMode(allow_non_fake_inputs=True), _Ledger() as ledger:
        front_end.to_empty(device="cpu")
        classifier = torch.nn.Linear(front_end.model.config.hidden_size, 2)
        weights = [*front_end.parameters(), *classifier.parameters()]
        trained = sum(weight.nbytes for weight in weights if weight.requires_grad)
        before, after = (ledger.now for _ in _training_step(front_end, classifier, clips, seconds, precision))
    total = sum(weight.nbytes for weight in weights)
    return TrainingMemory(total, trained, 2 * trained, after - before, ledger.peak)


def measure_memory(file: str | os.PathLike, way: str, clips: int, seconds: float) -> int:
    """Measure what training a front end takes: in a process of its own, on the CPU, a step is done.

    Arguments
    ---------
    file : str or Path
        YAML of a front end, as those of ``hparams/front_ends``.
    way : str
        One of :data:`WAYS`.
    clips, seconds :
        As :func:`compute_memory`.

    Returns
    -------
    int
        The most memory that was resident, less that of Python and the libraries; in bytes.

    Raises
    ------
    InputError
        When there was not enough memory, or the system is not Linux, which alone tells it.
    """
    if sys.platform != "linux":
        raise InputError("memory can be measured on Linux only; leave the measurement out")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_measure_here, file, way, clips, seconds).result()
        except BrokenProcessPool:
            raise InputError(f"{file}: not enough memory to train it ({way}); take fewer or shorter clips") from None


def _measure_here(file: str | os.PathLike, way: str, clips: int, seconds: float) -> int:
    # glibc would keep what is freed; this is M_MMAP_THRESHOLD, in bytes
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
    """Resident memory of this process, in bytes: ``VmRSS`` is that of now, ``VmHWM`` the most that there was."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split(f"{kind}:")[1].split()[0])


def _training_step(
    front_end: SelfSupervisedFrontEnd, classifier: torch.nn.Linear, clips: int, seconds: float, precision: str
) -> Iterator[None]:
    """Do a step as those in the midst of a training; stops before and after the forward pass."""
    front_end.train()
    front_end.model.config.layerdrop = 0.0  # with no layer skipped a step takes the most
    weights = [weight for weight in [*front_end.parameters(), *classifier.parameters()] if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, foreach=True)
    for weight in weights:  # the optimizer has its moments from the first step on
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


class _Ledger(TorchDispatchMode):
    """Books the memory of every tensor that comes into being, until it goes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.booked = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage() not in self.booked:
                self._book(tensor.untyped_storage())
        return result

    def _book(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.booked[storage] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._strike, size)

    def _strike(self, size: int) -> None:
        self.now -= size
