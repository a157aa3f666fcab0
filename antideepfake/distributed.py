"""What the processes of a run, one or several, tell each other."""

from typing import TYPE_CHECKING, Any

from antideepfake.errors import InputError

if TYPE_CHECKING:
    import torch

# torch is imported where it is needed: it takes seconds, and what evaluates score files does without.


def rank_and_size() -> tuple[int, int]:
    """Give the number of this process and how many there are; (0, 1) for a run without ``torchrun``."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def average(values: "torch.Tensor") -> "torch.Tensor":
    """Average a tensor over all processes."""
    from torch import distributed

    _, size = rank_and_size()
    if size > 1:
        values = values.clone()
        distributed.all_reduce(values)
        values /= size
    return values


def gather(values: list[Any]) -> list[Any]:
    """Join the lists of all processes, in the order of their numbers."""
    from torch import distributed

    _, size = rank_and_size()
    if size == 1:
        return values
    parts: list[Any] = [None] * size
    distributed.all_gather_object(parts, values)
    return [value for part in parts for value in part]


def wait_for_all(size: int) -> None:
    """Go on when all processes, ``size`` of them, are here.

    Raises
    ------
    InputError
        When one of them is gone.
    """
    if size == 1:
        return
    from torch import distributed

    try:
        distributed.barrier()
    except RuntimeError:  # gloo's word for a process that is gone
        raise InputError("another process of this run stopped; its own message says why") from None
