"""Keep the messages of C libraries off the terminal."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_users = 0  # number of threads inside the context manager
_original = -1  # copy of the descriptor of standard error while it is redirected


@contextmanager
def mute_decoder() -> Iterator[None]:
    """Discard everything that is written to file descriptor 2.

    libmpg123 writes warnings there, and libsndfile, which contains it, has no option to disable them. This library
    detects and reports damaged files without these warnings. The redirection affects the whole process, so wrap only
    the call of the decoder. Several threads may use it at the same time.

    Example
    -------
    >>> with mute_decoder():
    ...     _ = os.write(2, b"[src/libmpg123/parse.c] warning: Xing stream size off by more than 1%")
    """
    global _users, _original
    with _lock:
        if _users == 0:
            try:
                _original = os.dup(2)
            except OSError:  # a process without standard error
                _original = -1
            else:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _original >= 0:
                os.dup2(_original, 2)
                os.close(_original)
