"""Evaluation of localization: from timelines and true segments to error rates with intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.metrics.bootstrap import Estimate, estimate
from antideepfake.metrics.localization import (
    ScoredSegments,
    cut_segments,
    cut_time,
    fake_time_rates,
    join_segments,
    weigh_trials,
)
from antideepfake.metrics.rates import Array, Trials, interpolated_equal_error_rate
from antideepfake.protocol.segments import Spans
from antideepfake.scoring.timeline_file import StepScores

RESOLUTIONS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)  # seconds; those of PartialSpoof


def evaluate_localization(
    timelines: Mapping[str, StepScores],
    spans: Mapping[str, Spans],
    rng: np.random.Generator,
    resolutions: Sequence[float] = RESOLUTIONS,
) -> pd.DataFrame:
    """Compute the equal error rate of segments of each length, and the range-based one.

    Arguments
    ---------
    timelines : mapping of str to StepScores
        ID -> scores over time, of the utterances to evaluate.
    spans : mapping of str to array
        ID -> fake spans, as :func:`antideepfake.protocol.read_segments` returns them.
    rng : numpy.random.Generator
        Source of randomness for the intervals.
    resolutions : sequence of float
        Lengths of segments in seconds.

    Returns
    -------
    pandas.DataFrame
        A row for each resolution, and a last one for the range-based error rate, whose ``resolution`` is NaN. ``real``
        and ``fake`` are numbers of segments, in the last row seconds. ``eer`` is a fraction; ``low`` and ``high`` are
        the bounds of its 95 % interval by a bootstrap over utterances.

    Raises
    ------
    InputError
        When a timeline is not of an utterance in ``spans``, or all time has one label.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> timelines = {name: StepScores(np.array([0.0, 1.0, 2.0]), np.array([-1.0, 1.0]), 0.0) for name in "ab"}
    >>> table = evaluate_localization(timelines, {name: np.array([[0.0, 1.0]]) for name in "ab"}, rng, [0.5])
    >>> table[["resolution", "real", "fake", "eer"]].values.tolist()
    [[0.5, 4.0, 4.0, 0.0], [nan, 2.0, 2.0, 0.0]]
    """
    check_names(timelines, spans)
    rows = []
    for resolution in (*resolutions, None):
        segments, utterances = join_segments(
            [
                cut_time(spans[name], timeline.edges, timeline.scores)
                if resolution is None
                else cut_segments(spans[name], timeline.edges, timeline.scores, resolution)
                for name, timeline in timelines.items()
            ]
        )
        trials = weigh_trials(segments)
        eer = _estimate_eer(segments, utterances, rng)
        counts = {"real": float(trials.real.sum()), "fake": float(trials.fake.sum())}
        rows.append({"resolution": np.nan if resolution is None else resolution, **counts})
        rows[-1] |= {"eer": eer.value, "low": eer.low, "high": eer.high}
    return pd.DataFrame(rows)


def rate_decisions(
    timelines: Mapping[str, StepScores], spans: Mapping[str, Spans], threshold: float | None = None
) -> dict[str, float]:
    """Compute precision, recall and F1 of fake time over all utterances.

    Arguments
    ---------
    timelines, spans :
        As for :func:`evaluate_localization`.
    threshold : float, optional
        A score at or above it counts as real. By default that of each timeline, the model's.

    Returns
    -------
    dict
        As of :func:`antideepfake.metrics.fake_time_rates`; empty where the threshold is unknown.

    Example
    -------
    >>> timeline = StepScores(np.array([0.0, 1.0, 2.0]), np.array([-1.0, 1.0]), 0.0)
    >>> rate_decisions({"a": timeline}, {"a": np.array([[0.5, 1.0]])})["precision"]
    0.5
    """
    check_names(timelines, spans)
    utterances = []
    for name, timeline in timelines.items():
        lowest = timeline.threshold if threshold is None else threshold
        if lowest is None:
            return {}
        segments = cut_time(spans[name], timeline.edges, timeline.scores)
        utterances.append(segments._replace(scores=segments.scores - lowest))  # thresholds may differ
    return fake_time_rates(join_segments(utterances)[0], 0.0)


def check_names(timelines: Mapping[str, StepScores], spans: Mapping[str, Spans]) -> None:
    """Raise an error if there is no timeline, or one of an utterance without a truth."""
    if not timelines:
        raise InputError("there are no timelines; score the utterances with --timeline_output")
    for name in timelines:
        if name not in spans:
            raise InputError(f"the timeline '{name}' is not of an utterance of the protocol; score that protocol")


def _estimate_eer(segments: ScoredSegments, utterances: NDArray[np.intp], rng: np.random.Generator) -> Estimate:
    def measure(trials: Trials) -> dict[str, Array]:
        return {"eer": interpolated_equal_error_rate(trials)}

    return estimate(measure, segments.scores, segments.is_real, rng, clusters=utterances, weights=segments.weights)[
        "eer"
    ]
