"""Running a command-line program: exit status, error messages, color."""

import errno
import os
import sys
from collections.abc import Callable
from typing import IO

from antideepfake.errors import InputError

DISK_FULL = "the disk is full; free some space and run the same command again"
CODES = {"red": 31, "green": 32, "yellow": 33}  # ANSI


def run_program(main: Callable[[], int]) -> None:
    """Run a command-line program and exit with a status that means the same for every program.

    0: done. 1: done, but something was skipped or found. 2: a user's mistake, a file that cannot be written or a full
    disk, reported in one line. 130: interrupted; the same command continues where it stopped.

    Arguments
    ---------
    main : callable
        The program. Returns 0 or 1.

    Raises
    ------
    SystemExit
        Always.

    Example
    -------
    >>> run_program(lambda: 0)
    Traceback (most recent call last):
    SystemExit: 0
    """
    try:
        status = main()
    except InputError as error:
        # an error from a data loader's worker has the traceback in front of the message
        status = _fail(str(error).rsplit("InputError: ", 1)[-1])
    except BrokenPipeError:  # the reader of our output, such as head, has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at exit
        status = 0
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            status = _fail(DISK_FULL + (f" (writing {error.filename})" if error.filename else ""))
        elif error.filename:
            status = _fail(f"{error.filename}: {error.strerror}")
        else:
            raise
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        status = 130
    sys.exit(status)


def _fail(message: str) -> int:
    print_error(message)
    return 2


def print_error(message: str) -> None:
    """Print an error on standard error, in one line."""
    print(paint("error:", "red", sys.stderr), " ".join(message.split()), file=sys.stderr)


def paint(text: str, color: str, stream: IO[str]) -> str:
    """Color a text if its stream is a terminal and the user does not object (https://no-color.org).

    Arguments
    ---------
    text : str
        Text to write.
    color : str
        A key of ``CODES``.
    stream : file
        Where the text goes.

    Returns
    -------
    str
        The text, with terminal codes or without.

    Example
    -------
    >>> import io
    >>> paint("fake", "red", io.StringIO())
    'fake'
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{CODES[color]}m{text}\033[0m"
