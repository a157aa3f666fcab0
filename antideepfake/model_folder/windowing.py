"""How a long recording is cut into windows and how the scores of its windows become one score."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError

# Half an hour. A large front end needs about 4 MB per second of audio, here 8 GB, and quadratic time.
LONGEST_UTTERANCE = 1800.0  # seconds
AGGREGATES = "mean, max, top-N (such as top-3) or share"


@dataclass(frozen=True)
class Windowing:
    """Settings for recordings of any length.

    Arguments
    ---------
    utterance_seconds : float
        Longest recording that is scored as one utterance. The default is the longest clip in the training of the
        published detectors, 13 s. At most ``LONGEST_UTTERANCE``.
    window_seconds : float
        Length of a window of a longer recording. The default of 4 s is the input length of most published detectors.
    hop_seconds : float
        Time between the starts of two windows.
    aggregate : str
        How the windows with speech become one score: ``mean`` of their logits; ``max``, those of the window that is
        most likely fake; ``top-N``, the mean of the N windows that are most likely fake; ``share``, the log odds of a
        window being real, by the number of windows on either side of the threshold.

    Raises
    ------
    InputError
        When a value is out of range.

    Example
    -------
    >>> Windowing(utterance_seconds=4).window_seconds
    4.0
    """

    utterance_seconds: float = 13.0
    window_seconds: float = 4.0
    hop_seconds: float = 2.0
    aggregate: str = "mean"

    def __post_init__(self) -> None:
        for name in ("utterance_seconds", "window_seconds", "hop_seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InputError(f"{name} is {value!r}; it must be a number above 0")
        if self.utterance_seconds > LONGEST_UTTERANCE:
            raise InputError(
                f"utterance_seconds is {self.utterance_seconds:g}; it must be at most {LONGEST_UTTERANCE:g}"
            )
        if not self.hop_seconds <= self.window_seconds < float("inf"):
            raise InputError(
                f"hop_seconds is {self.hop_seconds:g} and window_seconds {self.window_seconds:g}; the hop must not be "
                "longer than the window, or part of the recording would not be scored"
            )
        if not isinstance(self.aggregate, str) or not re.fullmatch(r"mean|max|share|top-[1-9]\d{0,5}", self.aggregate):
            raise InputError(f"the aggregate is {self.aggregate!r}; use {AGGREGATES}")

    def combine(self, logits: ArrayLike, threshold: float) -> tuple[float, float]:
        """Combine the logits of windows.

        Arguments
        ---------
        logits : array
            Of fake and of real, shape [windows, 2]; at least one window.
        threshold : float
            A window whose score is at or above it counts as real.

        Returns
        -------
        pair of float
            Logits of fake and of real of the recording.

        Example
        -------
        >>> windows = [[0.0, 4.0], [0.0, 2.0], [3.0, 0.0]]
        >>> Windowing(aggregate="mean").combine(windows, 0.0), Windowing(aggregate="max").combine(windows, 0.0)
        ((1.0, 2.0), (3.0, 0.0))
        """
        values: NDArray[np.float64] = np.asarray(logits, np.float64)
        scores = values[:, 1] - values[:, 0]
        if self.aggregate == "share":
            real = int((scores >= threshold).sum())
            # half a window on either side keeps the odds finite
            score = threshold + float(np.log((real + 0.5) / (len(scores) - real + 0.5)))
            return -score / 2, score / 2
        if self.aggregate != "mean":
            count = 1 if self.aggregate == "max" else int(self.aggregate.removeprefix("top-"))
            values = values[np.argsort(scores, kind="stable")[:count]]
        fake, real_logit = values.mean(0).tolist()
        return fake, real_logit


WHOLE = Windowing(utterance_seconds=LONGEST_UTTERANCE)
"""Score utterances whole, as the published evaluations do."""


def read_windowing(values: dict[str, Any]) -> Windowing:
    """Read the settings of a model folder; a setting that is not given has its default.

    Raises
    ------
    InputError
        When a name or a value is wrong.

    Example
    -------
    >>> read_windowing({"utterance_seconds": 4.0}).utterance_seconds
    4.0
    """
    if unknown := sorted(values.keys() - Windowing.__dataclass_fields__.keys()):
        raise InputError(
            f"the windowing has an unknown setting {unknown[0]}; use {', '.join(Windowing.__annotations__)}"
        )
    return Windowing(**values)
