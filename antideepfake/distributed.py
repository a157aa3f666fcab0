"""What the processes of a run, one or several, exchange."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from antideepfake.errors import InputError

if TYPE_CHECKING:
    import torch

# torch is imported where it is needed: importing it takes seconds, and evaluating score files does without.


@contextmanager
def join_processes() -> Iterator[tuple[int, int]]:
    """Join the processes that ``torchrun`` started, for work that needs no GPU to communicate.

    Yields
    ------
    rank, world_size : int
        The number of this process and how many there are; (0, 1) for a run without ``torchrun``.

    Raises
    ------
    InputError
        When RANK or WORLD_SIZE is set to something else than a whole number.

    Example
    -------
    >>> with join_processes() as (rank, world_size):
    ...     print(rank, world_size)
    0 1
    """
    try:
        rank, world_size = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    except ValueError:
        raise InputError(
            "RANK and WORLD_SIZE must be whole numbers; torchrun sets them, otherwise unset them"
        ) from None
    if world_size == 1:
        yield 0, 1
        return
    from torch import distributed

    # The first process to finish waits for the last.
    distributed.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        yield rank, world_size
    finally:
        distributed.destroy_process_group()


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
