"""Cut a recording of any length into windows, block by block."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from antideepfake.audio.samples import SAMPLE_RATE, Samples
from antideepfake.audio.speech import SpeechActivity
from antideepfake.model_folder.windowing import Windowing


class Window(NamedTuple):
    """A part of a recording.

    Arguments
    ---------
    start : int
        Its first sample, at 16 kHz.
    samples : array of float32
        Shape [time]; not normalized.
    speech : float
        Share of the window that is speech; NaN if it is too short to tell.
    """

    start: int
    samples: Samples
    speech: float


def cut_windows(blocks: Iterable[Samples], windowing: Windowing, activity: SpeechActivity) -> Iterator[Window]:
    """Cut a waveform into windows.

    The last window ends with the recording and may overlap the window before by more than the others do. A recording
    shorter than a window is one window. The windows do not depend on the size of the blocks, and a window is given as
    soon as its last sample is known: this is what makes a stream equal to a file.

    Arguments
    ---------
    blocks : iterable of array of float32
        Mono, 16 kHz, not normalized; shape [time] each.
    windowing : Windowing
        Length and hop of the windows.
    activity : SpeechActivity
        Takes the blocks; afterwards it knows the speech of the whole recording.

    Yields
    ------
    Window
        In order of time; no two with the same start.

    Example
    -------
    >>> windowing = Windowing(window_seconds=2.0, hop_seconds=1.0)
    >>> blocks = np.split(np.random.default_rng(1).random(72_000, np.float32), 72)
    >>> [window.start / 16000 for window in cut_windows(blocks, windowing, SpeechActivity())]
    [0.0, 1.0, 2.0, 2.5]
    """
    length, hop = round(windowing.window_seconds * SAMPLE_RATE), round(windowing.hop_seconds * SAMPLE_RATE)
    parts: list[Samples] = []  # of the recording from sample `first` on
    first = total = start = 0  # `start` is that of the next window
    for block in blocks:
        activity.push(block)
        parts.append(block)
        total += len(block)
        if total < start + length:
            continue
        buffer = np.concatenate(parts)
        while start + length <= total:
            yield Window(start, buffer[start - first :][:length].copy(), activity.share(start, start + length))
            start += hop
        kept = max(total - length, first)  # the last window may need all of these samples
        parts, first = [buffer[kept - first :].copy()], kept
    if total > start - hop + length or start == 0:
        last = max(total - length, 0)
        if total:
            yield Window(last, np.concatenate(parts)[last - first :], activity.share(last, total))
