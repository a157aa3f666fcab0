"""Communication between the processes of a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from antideepfake.errors import InputError

if TYPE_CHECKING:
    import torch

# Functions import torch when they need it: importing it takes seconds, and evaluating score files does not need it.


@contextmanager
def join_processes() -> Iterator[tuple[int, int]]:
    """Join the processes that ``torchrun`` started. They communicate through the CPU (gloo).

    Yields
    ------
    rank, world_size : int
        Index of this process and number of processes; (0, 1) without ``torchrun``.

    Raises
    ------
    InputError
        When RANK or WORLD_SIZE is not a whole number.

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

    # The timeout is long because the first process to finish waits for the last.
    distributed.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        yield rank, world_size
    finally:
        distributed.destroy_process_group()


def rank_and_size() -> tuple[int, int]:
    """Return the index of this process and the number of processes; (0, 1) without ``torchrun``."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def average(values: "torch.Tensor") -> "torch.Tensor":
    """Return the average of a tensor over all processes."""
    from torch import distributed

    _, size = rank_and_size()
    if size > 1:
        values = values.clone()
        distributed.all_reduce(values)
        values /= size
    return values


def gather(values: list[Any]) -> list[Any]:
    """Concatenate the lists of all processes in the order of their ranks."""
    from torch import distributed

    _, size = rank_and_size()
    if size == 1:
        return values
    lists: list[Any] = [None] * size
    distributed.all_gather_object(lists, values)
    return [value for one in lists for value in one]


@contextmanager
def report_lost_process() -> Iterator[None]:
    """Raise an error for users where the code inside communicates with a process that has stopped.

    Raises
    ------
    InputError
        When another process of this run has stopped, for instance with its node.
    """
    from torch import distributed

    try:
        yield
    except RuntimeError as error:
        # gloo raises RuntimeError itself, and its file names are part of the message; NCCL has classes of its own
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise InputError(
            "another process of this run stopped; see its error message for the reason, and run the same command again "
            "to continue"
        ) from None


def wait_for_all(size: int) -> None:
    """Wait until all processes, ``size`` in number, reach this call.

    Raises
    ------
    InputError
        When another process has stopped.
    """
    if size == 1:
        return
    from torch import distributed

    with report_lost_process():
        distributed.barrier()
