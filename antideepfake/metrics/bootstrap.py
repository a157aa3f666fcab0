"""Confidence intervals and paired tests by the bootstrap, and closed-form intervals.

The intervals cover the chance in the choice of the test utterances. Utterances of the same speaker or source recording
are not independent. Where such clusters are known, whole clusters are resampled, which makes the intervals wider.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.metrics.costs import DCF_WEIGHTS
from antideepfake.metrics.rates import Array, Trials, sort_trials

Measure = Callable[[Trials], Mapping[str, Array]]
"""Computes metrics of shape [n_resamples] from trials with counts of shape [n_resamples, scores]."""

UNKNOWN = ("-", "", "nan")  # column values that stand for an unknown cluster
BINS = 128
"""With more utterances than twice this, scores are grouped into bins before resampling.

The cost of a resample then does not depend on the number of utterances. There are this many bins of equal size, and as
many smaller ones where a resample may have its best thresholds. A comparison of two systems resamples pairs of bins, so
each system gets a quarter of the bins.
"""
DEVIATIONS = 5.0  # the best threshold of a resample is sought within this many standard deviations
NUMBERS = 4_000_000  # counts of resampled utterances in memory at once: some tens of MB


class Estimate(NamedTuple):
    """A metric and the bounds of its interval; the bounds are NaN if no resample has both classes."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Difference of a metric between two systems, second minus first, with its interval and two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float


class _Binned(NamedTuple):
    """The bin index of each utterance, and the mean score of each bin."""

    bins: NDArray[np.intp]
    scores: Array


def estimate(
    measure: Measure,
    scores: Array,
    is_real: NDArray[np.bool_],
    rng: np.random.Generator,
    thresholds: Sequence[float] = (),
    clusters: NDArray | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    weights: Array | None = None,
) -> dict[str, Estimate]:
    """Compute the metrics of a system, each with a bootstrap interval.

    Arguments
    ---------
    measure : callable
        Computes the metrics from trials.
    scores : array
        Scores, shape [utterances].
    is_real : array of bool
        Whether each utterance is bona fide, shape [utterances].
    rng : numpy.random.Generator
        Source of randomness for the resampling.
    thresholds : sequence of float
        Thresholds that ``measure`` applies; no bin extends across one.
    clusters : array, optional
        Cluster of each utterance, as :func:`number_clusters` returns it. Clusters are resampled with replacement, and
        the interval is widened by Student's t for their number. By default utterances are resampled within each class.
    n_resamples : int
        Number of resamples. With 1000, the bounds vary by a few hundredths of the interval's width.
    confidence_level : float
        Fraction of the resamples inside the interval, in (0, 1).
    weights : array, optional
        What each item counts, such as the seconds of a segment; by default 1. For segments whose clusters are
        utterances; needs ``clusters``.

    Returns
    -------
    dict of str to Estimate
        Name of each metric -> its value, with percentiles of the resamples as bounds.

    Example
    -------
    >>> from antideepfake.metrics.rates import roc_auc
    >>> rng = np.random.default_rng(1)
    >>> scores, is_real = np.concatenate([rng.normal(2, 1, 200), rng.normal(0, 1, 200)]), np.arange(400) < 200
    >>> auc = estimate(lambda trials: {"auc": roc_auc(trials)}, scores, is_real, rng)["auc"]
    >>> 0.85 < auc.low < auc.value < auc.high < 0.97
    True
    """
    binned = _put_into_bins(scores, is_real, thresholds, BINS)
    resamples = [measure(trials) for (trials,) in _resample([binned], is_real, rng, clusters, n_resamples, weights)]
    trials = sort_trials(scores[is_real], scores[~is_real])
    if weights is not None:
        sorted_weights = weights[np.lexsort((~is_real, scores))]
        trials = Trials(trials.scores, trials.real * sorted_weights, trials.fake * sorted_weights)
    whole = measure(trials)
    shift = _error_of_bins(measure, whole, is_real, binned, weights)
    widening = 1.0 if clusters is None else _widen(clusters, is_real, confidence_level)
    estimates = {}
    for name, value in whole.items():
        values = np.concatenate([metrics[name] for metrics in resamples]) + shift[name]
        low, high = (value - widening * (value - bound) for bound in _percentiles(values, confidence_level))
        estimates[name] = Estimate(float(value), float(low), float(high))
    return estimates


def compare_systems(
    measure: Measure,
    first: Array,
    second: Array,
    is_real: NDArray[np.bool_],
    rng: np.random.Generator,
    thresholds: Sequence[float] = (),
    clusters: NDArray | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
) -> dict[str, Comparison]:
    """Compare two systems with a paired bootstrap test: each resample has the same utterances for both.

    Arguments
    ---------
    measure, is_real, rng, thresholds, clusters, n_resamples, confidence_level :
        As in :func:`estimate`.
    first, second : array
        Scores of each system, shape [utterances].

    Returns
    -------
    dict of str to Comparison
        Name of each metric -> comparison. The p-value is twice the fraction of resamples in which the difference has
        the opposite sign or is zero. It lies between 2 / (n_resamples + 1) and 1.

    Example
    -------
    >>> from antideepfake.metrics.rates import roc_auc
    >>> rng = np.random.default_rng(1)
    >>> is_real = np.arange(400) < 200
    >>> good, bad = (difference * is_real + rng.normal(0, 1, 400) for difference in (3.0, 1.0))
    >>> auc = compare_systems(lambda trials: {"auc": roc_auc(trials)}, good, bad, is_real, rng)["auc"]
    >>> auc.high < 0, auc.p_value < 0.01
    (True, True)
    """
    systems = [_put_into_bins(scores, is_real, thresholds, BINS // 4) for scores in (first, second)]
    resamples = [
        [measure(trials) for trials in pair] for pair in _resample(systems, is_real, rng, clusters, n_resamples)
    ]
    whole = [measure(sort_trials(scores[is_real], scores[~is_real])) for scores in (first, second)]
    shifts = [_error_of_bins(measure, metrics, is_real, binned) for metrics, binned in zip(whole, systems, strict=True)]
    widening = 1.0 if clusters is None else _widen(clusters, is_real, confidence_level)
    comparisons = {}
    for name in whole[0]:
        values = np.concatenate([two[name] - one[name] for one, two in resamples]) + shifts[1][name] - shifts[0][name]
        tail = min((values <= 0).sum(), (values >= 0).sum())
        p_value = float(min(1.0, 2 * (tail + 1) / (len(values) + 1)))
        difference = float(whole[1][name] - whole[0][name])
        low, high = (difference - widening * (difference - bound) for bound in _percentiles(values, confidence_level))
        comparisons[name] = Comparison(difference, low, high, p_value)
    return comparisons


def number_clusters(names: ArrayLike) -> NDArray[np.intp]:
    """Number the values of a column; each unknown value, ``-`` or empty, is a cluster of its own.

    Example
    -------
    >>> number_clusters(["ann", "-", "bob", "ann", "-"]).tolist()
    [0, 2, 1, 0, 3]
    """
    seen: dict[str, int] = {}
    texts = [str(name) for name in np.asarray(names, dtype=object)]
    known = (seen.setdefault(text, len(seen)) if text not in UNKNOWN else -1 for text in texts)
    numbers = np.fromiter(known, np.intp, len(texts))
    unknown = numbers < 0
    numbers[unknown] = len(seen) + np.arange(unknown.sum())
    return numbers


def count_clusters(clusters: NDArray, is_real: NDArray[np.bool_]) -> int:
    """Return the number of clusters in the class with fewer clusters.

    Example
    -------
    >>> count_clusters(np.array([0, 0, 1, 2]), np.array([True, True, False, False]))
    1
    """
    return min(len(np.unique(clusters[kind])) for kind in (is_real, ~is_real))


def _widen(clusters: NDArray, is_real: NDArray[np.bool_], confidence_level: float) -> float:
    """Return the factor by which to widen the interval: Student's t and unbiased variance for few clusters."""
    from scipy.special import ndtri, stdtrit

    count = max(count_clusters(clusters, is_real), 2)
    upper = (1 + confidence_level) / 2
    return float(stdtrit(count - 1, upper) / ndtri(upper) * np.sqrt(count / (count - 1)))


def clopper_pearson(hits: ArrayLike, count: ArrayLike, confidence_level: float = 0.95) -> tuple[Array, Array]:
    """Return the exact confidence interval of a fraction (Clopper and Pearson 1934).

    Arguments
    ---------
    hits, count : array of float
        Number of hits among ``count`` independent utterances.
    confidence_level : float
        Confidence level, in (0, 1).

    Returns
    -------
    low, high : array
        Bounds; NaN where ``count`` is 0.

    Example
    -------
    >>> [round(float(bound), 4) for bound in clopper_pearson(0, 50)]
    [0.0, 0.0711]
    """
    from scipy.special import betaincinv  # slow to import, and scoring does without

    hits, count = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(count, np.float64))
    tail = (1 - confidence_level) / 2
    low = np.where(hits <= 0, 0.0, betaincinv(hits, count - hits + 1, tail))
    high = np.where(hits >= count, 1.0, betaincinv(hits + 1, count - hits, 1 - tail))
    empty = count <= 0
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def exact_fraction(hits: float, count: float, confidence_level: float = 0.95) -> Estimate:
    """Return a fraction with its :func:`clopper_pearson` interval; NaN if ``count`` is 0.

    Example
    -------
    >>> exact_fraction(0, 0).value, round(exact_fraction(50, 50).low, 4)
    (nan, 0.9289)
    """
    low, high = clopper_pearson(hits, count, confidence_level)
    return Estimate(hits / count if count else np.nan, float(low), float(high))


def add_intervals(first: Estimate, second: Estimate, weights: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float]:
    """Return the interval of a weighted sum of two independent metrics by square-and-add (Newcombe 1998).

    Example
    -------
    >>> low, high = add_intervals(Estimate(0.5, 0.2, 0.9), Estimate(0.5, 0.1, 0.8))
    >>> round(low, 2), round(high, 2)
    (0.5, 1.5)
    """
    value = weights[0] * first.value + weights[1] * second.value
    below = np.hypot(weights[0] * (first.value - first.low), weights[1] * (second.value - second.low))
    above = np.hypot(weights[0] * (first.high - first.value), weights[1] * (second.high - second.value))
    return float(value - below), float(value + above)


def area_interval(area: float, real: int, fake: int, confidence_level: float = 0.95) -> tuple[float, float]:
    """Return the interval of an area under the ROC curve (Newcombe 2006, method 5); at 1 its width is not zero.

    Example
    -------
    >>> [round(bound, 3) for bound in area_interval(1.0, 50, 50)]
    [0.96, 1.0]
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    squared, others = ndtri((1 + confidence_level) / 2) ** 2, (real + fake) / 2 - 1

    def gap(guess: float) -> float:
        spread = 1 + others * (1 - guess) / (2 - guess) + others * guess / (1 + guess)
        return float((guess - area) ** 2 - squared * guess * (1 - guess) * spread / (real * fake))

    edge = 1e-12
    low = brentq(gap, edge / 2, area - edge) if area > 2 * edge else 0.0
    high = brentq(gap, area + edge, 1 - edge / 2) if area < 1 - 2 * edge else 1.0
    return float(low), float(high)


def _put_into_bins(scores: Array, is_real: NDArray[np.bool_], thresholds: Sequence[float], bins: int) -> _Binned:
    """Group utterances, in the order of the metrics, into bins of nearly equal size that end at the thresholds.

    As many bins again, of nearly equal size, are where the best thresholds of the resamples are.
    """
    count = len(scores)
    order = np.lexsort((~is_real, scores))
    ascending = scores[order]
    if count <= 2 * bins:
        cuts = [np.arange(count)]
    else:
        best = _find_best(is_real[order])
        cuts = [places[np.arange(bins) * len(places) // bins] for places in (np.arange(count), best)]
    cuts += [np.searchsorted(ascending, thresholds)] if len(thresholds) else []
    starts = np.unique(np.concatenate([[0], *cuts]))
    starts = starts[starts < count]
    sizes = np.diff(starts, append=count)
    bin_of = np.empty(count, dtype=np.intp)
    bin_of[order] = np.repeat(np.arange(len(starts)), sizes)
    means = np.add.reduceat(ascending, starts) / sizes
    # Rounding must not move a mean across a threshold.
    return _Binned(bin_of, np.clip(means, ascending[starts], ascending[starts + sizes - 1]))


def _find_best(is_real: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Find the places where a resample may have the threshold of its equal error rate or of its minimum cost.

    Arguments
    ---------
    is_real : array of bool
        Whether each utterance is bona fide, in the order of their scores, shape [utterances].

    Returns
    -------
    array of int
        Indices of utterances, ascending.
    """
    real, fake = is_real.sum(), (~is_real).sum()
    rejection, acceptance = np.cumsum(is_real) / real, 1 - np.cumsum(~is_real) / fake
    deviation = np.sqrt(rejection * (1 - rejection) / real + acceptance * (1 - acceptance) / fake)
    is_best = np.abs(rejection - acceptance) <= DEVIATIONS * deviation
    weights = DCF_WEIGHTS
    cost = weights[0] * rejection + weights[1] * acceptance
    lowest = cost.argmin()
    # of the difference to the lowest cost: only utterances between the two thresholds differ
    variance = weights[0] ** 2 * np.abs(rejection - rejection[lowest]) / real
    variance += weights[1] ** 2 * np.abs(acceptance - acceptance[lowest]) / fake
    is_best |= cost - cost[lowest] <= DEVIATIONS * np.sqrt(variance)
    return np.flatnonzero(is_best)


def _error_of_bins(
    measure: Measure,
    whole: Mapping[str, Array],
    is_real: NDArray[np.bool_],
    binned: _Binned,
    weights: Array | None = None,
) -> dict[str, Array]:
    """Return the error that binning causes in each metric; it is nearly the same in every resample."""
    weights = np.ones(len(is_real)) if weights is None else weights
    real, fake = (
        np.bincount(binned.bins[kind], weights[kind], len(binned.scores)).astype(np.float64)
        for kind in (is_real, ~is_real)
    )
    coarse = measure(Trials(binned.scores, real, fake))
    return {name: whole[name] - coarse[name] for name in whole}


def _resample(
    systems: Sequence[_Binned],
    is_real: NDArray[np.bool_],
    rng: np.random.Generator,
    clusters: NDArray | None,
    n_resamples: int,
    item_weights: Array | None = None,
) -> Iterator[list[Trials]]:
    """Yield batches of resamples; the trials of all systems have the same utterances."""
    from scipy.sparse import csr_array  # slow to import, and scoring does without

    if clusters is None:
        # Utterances of one class that share a bin in every system are interchangeable: sample only their number.
        shape = (2, *(len(system.scores) for system in systems))
        key = np.ravel_multi_index((is_real.astype(np.intp), *(system.bins for system in systems)), shape)
        sizes = np.bincount(key)
        (present,) = sizes.nonzero()
        sizes, units = sizes[present], np.arange(len(present))
        strata, *bins = np.unravel_index(present, shape)
        kinds = strata.astype(bool)
    else:
        names, units = np.unique(clusters, return_inverse=True)
        sizes, strata = np.ones(len(names), dtype=np.int64), np.zeros(len(names), dtype=np.intp)
        kinds, bins = is_real, [system.bins for system in systems]
    weights_of_items = np.ones(len(kinds)) if item_weights is None else item_weights
    # Each matrix maps resampled units to the number of utterances of a class in each bin.
    maps = [
        [
            csr_array(
                (weights_of_items[kind], (units[kind], bins_of_system[kind])),
                shape=(len(sizes), len(system.scores)),
            )
            for kind in (kinds, ~kinds)
        ]
        for system, bins_of_system in zip(systems, bins, strict=True)
    ]
    at_once = max(1, NUMBERS // max(len(sizes), *(len(system.scores) for system in systems)))
    for start in range(0, n_resamples, at_once):
        weights = np.empty((min(at_once, n_resamples - start), len(sizes)))
        for stratum in np.unique(strata):
            inside = strata == stratum
            total = sizes[inside].sum()
            weights[:, inside] = rng.multinomial(total, sizes[inside] / total, len(weights))
        # A resample of clusters may lack a class; no metric is defined for it.
        complete = [(weights @ counts.sum(axis=1)) > 0 for counts in maps[0]]
        weights = weights[complete[0] & complete[1]]
        yield [
            Trials(system.scores, *(weights @ counts for counts in pair))
            for system, pair in zip(systems, maps, strict=True)
        ]


def _percentiles(values: Array, confidence_level: float) -> tuple[float, float]:
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return float(low), float(high)
