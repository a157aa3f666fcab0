"""Scores over time, and the segments of a recording that are likely fake."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHORTEST = 0.5  # seconds: shortest segment that is reported; half a second holds about a word


class Segment(NamedTuple):
    """A segment of a recording.

    Arguments
    ---------
    start, end : float
        Seconds from the beginning of the recording.
    score : float
        Mean score of the segment.
    label : str
        ``fake``, ``real`` or ``no speech``.
    """

    start: float
    end: float
    score: float
    label: str


@dataclass(frozen=True)
class Timeline:
    """The score of a detector over time, in steps of equal length.

    Arguments
    ---------
    step : float
        Length of a step in seconds; the last one may be shorter.
    duration : float
        Length of the recording in seconds.
    scores : array
        Shape [steps]; higher means more likely real. The mean over all windows, or frames, that contain a step.
    is_speech : array of bool
        Shape [steps].
    """

    step: float
    duration: float
    scores: NDArray[np.float64]
    is_speech: NDArray[np.bool_]

    def segments(self, threshold: float, min_seconds: float = SHORTEST) -> list[Segment]:
        """Divide the recording into segments of one label.

        Scores are smoothed over ``min_seconds``. A segment shorter than that is merged into the segment before it, or
        the first one into the second.

        Arguments
        ---------
        threshold : float
            A step at or above it is ``real``, below ``fake``.
        min_seconds : float
            Shortest segment, in seconds. The default of half a second holds about a word.

        Returns
        -------
        list of Segment
            In order of time, without gaps.

        Example
        -------
        >>> timeline = Timeline(1.0, 4.0, np.array([2.0, -1.0, -3.0, 2.0]), np.array([True, True, True, False]))
        >>> [(segment.start, segment.end, segment.label) for segment in timeline.segments(0.0)]
        [(0.0, 1.0, 'real'), (1.0, 3.0, 'fake'), (3.0, 4.0, 'no speech')]
        """
        scores = _smooth(self.scores, round(min_seconds / self.step))
        labels = np.where(self.is_speech, np.where(scores >= threshold, "real", "fake"), "no speech")
        starts = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), len(labels)]
        runs: list[tuple[int, int, str]] = []
        for start, stop in pairwise(starts):
            is_short = (stop - start) * self.step < min_seconds
            if runs and (is_short or runs[-1][2] == labels[start]):
                runs[-1] = (runs[-1][0], stop, runs[-1][2])
            elif len(runs) == 1 and (runs[0][1] - runs[0][0]) * self.step < min_seconds:
                runs[0] = (0, stop, str(labels[start]))
            else:
                runs.append((start, stop, str(labels[start])))
        return [
            Segment(
                round(start * self.step, 3),
                round(min(stop * self.step, self.duration), 3),
                float(self.scores[start:stop].mean()),
                label,
            )
            for start, stop, label in runs
        ]

    def most_suspicious(self, threshold: float, count: int = 3, min_seconds: float = SHORTEST) -> list[Segment]:
        """Give the ``count`` fake segments with the lowest scores, the lowest first.

        Example
        -------
        >>> timeline = Timeline(1.0, 3.0, np.array([-2.0, 2.0, -1.0]), np.ones(3, bool))
        >>> [segment.start for segment in timeline.most_suspicious(0.0)]
        [0.0, 2.0]
        """
        fake = [segment for segment in self.segments(threshold, min_seconds) if segment.label == "fake"]
        return sorted(fake, key=lambda segment: segment.score)[:count]


def average_windows(
    starts: Sequence[float],
    values: Sequence[ArrayLike],
    value_seconds: float,
    step: float,
    duration: float,
) -> NDArray[np.float64]:
    """Average the scores of overlapping windows.

    Arguments
    ---------
    starts : sequence of float
        Start of each window in seconds.
    values : sequence of array
        Scores of each window in order of time: one for the whole window, or one a frame; shape [scores].
    value_seconds : float
        Time that a score stands for: the length of a window, or of a frame.
    step : float
        Step of the timeline in seconds.
    duration : float
        Length of the recording in seconds.

    Returns
    -------
    array
        Shape [steps]. A step without a window has the score of the step before.

    Example
    -------
    >>> average_windows([0.0, 1.0], [[1.0], [3.0]], 2.0, 1.0, 3.0)
    array([1., 2., 3.])
    """
    count = max(int(np.ceil(duration / step - 1e-6)), 1)
    sums, weights = np.zeros(count + 1), np.zeros(count + 1)
    for start, scores in zip(starts, values, strict=True):
        begins = start + value_seconds * np.arange(len(np.atleast_1d(scores)))
        # the steps whose middle lies in the score's time; a score shorter than a step counts in the step it begins in
        first = np.clip(np.ceil(begins / step - 0.5 - 1e-6).astype(int), 0, count - 1)
        last = np.clip(np.ceil((begins + value_seconds) / step - 0.5 - 1e-6).astype(int), first + 1, count)
        np.add.at(sums, first, scores)
        np.subtract.at(sums, last, scores)
        np.add.at(weights, first, 1)
        np.subtract.at(weights, last, 1)
    sums, weights = np.cumsum(sums[:-1]), np.cumsum(weights[:-1])
    known = np.maximum.accumulate(np.where(weights > 0.5, np.arange(count), 0))
    return (sums / np.maximum(weights, 1))[known]


def _smooth(scores: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Average each score with those around it, ``width`` in all; fewer at the ends."""
    if width < 2:
        return scores
    kernel = np.ones(min(width, len(scores)))
    return np.convolve(scores, kernel, "same") / np.convolve(np.ones(len(scores)), kernel, "same")
