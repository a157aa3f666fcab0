"""One function over many items, in processes of this computer or on a Dask cluster."""

import logging
import os
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, TypeVar

from antideepfake.errors import InputError

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNKS = 4  # for each thread of the cluster: the next ones are there before a result has traveled back
SECONDS = 30  # to wait for the scheduler and its first worker; between two looks at whether workers are left
LONGEST = 103 - len("/pymp-12345678/listener-12345678")  # path of a socket on macOS, less what multiprocessing appends


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_workers: int = 0,
    scheduler: str | None = None,
    chunk_size: int = 1,
) -> Iterator[Result]:
    """Call a function with each item, and give the results in the order of the items.

    Arguments
    ---------
    function : callable
        A function of a module, called in other processes. With ``scheduler``, it must leave the same files when it is
        called again: what a lost worker was doing is done again by another one.
    items : iterable
        Arguments that can be pickled. With ``scheduler``, their paths must be absolute and valid on all workers.
    num_workers : int
        Number of worker processes; 0 uses only this process. Has no effect with ``scheduler``.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://node1:8786``.
    chunk_size : int
        Items that a worker gets at once: more, if a call takes milliseconds.

    Yields
    ------
    Result
        Of each item.

    Raises
    ------
    InputError
        When Dask is not installed, the scheduler does not answer, has no workers or stops, or an item kills several
        workers.

    Example
    -------
    >>> list(map_in_order(abs, [3, -1, 2]))
    [3, 1, 2]
    """
    if scheduler is not None:
        yield from _map_on_cluster(function, items, scheduler, chunk_size)
    elif num_workers == 0:
        yield from map(function, items)
    else:
        with ProcessPoolExecutor(num_workers, get_context("spawn"), initializer=end_with_parent) as pool:
            yield from pool.map(function, items, chunksize=chunk_size)


def end_with_parent() -> None:
    """End this worker process as soon as its parent process is killed; it would wait for work forever."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def check_temporary_folder() -> None:
    """Check that a data loader can pass tensors between processes, which it does through sockets in a temporary folder.

    If the path of a socket is too long for the system, the loader would wait for its workers forever.

    Raises
    ------
    InputError
        When the path of the temporary folder is too long.
    """
    folder = tempfile.gettempdir()
    if len(folder.encode()) > LONGEST:
        raise InputError(
            f"{folder}: the path of the folder for temporary files is too long for worker processes; set TMPDIR to one "
            f"of at most {LONGEST} characters, or use --num_workers 0"
        )


def _map_on_cluster(
    function: Callable[[Item], Result], items: Iterable[Item], scheduler: str, chunk_size: int
) -> Iterator[Result]:
    try:
        import distributed
    except ImportError:
        raise InputError('--scheduler needs Dask: pip install "speechbrain-antideepfake[dask]"') from None
    _hide_lazy_modules()
    try:
        distributed.comm.resolve_address(scheduler)  # a client of a wrong address would wait for a minute at the end
        client = distributed.Client(scheduler, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError):
        raise InputError(
            f"--scheduler {scheduler}: no Dask scheduler answers; start one with 'dask scheduler'"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS)
            yield from _submit_in_order(client, scheduler, function, items, chunk_size)
        except distributed.TimeoutError:
            raise InputError(
                f"--scheduler {scheduler}: the scheduler has no workers; start some with 'dask worker {scheduler}'"
            ) from None
        except distributed.KilledWorker:
            raise InputError(
                f"--scheduler {scheduler}: several workers died of the same files; see the log of a worker, which may "
                "lack memory"
            ) from None
        except (distributed.CancelledError, distributed.comm.CommClosedError):
            raise InputError(
                f"--scheduler {scheduler}: the scheduler stopped; start it and run the same command again"
            ) from None


def _hide_lazy_modules() -> None:
    """Let Dask ask every module for its file, as it does to log an error.

    The lazy modules of SpeechBrain would import packages for this that need not be installed.
    """
    importutils = sys.modules.get("speechbrain.utils.importutils")
    if importutils is not None:
        importutils.LazyModule.__file__ = None


def _submit_in_order(
    client: "Client", scheduler: str, function: Callable[[Item], Result], items: Iterable[Item], chunk_size: int
) -> Iterator[Result]:
    remaining = iter(items)
    running: deque = deque()
    # Not all at once, since ten million items would fill the memory of the scheduler.
    while True:
        while len(running) < max(CHUNKS * sum(client.nthreads().values()), 1):
            chunk = list(islice(remaining, chunk_size))
            if not chunk:
                break
            running.append(client.submit(_call, function, chunk, pure=False))
        if not running:
            return
        yield from _wait(client, scheduler, running.popleft())


def _wait(client: "Client", scheduler: str, future: "Future") -> list:
    """Give the result of a call, even if a job queue replaces the workers of a cluster hours later."""
    import distributed

    said = False
    while not future.done():
        try:
            with client.as_current():
                distributed.wait(future, timeout=SECONDS)
        except distributed.TimeoutError:
            if client.nthreads():
                said = False
            elif not said:
                logger.warning(
                    f"--scheduler {scheduler}: all workers are lost; waiting for new ones, which "
                    f"'dask worker {scheduler}' starts"
                )
                said = True
    return future.result()


def _call(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]
