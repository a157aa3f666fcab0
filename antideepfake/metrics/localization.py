"""Error rates of localization: where is an utterance fake?

The scores of an utterance are a step function of time: ``scores[i]`` from ``edges[i]`` to ``edges[i + 1]`` seconds. The
truth is the fake spans, shape [spans, 2], as :func:`antideepfake.protocol.read_segments` returns them. There are two
ways to count. Segments of one length count one each; their error rate depends on the length (Zhang et al. 2023, "The
PartialSpoof Database and Countermeasures for the Detection of Short Fake Speech Segments Embedded in an Utterance").
The range-based error rate counts time itself (Zhang et al. 2023, "Range-Based Equal Error Rate for Spoof
Localization"): which fraction of real time is called fake, and which fraction of fake time is called real.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError
from antideepfake.metrics.rates import Array, Trials, interpolated_equal_error_rate

SHORTEST = 1e-6  # seconds: what is shorter results from the rounding of times


class ScoredSegments(NamedTuple):
    """Segments of one utterance or of several, each with a score and a true label.

    Arguments
    ---------
    scores : array
        Shape [segments].
    is_real : array of bool
        Shape [segments].
    weights : array
        What a segment counts: its length in seconds, or 1; shape [segments].
    """

    scores: Array
    is_real: NDArray[np.bool_]
    weights: Array


def cut_time(spans: ArrayLike, edges: ArrayLike, scores: ArrayLike) -> ScoredSegments:
    """Cut an utterance wherever its score or its label changes, for range-based error rates.

    Arguments
    ---------
    spans : array
        Fake spans in seconds, shape [spans, 2]. Time outside ``edges`` is ignored.
    edges : array
        Ascending times in seconds, shape [steps + 1].
    scores : array
        Shape [steps].

    Returns
    -------
    ScoredSegments
        The weights are seconds.

    Example
    -------
    >>> segments = cut_time(spans=[[0.5, 1.0]], edges=[0.0, 1.0, 3.0], scores=[-1.0, 2.0])
    >>> segments.scores.tolist(), segments.is_real.tolist(), segments.weights.tolist()
    ([-1.0, -1.0, 2.0], [True, False, True], [0.5, 0.5, 2.0])
    """
    return _cut(spans, edges, scores, np.empty(0))[1]


def cut_segments(spans: ArrayLike, edges: ArrayLike, scores: ArrayLike, resolution: float) -> ScoredSegments:
    """Cut an utterance into segments of one length, the last of which may be shorter.

    A segment is fake if any part of it is, and its score is the lowest of any part: labels and scores of coarse
    segments follow from those of fine ones in the same way, by the minimum.

    Arguments
    ---------
    spans, edges, scores :
        As for :func:`cut_time`.
    resolution : float
        Length of a segment in seconds. The first one begins at the first edge.

    Returns
    -------
    ScoredSegments
        The weights are 1.

    Example
    -------
    >>> segments = cut_segments([[0.5, 1.0]], edges=[0.0, 1.0, 3.0], scores=[-1.0, 2.0], resolution=1.5)
    >>> segments.scores.tolist(), segments.is_real.tolist()
    ([-1.0, 2.0], [False, True])
    """
    if not resolution > SHORTEST:
        raise InputError(f"the resolution is {resolution} s; it must be above {SHORTEST} s")
    edges = np.asarray(edges, np.float64)
    count = max(int(np.ceil((edges[-1] - edges[0]) / resolution - SHORTEST)), 1)
    middles, pieces = _cut(spans, edges, scores, edges[0] + resolution * np.arange(1, count))
    numbers = np.clip(((middles - edges[0]) / resolution).astype(int), 0, count - 1)
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return ScoredSegments(
        np.minimum.reduceat(pieces.scores, starts),
        np.logical_and.reduceat(pieces.is_real, starts),
        np.ones(len(starts)),
    )


def _cut(spans: ArrayLike, edges: ArrayLike, scores: ArrayLike, cuts: Array) -> tuple[Array, ScoredSegments]:
    """Cut an utterance at the edges, at the ends of its spans and at ``cuts``; also give the middles of the pieces."""
    spans, edges, scores = (np.asarray(values, np.float64) for values in (spans, edges, scores))
    spans = spans.reshape(-1, 2)
    if len(edges) != len(scores) + 1 or not (np.diff(edges) > 0).all() or not np.isfinite(scores).all():
        raise InputError("a timeline needs finite scores, and one more edge than scores, in ascending order")
    points = np.unique(np.concatenate([edges, np.clip(spans.ravel(), edges[0], edges[-1]), cuts]))
    lengths, middles = np.diff(points), (points[1:] + points[:-1]) / 2
    kept = lengths > SHORTEST
    lengths, middles = lengths[kept], middles[kept]
    step = np.searchsorted(edges, middles) - 1
    begun, ended = (np.searchsorted(np.sort(spans[:, side]), middles) for side in (0, 1))
    return middles, ScoredSegments(scores[step], begun <= ended, lengths)


def join_segments(utterances: list[ScoredSegments]) -> tuple[ScoredSegments, NDArray[np.intp]]:
    """Join the segments of several utterances, and number the utterance of each.

    Example
    -------
    >>> one = cut_time([], [0.0, 1.0], [0.5])
    >>> segments, numbers = join_segments([one, one])
    >>> segments.weights.tolist(), numbers.tolist()
    ([1.0, 1.0], [0, 1])
    """
    scores, is_real, weights = (np.concatenate(values) for values in zip(*utterances, strict=True))
    counts = [len(utterance.scores) for utterance in utterances]
    return ScoredSegments(scores, is_real, weights), np.repeat(np.arange(len(utterances)), counts)


def localization_eer(segments: ScoredSegments) -> float:
    """Compute the equal error rate of segments, by number or by time as their weights say.

    The threshold takes every value at which a decision changes. Between two of them the error rates are interpolated,
    see :func:`antideepfake.metrics.rates.interpolated_equal_error_rate`; a long segment would otherwise make the result
    depend on which of two equally distant points is taken. Segments of equal score are accepted or rejected together,
    so the result does not change if a segment is split in two.

    Arguments
    ---------
    segments : ScoredSegments
        Of all utterances: of :func:`cut_time` for the range-based rate, of :func:`cut_segments` for that of segments.

    Returns
    -------
    float
        The equal error rate, a fraction.

    Raises
    ------
    InputError
        If there is no real or no fake segment.

    Example
    -------
    >>> segments = cut_time([[4, 6]], edges=[0, 3, 5, 10], scores=[2, -1, 1])
    >>> localization_eer(segments)  # between 1 of 8 s real rejected, 1 of 2 s fake accepted, and 5 of 8 s and 0 s
    0.3125
    """
    return float(interpolated_equal_error_rate(weigh_trials(segments)))


def weigh_trials(segments: ScoredSegments) -> Trials:
    """Sum the weights of the real and of the fake segments of each score.

    Example
    -------
    >>> weigh_trials(cut_time([[0, 1]], edges=[0, 1, 3, 5], scores=[0, 2, 0])).real.tolist()
    [2.0, 2.0]
    """
    for label, is_present in (("real", segments.is_real.any()), ("fake", not segments.is_real.all())):
        if not is_present:
            raise InputError(f"the utterances contain no {label} time; error rates of localization need both labels")
    scores, index = np.unique(segments.scores, return_inverse=True)
    real, fake = (
        np.bincount(index[kind], segments.weights[kind], len(scores)).astype(np.float64)
        for kind in (segments.is_real, ~segments.is_real)
    )
    return Trials(scores, real, fake)


def fake_time_rates(segments: ScoredSegments, threshold: float) -> dict[str, float]:
    """Compute precision, recall and F1 of fake time at a threshold.

    Arguments
    ---------
    segments : ScoredSegments
        Of :func:`cut_time`.
    threshold : float
        A segment with a lower score is called fake.

    Returns
    -------
    dict
        ``precision``, the fraction of time called fake that is fake; ``recall``, the fraction of fake time that is
        called fake; ``f1``, their harmonic mean. NaN where a fraction is of nothing.

    Example
    -------
    >>> segments = cut_time([[4, 6]], edges=[0, 4, 5, 6, 7, 10], scores=[1, -1, 1, -2, 1])
    >>> fake_time_rates(segments, threshold=0.0)
    {'precision': 0.5, 'recall': 0.5, 'f1': 0.5}
    """
    called = segments.scores < threshold
    hit, called_fake, fake = (
        float(segments.weights[chosen].sum()) for chosen in (called & ~segments.is_real, called, ~segments.is_real)
    )
    return {
        "precision": hit / called_fake if called_fake else np.nan,
        "recall": hit / fake if fake else np.nan,
        "f1": 2 * hit / (called_fake + fake) if called_fake + fake else np.nan,
    }
