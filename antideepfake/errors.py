"""What a program says when it cannot go on, and the status that it leaves with."""

import errno
import os
import sys
from collections.abc import Callable

from antideepfake.terminal import paint

DISK_FULL = "the disk is full; free some space and run the same command again"


class InputError(ValueError):
    """A mistake of the user's: one sentence that names the file, the line and the mend."""


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
