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
    """Run a command-line program and leave with the status that all our programs share.

    0: done. 1: done, but something was skipped. 2: a mistake of the user's, a file that may not be
    written or a full disk, told in one sentence.
    130: interrupted; the same command goes on where it stopped.

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
        # a data loader's worker hands an error on with its traceback before the sentence
        status = _fail(str(error).rsplit("InputError: ", 1)[-1])
    except BrokenPipeError:  # who reads our output, such as head, wants no more of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it closes
        status = 0
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            status = _fail(DISK_FULL + (f" (writing {error.filename})" if error.filename else ""))
        elif error.filename:
            status = _fail(f"{error.filename}: {error.strerror}")
        else:
            raise
    except RuntimeError as error:
        if "PytorchStreamWriter failed writing" not in str(error):  # torch.save's word for a full disk
            raise
        status = _fail(DISK_FULL)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        status = 130
    sys.exit(status)


def _fail(sentence: str) -> int:
    print(paint("error:", "red", sys.stderr), " ".join(sentence.split()), file=sys.stderr)
    return 2


def paint(text: str, color: str, stream: IO[str]) -> str:
    """Color a text where its stream is a terminal and the user does not object (https://no-color.org).

    Arguments
    ---------
    text : str
        What is to be written.
    color : str
        A key of ``CODES``.
    stream : file
        Where it is to be written.

    Returns
    -------
    str
        The text, between codes of the terminal or as it is.

    Example
    -------
    >>> import io
    >>> paint("fake", "red", io.StringIO())
    'fake'
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{CODES[color]}m{text}\033[0m"
