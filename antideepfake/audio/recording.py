"""Which part of a file is a recording."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Recording:
    """A recording in a file: which stream and which channel of it.

    Arguments
    ---------
    path : str or Path
        An audio or video file.
    channel : int, optional
        The channel to take, from 0; by default the average of all.
    stream : int
        The audio stream to take, from 0, of a file that has several.

    Example
    -------
    >>> Recording("call.wav", channel=1).stream
    0
    """

    path: str | os.PathLike
    channel: int | None = None
    stream: int = 0
