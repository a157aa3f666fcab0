"""Keeping the messages of C libraries off the terminal."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_users = 0  # threads that want silence now
_original = -1  # a copy of standard error, while it is redirected


@contextmanager
def mute_decoder() -> Iterator[None]:
    """Send what is written to file descriptor 2 to nowhere.

    libmpg123, within libsndfile, writes its warnings there, and has no option that libsndfile passes on. Whatever is
    wrong with a file is found and named without it. Standard error is that of the whole process: keep the block to a
    call of the decoder. Threads may use it at the same time.

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
