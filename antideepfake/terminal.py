"""Color on a terminal."""

import os
from typing import IO

CODES = {"red": 31, "green": 32, "yellow": 33}  # ANSI


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
