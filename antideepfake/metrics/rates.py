"""Error rates of a detector.

A score is the float64 difference of the logits, real minus fake: higher means more likely real; the positive class is
real. Every metric takes :class:`Trials`, sorted once by :func:`sort_trials`, and gives a number; of trials with counts
of shape [draws, scores], as the bootstrap draws them, it gives one number a draw.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError

Array = NDArray[np.float64]


class Trials(NamedTuple):
    """Scores in ascending order, and how many bona fide and spoofed utterances have each.

    Arguments
    ---------
    scores : array
        Shape [scores].
    real, fake : array
        Shape [scores], or [draws, scores] for resampled utterances.
    """

    scores: Array
    real: Array
    fake: Array


class Rates(NamedTuple):
    """Both error rates at every threshold, lowest first, as fractions; shape [..., 1 + scores].

    A score at or above a threshold counts as real. Each threshold is the lowest score that it accepts; the last one
    lies above all scores. Between equal scores the rates are those of the sweep, which takes one utterance at a time.
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
        One entry an utterance.

    Raises
    ------
    InputError
        When a class is absent, or a score is not a finite number.

    Example
    -------
    >>> trials = sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0])
    >>> trials.scores.tolist(), trials.real.tolist()
    ([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 1.0, 1.0])
    """
    real, fake = check_scores(real, "real"), check_scores(fake, "fake")
    scores = np.concatenate([real, fake])
    order = np.argsort(scores, kind="stable")
    is_real = (order < len(real)).astype(np.float64)
    return Trials(scores[order], is_real, 1 - is_real)


def check_scores(scores: ArrayLike, label: str) -> Array:
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not len(scores):
        raise InputError(f"no {label} utterance is among the scores; an error rate needs both classes")
    if not np.isfinite(scores).all():
        raise InputError(f"{(~np.isfinite(scores)).sum()} scores of {label} utterances are not finite numbers")
    return scores


def error_rates(trials: Trials) -> Rates:
    """Sweep the threshold over all scores.

    Example
    -------
    >>> rates = error_rates(sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0]))
    >>> rates.false_rejection.tolist(), rates.false_acceptance.tolist()
    ([0.0, 0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0, 0.0])
    """
    above = np.nextafter(trials.scores[-1], np.inf)
    rejected, passed = _sums(trials.real), _sums(trials.fake)
    acceptance = (passed[..., -1:] - passed) / passed[..., -1:]
    return Rates(np.concatenate([trials.scores, [above]]), rejected / rejected[..., -1:], acceptance)


def _sums(counts: Array) -> Array:
    """How many utterances there are up to each score, after a zero."""
    sums = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1))
    np.cumsum(counts, axis=-1, out=sums[..., 1:])
    return sums


def distinct_starts(scores: Array) -> NDArray[np.intp]:
    """Where each distinct score begins."""
    return np.flatnonzero(np.diff(scores, prepend=-np.inf))


def equal_error_rate(rates: Rates) -> tuple[Array, Array]:
    """The equal error rate as the ASVspoof 5 evaluation package defines it.

    At the point of the sweep where the two error rates are nearest, the mean of both. Neither interpolated nor on the
    convex hull.

    Arguments
    ---------
    rates : Rates
        Of :func:`error_rates`.

    Returns
    -------
    eer, threshold : array
        A fraction, and the lowest score that counts as real there.

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
        Of :func:`error_rates`.
    real, fake : int
        How many utterances of each class there are.

    Returns
    -------
    tuple of int
        Bona fide utterances rejected, spoofed ones accepted.

    Example
    -------
    >>> count_errors(error_rates(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])), 4, 4)
    (1, 1)
    """
    [point] = nearest_point(rates)
    return round(rates.false_rejection[point] * real), round(rates.false_acceptance[point] * fake)


def nearest_point(rates: Rates) -> NDArray[np.intp]:
    """Find the point of the sweep where the two error rates are nearest; shape [..., 1]."""
    return np.abs(rates.false_rejection - rates.false_acceptance).argmin(axis=-1, keepdims=True)


def interpolated_equal_error_rate(trials: Trials) -> Array:
    """The equal error rate where straight lines between the points of the ROC cross the diagonal.

    As the Speech Anti-Spoofing Arena has it; equal scores are one point.

    Example
    -------
    >>> float(interpolated_equal_error_rate(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])))
    0.25
    """
    rates = error_rates(trials)
    points = np.append(distinct_starts(trials.scores), len(trials.scores))  # point i is after the first i scores
    rejection, acceptance = rates.false_rejection[..., points], rates.false_acceptance[..., points]
    after = np.maximum((rejection >= acceptance).argmax(axis=-1), 1)[..., None]
    low, high = (np.take_along_axis(rejection - acceptance, index, -1)[..., 0] for index in (after - 1, after))
    start, end = (np.take_along_axis(rejection, index, -1)[..., 0] for index in (after - 1, after))
    return start + (end - start) * -low / (high - low)


def roc_auc(trials: Trials) -> Array:
    """Probability that a bona fide utterance scores above a spoofed one, ties counted half: the area under the ROC.

    Example
    -------
    >>> float(roc_auc(sort_trials(real=[1.0, 2.0], fake=[0.0, 1.0])))
    0.875
    """
    starts = distinct_starts(trials.scores)
    real, fake = (np.add.reduceat(counts, starts, axis=-1) for counts in (trials.real, trials.fake))
    below = np.cumsum(fake, axis=-1) - fake / 2
    return (real * below).sum(-1) / (real.sum(-1) * fake.sum(-1))


def decision_rates(trials: Trials, threshold: float) -> dict[str, Array]:
    """Measure the decisions of a threshold: a score at or above it counts as real.

    Arguments
    ---------
    trials : Trials
        One class may be absent; what needs it is then not a number.
    threshold : float
        On the difference of the logits.

    Returns
    -------
    dict
        ``accuracy``; ``precision``, ``recall`` and ``f1`` of the class real; ``fpr``, the share of the spoofed
        utterances accepted as real; ``fnr``, that of the bona fide ones rejected as fake. Fractions.

    Example
    -------
    >>> rates = decision_rates(sort_trials(real=[1.0, 2.0, 3.0, -1.0], fake=[-2.0, 0.5]), threshold=0.0)
    >>> {name: float(rate) for name, rate in rates.items()}
    {'accuracy': 0.6666666666666666, 'precision': 0.75, 'recall': 0.75, 'f1': 0.75, 'fpr': 0.5, 'fnr': 0.25}
    """
    accepted = trials.scores >= threshold
    real, fake = trials.real.sum(-1), trials.fake.sum(-1)
    kept, passed = trials.real[..., accepted].sum(-1), trials.fake[..., accepted].sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": (kept + fake - passed) / (real + fake),
            "precision": kept / (kept + passed),
            "recall": kept / real,
            "f1": 2 * kept / (kept + passed + real),
            "fpr": passed / fake,
            "fnr": 1 - kept / real,
        }
