"""Distances between two sets of recordings, by the distributions of their embeddings or scores.

The method follows arXiv 2509.10086 (2025) on data drift of detectors, which finds Wasserstein-1 the most consistent of
the three distances. Dimensions are scaled to a standard deviation of 1 on the reference.
"""

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError
from antideepfake.metrics.bootstrap import number_clusters

Array = NDArray[np.float64]

BINS = 32  # of the densities in the Kullback-Leibler divergence
PROJECTIONS = 50
PERMUTATIONS = 200
CHANCE = 19  # permutations that estimate the effect of chance on each dimension
FEW_CHANCES = 5  # of them, for the bias of the divergence, which takes the most time to compute


class Drift(NamedTuple):
    """Distances between a reference and incoming recordings.

    Arguments
    ---------
    wasserstein : array
        Wasserstein-1 of each dimension, in standard deviations of the reference; shape [dimensions].
    kullback_leibler : array
        Divergence of the incoming recordings from the reference, in nats, minus its mean under random permutations, so
        that it may be negative; shape [dimensions].
    kolmogorov_smirnov : array
        Largest difference between the two distribution functions, in [0, 1]; shape [dimensions].
    sliced : float
        Mean Wasserstein-1 distance along random directions.
    p_value : float
        Fraction of random permutations of the clusters in which ``sliced`` is at least as large.
    moved : array of bool
        Whether the Wasserstein-1 of a dimension is larger than in all ``CHANCE`` permutations. Without drift, this is
        true for one dimension in ``CHANCE`` + 1; shape [dimensions].
    clusters : tuple of int
        Numbers of independent clusters in the reference and in the incoming recordings.
    """

    wasserstein: Array
    kullback_leibler: Array
    kolmogorov_smirnov: Array
    sliced: float
    p_value: float
    moved: NDArray[np.bool_]
    clusters: tuple[int, int]


def measure_drift(
    reference: NDArray[np.floating],
    incoming: NDArray[np.floating],
    rng: np.random.Generator,
    projections: int = PROJECTIONS,
    permutations: int = PERMUTATIONS,
    clusters: tuple[ArrayLike, ArrayLike] | None = None,
) -> Drift:
    """Compute the distances of incoming recordings from the reference, and test them for significance.

    Arguments
    ---------
    reference, incoming : array
        Embeddings or scores, shape [utterances, dimensions], of at least two utterances each.
    rng : numpy.random.Generator
        Source of randomness for directions and permutations.
    projections : int
        Number of random directions of the sliced distance (Bonneel, Rabin, Peyré, Pfister 2015).
    permutations : int
        Number of permutations of the test. The smallest p-value is 1 / (permutations + 1).
    clusters : pair of array, optional
        Cluster of each utterance of the reference and of the incoming recordings, such as its speaker. Clusters are
        permuted as a whole. An unknown value, ``-``, is a cluster of its own. By default utterances are independent.

    Returns
    -------
    Drift
        Distances, p-value and numbers of clusters.

    Raises
    ------
    InputError
        If the numbers of dimensions differ, a set is too small, all utterances of the reference are equal, or a value
        is not finite.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> drift = measure_drift(rng.normal(0, 1, (500, 2)), rng.normal([0, 1], 1, (500, 2)), rng)
    >>> round(float(drift.wasserstein[1]), 1), drift.p_value < 0.01
    (1.0, True)
    """
    reference, incoming = (_check(values, name) for values, name in ((reference, "reference"), (incoming, "incoming")))
    if reference.shape[1] != incoming.shape[1]:
        raise InputError(
            f"the reference has {reference.shape[1]} dimensions, but the incoming recordings have {incoming.shape[1]}; "
            "use embeddings of the same model"
        )
    mean, scale = reference.mean(0), reference.std(0)
    if (scale <= 1e-12 * np.maximum(np.abs(mean), 1)).all():
        raise InputError("all utterances of the reference are equal; use a reference with different utterances")
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(mean), 1), scale, 1)
    both = np.concatenate([(reference - mean) / scale, (incoming - mean) / scale])
    is_incoming = np.arange(len(both)) >= len(reference)

    sides = clusters if clusters is not None else (range(len(reference)), range(len(incoming)))
    numbers = [np.unique(number_clusters(names), return_inverse=True)[1] for names in sides]
    counts = int(numbers[0].max()) + 1, int(numbers[1].max()) + 1
    units = np.concatenate([numbers[0], counts[0] + numbers[1]])
    unit_is_incoming = np.arange(sum(counts)) >= counts[0]
    chance = [rng.permutation(unit_is_incoming)[units] for _ in range(min(permutations, CHANCE))]

    chunks = [_compare(both[:, first : first + 64], is_incoming, chance) for first in range(0, both.shape[1], 64)]
    wasserstein, divergence, difference, moved = (np.concatenate(chunk) for chunk in zip(*chunks, strict=True))

    directions = rng.standard_normal((both.shape[1], projections if both.shape[1] > 1 else 1))
    directions /= np.linalg.norm(directions, axis=0)
    sliced = _transport(is_incoming, *_project(both, directions))
    # The scale must not depend on the sides, which the test permutes, so it is that of both sets together.
    spread = both.std(0)
    order, gaps = _project(both / np.where(spread > 0, spread, 1), directions)
    observed, larger = _transport(is_incoming, order, gaps), 0
    for _ in range(permutations):
        larger += _transport(rng.permutation(unit_is_incoming)[units], order, gaps) >= observed
    return Drift(wasserstein, divergence, difference, sliced, (larger + 1) / (permutations + 1), moved, counts)


def smallest_p_value(drift: Drift, permutations: int = PERMUTATIONS) -> float:
    """Return the smallest p-value that the number of clusters allows.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> round(smallest_p_value(measure_drift(rng.normal(0, 1, 3), rng.normal(0, 1, 2), rng)), 2)
    0.1
    """
    return max(1 / comb(sum(drift.clusters), drift.clusters[0]), 1 / (permutations + 1))


def _check(values: NDArray[np.floating], name: str) -> Array:
    if len(values) < 2:
        raise InputError(f"{name}: {len(values)} utterances; a distribution needs at least two, preferably hundreds")
    table: Array = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    if not np.isfinite(table).all():
        raise InputError(f"{name}: contains values that are not finite; score these utterances again, in fp32")
    return table


def _compare(
    both: Array, is_incoming: NDArray[np.bool_], chance: Sequence[NDArray[np.bool_]]
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Compute Wasserstein-1, Kullback-Leibler and Kolmogorov-Smirnov of each column, and whether it moved.

    All follow from the order of the values. Wasserstein-1 and Kolmogorov-Smirnov use the distribution functions between
    the values. The divergence uses counts in bins with equal numbers of values of both sets together (Wang, Kulkarni,
    Verdú 2005), with half an utterance added to each count (Krichevsky and Trofimov 1981).
    """
    order = np.argsort(both, axis=0)
    gaps = np.diff(np.take_along_axis(both, order, 0), axis=0)
    sides = is_incoming[order]
    functions = _distance_of_functions(sides)
    # The distribution functions are not defined between equal values.
    largest = np.where(gaps > 0, functions, 0).max(0)
    transport = (functions * gaps).sum(0)
    permuted = [permutation[order] for permutation in chance]
    largest_by_chance = np.max(
        [(_distance_of_functions(permutation) * gaps).sum(0) for permutation in permuted], axis=0
    )
    bias = np.mean([_divergence(permutation, gaps) for permutation in permuted[:FEW_CHANCES]], axis=0)
    return transport, _divergence(sides, gaps) - bias, largest, transport > largest_by_chance


def _divergence(is_incoming: NDArray[np.bool_], gaps: Array) -> Array:
    """Compute the Kullback-Leibler divergence of sorted columns; equal values share a bin."""
    count = len(is_incoming)
    changes = np.concatenate([np.zeros((1, gaps.shape[1]), bool), gaps > 0])
    first_equal = np.maximum.accumulate(np.where(changes, np.arange(count)[:, None], 0), axis=0)
    bins = min(BINS, count)
    edges = np.concatenate([first_equal[np.arange(bins) * count // bins], np.full((1, gaps.shape[1]), count)])
    counts = []
    for side in (is_incoming, ~is_incoming):
        sums = np.concatenate([np.zeros((1, gaps.shape[1])), np.cumsum(side, axis=0)])
        counts.append(np.diff(np.take_along_axis(sums, edges, 0), axis=0) + 0.5 * (np.diff(edges, axis=0) > 0))
    incoming, reference = (side / side.sum(0) for side in counts)
    with np.errstate(divide="ignore", invalid="ignore"):  # empty bins
        return np.where(incoming > 0, incoming * np.log(incoming / reference), 0).sum(0)


def _distance_of_functions(is_incoming: NDArray[np.bool_]) -> Array:
    """Compute the difference between the distribution functions after each value except the last."""
    count = len(is_incoming)
    sums = np.cumsum(is_incoming, axis=0)
    total = sums[-1]
    seen = np.arange(1, count).reshape(-1, *[1] * (is_incoming.ndim - 1))
    return np.abs(sums[:-1] / total - (seen - sums[:-1]) / (count - total))


def _project(values: Array, directions: Array) -> tuple[NDArray[np.intp], Array]:
    """Return the order of the projections on each direction, and the gaps between neighbors."""
    projected = values @ directions
    order = np.argsort(projected, axis=0)
    return order, np.diff(np.take_along_axis(projected, order, 0), axis=0)


def _transport(is_incoming: NDArray[np.bool_], order: NDArray[np.intp], gaps: Array) -> float:
    """Compute the mean Wasserstein-1 distance over sorted columns."""
    return float((_distance_of_functions(is_incoming[order]) * gaps).sum(0).mean())
