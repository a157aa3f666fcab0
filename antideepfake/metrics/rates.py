"""Error rates of a detector.

A score is the float64 difference of the logits, real minus fake: higher means more likely real. The positive class is
real. Every metric takes :class:`Trials`, sorted once by :func:`sort_trials`, and returns a number. For trials with
counts of shape [n_resamples, scores], as in the bootstrap, it returns one number per resample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError

Array = NDArray[np.float64]


class Trials(NamedTuple):
    """Scores in ascending order, and the number of bona fide and spoofed utterances with each score.

    Arguments
    ---------
    scores : array
        Shape [scores].
    real, fake : array
        Number of utterances, shape [scores], or [n_resamples, scores] for resampled utterances.
    """

    scores: Array
    real: Array
    fake: Array


class Rates(NamedTuple):
    """False rejection and false acceptance rates at all thresholds, in ascending order; shape [..., 1 + scores].

    Rates are fractions. A score at or above a threshold counts as real. Each threshold is the lowest score that it
    accepts; the last one lies above all scores. Equal scores have one entry per utterance, because the threshold sweep
    rejects one utterance at a time.
    """

    threshold: Array
    false_rejection: Array
    false_acceptance: Array


def sort_trials(real: ArrayLike, fake: ArrayLike) -> Trials:
    """Sort scores for the metrics: ascending, bona fide first among equals, as in the ASVspoof 5 evaluation package.

    Arguments
    ---------
    real, fake : array of float
        Scores of bona fide and of spoofed utterances.

    Returns
    -------
    Trials
        One entry per utterance.

    Raises
    ------
    InputError
        If a class is absent or a score is not finite.

    Example
    -------
    >>> trials = sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0])
    >>> trials.scores.tolist(), trials.real.tolist()
    ([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 1.0, 1.0])
    """
    real, fake = check_scores(real, "real"), check_scores(fake, "fake")
    # sorting scores takes a fraction of the time of sorting their indices
    real, fake = np.sort(real), np.sort(fake)
    is_real = np.zeros(len(real) + len(fake))
    is_real[np.searchsorted(fake, real) + np.arange(len(real))] = 1.0
    return Trials(np.sort(np.concatenate([real, fake])), is_real, 1 - is_real)


def check_scores(scores: ArrayLike, label: str) -> Array:
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not len(scores):
        raise InputError(f"the scores include no {label} utterance; error rates need both classes")
    if not np.isfinite(scores).all():
        raise InputError(
            f"{(~np.isfinite(scores)).sum()} scores of {label} utterances are not finite; score them again, in fp32"
        )
    return scores


def error_rates(trials: Trials) -> Rates:
    """Compute both error rates at all thresholds.

    Example
    -------
    >>> rates = error_rates(sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0]))
    >>> rates.false_rejection.tolist(), rates.false_acceptance.tolist()
    ([0.0, 0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0, 0.0])
    """
    above = np.nextafter(trials.scores[-1], np.inf)
    real_below, fake_below = _sums(trials.real), _sums(trials.fake)
    acceptance = (fake_below[..., -1:] - fake_below) / fake_below[..., -1:]
    return Rates(np.concatenate([trials.scores, [above]]), real_below / real_below[..., -1:], acceptance)


def _sums(counts: Array) -> Array:
    """Return the cumulative number of utterances, with a leading zero."""
    sums = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1))
    np.cumsum(counts, axis=-1, out=sums[..., 1:])
    return sums


def distinct_starts(scores: Array) -> NDArray[np.intp]:
    """Return the index at which each distinct score begins."""
    return np.flatnonzero(np.diff(scores, prepend=-np.inf))


def count_by_score(trials: Trials) -> tuple[Array, Array]:
    """Return the number of bona fide and of spoofed utterances with each distinct score, shape [..., distinct scores].

    Example
    -------
    >>> real, fake = count_by_score(sort_trials(real=[1.0, 2.0], fake=[0.0, 1.0]))
    >>> real.tolist(), fake.tolist()
    ([0.0, 1.0, 1.0], [1.0, 1.0, 0.0])
    """
    starts = distinct_starts(trials.scores)
    if len(starts) == len(trials.scores):  # as in the bootstrap: a sum over all resamples would take long
        return trials.real, trials.fake
    return np.add.reduceat(trials.real, starts, axis=-1), np.add.reduceat(trials.fake, starts, axis=-1)


def equal_error_rate(rates: Rates) -> tuple[Array, Array]:
    """Compute the equal error rate as the ASVspoof 5 evaluation package defines it.

    It is the mean of both error rates at the threshold where they are closest. It is not interpolated and does not use
    the convex hull of the ROC curve.

    Arguments
    ---------
    rates : Rates
        Error rates, as :func:`error_rates` returns them.

    Returns
    -------
    eer, threshold : array
        The equal error rate, a fraction, and the lowest score that counts as real; shape [...].

    Example
    -------
    >>> eer, threshold = equal_error_rate(error_rates(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])))
    >>> float(eer), float(threshold)
    (0.25, 2.0)
    """
    nearest = nearest_point(rates)
    both = np.take_along_axis(rates.false_rejection + rates.false_acceptance, nearest, -1)
    return both[..., 0] / 2, rates.threshold[nearest[..., 0]]


def count_errors(rates: Rates, real: int, fake: int) -> tuple[int, int]:
    """Count the errors of each class at the equal error rate.

    Arguments
    ---------
    rates : Rates
        Error rates, as :func:`error_rates` returns them.
    real, fake : int
        Number of utterances of each class.

    Returns
    -------
    tuple of int
        Numbers of rejected bona fide and of accepted spoofed utterances.

    Example
    -------
    >>> count_errors(error_rates(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])), 4, 4)
    (1, 1)
    """
    [index] = nearest_point(rates)
    return round(rates.false_rejection[index] * real), round(rates.false_acceptance[index] * fake)


def nearest_point(rates: Rates) -> NDArray[np.intp]:
    """Return the index of the threshold where both error rates are closest; shape [..., 1]."""
    return np.abs(rates.false_rejection - rates.false_acceptance).argmin(axis=-1, keepdims=True)


def interpolated_equal_error_rate(trials: Trials) -> Array:
    """Compute the equal error rate by linear interpolation between the points of the ROC curve.

    The Speech Anti-Spoofing Arena defines it so. Equal scores are one point of the curve.

    Example
    -------
    >>> float(interpolated_equal_error_rate(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])))
    0.25
    """
    rates = error_rates(trials)
    points = np.append(distinct_starts(trials.scores), len(trials.scores))  # point i rejects the first i scores
    rejection, acceptance = rates.false_rejection[..., points], rates.false_acceptance[..., points]
    after = (rejection >= acceptance).argmax(axis=-1)[..., None]  # at least 1: at point 0 the rates are 0 and 1
    low, high = (np.take_along_axis(rejection - acceptance, index, -1)[..., 0] for index in (after - 1, after))
    start, end = (np.take_along_axis(rejection, index, -1)[..., 0] for index in (after - 1, after))
    return start + (end - start) * -low / (high - low)


def roc_auc(trials: Trials) -> Array:
    """Compute the area under the ROC curve.

    It is the probability that a bona fide utterance has a higher score than a spoofed one; ties count half.

    Example
    -------
    >>> float(roc_auc(sort_trials(real=[1.0, 2.0], fake=[0.0, 1.0])))
    0.875
    """
    real, fake = count_by_score(trials)
    below = np.cumsum(fake, axis=-1) - fake / 2
    return (real * below).sum(-1) / (real.sum(-1) * fake.sum(-1))


def decision_rates(trials: Trials, threshold: float) -> dict[str, Array]:
    """Compute the error rates of the decisions at a threshold; a score at or above it counts as real.

    Arguments
    ---------
    trials : Trials
        Scores. One class may be absent; metrics that need it are then NaN.
    threshold : float
        Threshold of the score.

    Returns
    -------
    dict
        ``accuracy``; ``precision``, ``recall`` and ``f1`` of the class real; ``fpr``, the fraction of spoofed
        utterances accepted as real; ``fnr``, the fraction of bona fide utterances rejected as fake.

    Example
    -------
    >>> rates = decision_rates(sort_trials(real=[1.0, 2.0, 3.0, -1.0], fake=[-2.0, 0.5]), threshold=0.0)
    >>> {name: float(rate) for name, rate in rates.items()}
    {'accuracy': 0.6666666666666666, 'precision': 0.75, 'recall': 0.75, 'f1': 0.75, 'fpr': 0.5, 'fnr': 0.25}
    """
    accepted = trials.scores >= threshold
    real, fake = trials.real.sum(-1), trials.fake.sum(-1)
    real_accepted, fake_accepted = trials.real[..., accepted].sum(-1), trials.fake[..., accepted].sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": (real_accepted + fake - fake_accepted) / (real + fake),
            "precision": real_accepted / (real_accepted + fake_accepted),
            "recall": real_accepted / real,
            "f1": 2 * real_accepted / (real_accepted + fake_accepted + real),
            "fpr": fake_accepted / fake,
            "fnr": 1 - real_accepted / real,
        }
