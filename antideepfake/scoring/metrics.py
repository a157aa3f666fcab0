"""Error rates of a detector, and how far they can be trusted.

A score is the float64 difference of the logits, real minus fake: higher means more likely real.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError


class EqualErrorRate(NamedTuple):
    """The equal error rate, a fraction, and the score at which it is reached."""

    eer: float
    threshold: float


class Curves(NamedTuple):
    """Both error rates at every threshold, lowest threshold first: ``1 + n`` values each."""

    threshold: NDArray[np.float64]
    false_rejection: NDArray[np.float64]
    false_acceptance: NDArray[np.float64]


def error_curves(real: ArrayLike, fake: ArrayLike) -> Curves:
    """Sweep the threshold over all scores; an utterance is taken for real when its score lies above.

    Arguments
    ---------
    real, fake : array of float
        Scores of bona fide and of spoofed utterances.

    Returns
    -------
    Curves
        False rejections (real taken for fake) and false acceptances (fake taken for real), as fractions. The first
        threshold lies below all scores.

    Raises
    ------
    InputError
        When a class is absent, or a score is not a finite number.

    Example
    -------
    >>> curves = error_curves([2.0, 3.0], [0.0, 1.0])
    >>> curves.false_rejection.tolist(), curves.false_acceptance.tolist()
    ([0.0, 0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0, 0.0])
    """
    real, fake = _check(real, "real"), _check(fake, "fake")
    scores, is_real = _sorted_scores(real, fake)
    rejected = np.cumsum(is_real) / len(real)
    accepted = (len(fake) - np.cumsum(~is_real)) / len(fake)
    return Curves(
        np.concatenate([[np.nextafter(scores[0], -np.inf)], scores]),
        np.concatenate([[0.0], rejected]),
        np.concatenate([[1.0], accepted]),
    )


def equal_error_rate(real: ArrayLike, fake: ArrayLike) -> EqualErrorRate:
    """The equal error rate as the ASVspoof 5 evaluation package defines it.

    At the point of the sweep where the two error rates are nearest, the mean of both. Neither interpolated nor on the
    convex hull.

    Arguments
    ---------
    real, fake : array of float
        Scores of bona fide and of spoofed utterances.

    Returns
    -------
    EqualErrorRate
        ``eer`` in [0, 1] and ``threshold``.

    Raises
    ------
    InputError
        When a class is absent, or a score is not a finite number.

    Example
    -------
    >>> equal_error_rate(real=[1.0, 2.0, 3.0, 4.0], fake=[-1.0, 0.0, 0.5, 2.5])
    EqualErrorRate(eer=0.25, threshold=1.0)
    """
    curves = error_curves(real, fake)
    nearest = int(np.abs(curves.false_rejection - curves.false_acceptance).argmin())
    eer = (curves.false_rejection[nearest] + curves.false_acceptance[nearest]) / 2
    return EqualErrorRate(float(eer), float(curves.threshold[nearest]))


def equal_error_rate_interval(
    real: ArrayLike, fake: ArrayLike, rng: np.random.Generator, draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of the equal error rate: utterances drawn with replacement within each class.

    Utterances of one speaker are not independent: with few speakers the true uncertainty is larger.

    Arguments
    ---------
    real, fake : array of float
        Scores of bona fide and of spoofed utterances.
    rng : numpy.random.Generator
        Source of the draws.
    draws : int
        Resamplings; 1000 leave the bounds a noise of a few hundredths of the interval's width.
    level : float
        Share of the resamplings inside the interval.

    Returns
    -------
    low, high : float
        Percentiles of the resampled rates, fractions.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> low, high = equal_error_rate_interval(rng.normal(2, 1, 200), rng.normal(0, 1, 200), rng)
    >>> 0.08 < low < 0.159 < high < 0.24
    True
    """
    real, fake = _check(real, "real"), _check(fake, "fake")
    _, is_real = _sorted_scores(real, fake)
    rates = []
    at_once = max(1, 4_000_000 // len(is_real))  # keeps the counts below some tens of megabytes
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        counts = np.empty((size, len(is_real)))
        for flag, group in ((True, real), (False, fake)):
            counts[:, is_real == flag] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), size)
        rejected = np.cumsum(counts * is_real, axis=1) / len(real)
        accepted = (len(fake) - np.cumsum(counts * ~is_real, axis=1)) / len(fake)
        nearest = np.abs(rejected - accepted).argmin(axis=1)[:, None]
        rates.append(np.take_along_axis(rejected + accepted, nearest, 1)[:, 0] / 2)
    low, high = np.quantile(np.concatenate(rates), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check(scores: ArrayLike, label: str) -> NDArray[np.float64]:
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not len(scores):
        raise InputError(f"no {label} utterance is among the scores; an error rate needs both classes")
    if not np.isfinite(scores).all():
        raise InputError(f"{(~np.isfinite(scores)).sum()} scores of {label} utterances are not finite numbers")
    return scores


def _sorted_scores(real: NDArray[np.float64], fake: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Scores in ascending order, bona fide first among equals, and which are of bona fide utterances."""
    scores = np.concatenate([real, fake])
    order = np.argsort(scores, kind="stable")
    return scores[order], order < len(real)
