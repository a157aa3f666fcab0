"""Speech activity: which frames of a recording are speech, by their power."""

import numpy as np
from numpy.typing import NDArray

RANGE_DB = 35.0  # a frame is speech where its power is within this range of the loudest frame's


def find_speech_frames(samples: NDArray[np.floating], frame: int) -> NDArray[np.bool_]:
    """Find the frames of speech in a recording with a quiet background.

    Arguments
    ---------
    samples : array
        Shape [time].
    frame : int
        Samples of a frame, such as 10 ms.

    Returns
    -------
    array of bool
        Shape [frames]; samples after the last whole frame belong to none. All false where everything is silent.

    Example
    -------
    >>> find_speech_frames(np.repeat([0.0, 1.0, 0.01, 0.5], 160), frame=160).tolist()
    [False, True, False, True]
    """
    frames = np.asarray(samples, dtype=np.float64)[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(frames**2, axis=1)
    return power > power.max(initial=0.0) * 10 ** (-RANGE_DB / 10)
