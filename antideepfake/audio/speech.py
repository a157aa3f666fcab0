"""Detect speech activity from the power of frames."""

import numpy as np
from numpy.typing import NDArray

RANGE_DB = 35.0  # a frame counts as speech if its power is within this many dB of the loudest frame


def find_speech_frames(samples: NDArray[np.floating], frame: int) -> NDArray[np.bool_]:
    """Find the speech frames of a recording with a quiet background.

    Arguments
    ---------
    samples : array
        Shape [time].
    frame : int
        Frame length in samples, such as 160 for 10 ms at 16 kHz.

    Returns
    -------
    array of bool
        Shape [frames]; True for speech. Samples after the last complete frame are ignored. All False for a silent
        recording.

    Example
    -------
    >>> find_speech_frames(np.repeat([0.0, 1.0, 0.01, 0.5], 160), frame=160).tolist()
    [False, True, False, True]
    """
    frames = np.asarray(samples, dtype=np.float64)[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(frames**2, axis=1)
    return power > power.max(initial=0.0) * 10 ** (-RANGE_DB / 10)
