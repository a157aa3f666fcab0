"""How far a set of recordings lies from another: distances between the distributions of embeddings or of scores.

After "Data drift" of detectors in arXiv 2509.10086 (2025), which finds Wasserstein-1 the most consistent of the three
distances. Dimensions are measured in standard deviations of the reference.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antideepfake.errors import InputError

Array = NDArray[np.float64]

BINS = 32  # of the densities that the Kullback-Leibler divergence compares
PROJECTIONS = 50
PERMUTATIONS = 200


class Drift(NamedTuple):
    """Distances between a reference and what came in.

    Arguments
    ---------
    wasserstein : array
        Wasserstein-1 of each dimension, in standard deviations of the reference; shape [dimensions].
    kullback_leibler : array
        Divergence of what came in from the reference, in nats; shape [dimensions].
    kolmogorov_smirnov : array
        Largest difference of the two distribution functions, in [0, 1]; shape [dimensions].
    sliced : float
        Wasserstein-1 along random directions, on average.
    p_value : float
        How often ``sliced`` is as large when utterances change sides at random.
    """

    wasserstein: Array
    kullback_leibler: Array
    kolmogorov_smirnov: Array
    sliced: float
    p_value: float


def measure_drift(
    reference: NDArray[np.floating],
    incoming: NDArray[np.floating],
    rng: np.random.Generator,
    projections: int = PROJECTIONS,
    permutations: int = PERMUTATIONS,
) -> Drift:
    """Measure how far what came in lies from the reference.

    Arguments
    ---------
    reference, incoming : array
        Embeddings or scores, shape [utterances, dimensions]; two utterances or more each.
    rng : numpy.random.Generator
        Source of directions and permutations.
    projections : int
        Random directions of the sliced distance (Bonneel, Rabin, Peyré, Pfister 2015).
    permutations : int
        The smallest p-value is 1 / (permutations + 1).

    Returns
    -------
    Drift
        The distances.

    Raises
    ------
    InputError
        When the two have not the same dimensions, are too small, or hold what is no number.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> drift = measure_drift(rng.normal(0, 1, (500, 2)), rng.normal([0, 1], 1, (500, 2)), rng)
    >>> round(float(drift.wasserstein[1]), 1), drift.p_value < 0.01
    (1.0, True)
    """
    reference, incoming = (_check(values, name) for values, name in ((reference, "reference"), (incoming, "incoming")))
    if reference.shape[1] != incoming.shape[1]:
        raise InputError(f"the reference has {reference.shape[1]} dimensions, what came in has {incoming.shape[1]}")
    mean, scale = reference.mean(0), reference.std(0)
    if (scale <= 1e-12 * np.maximum(np.abs(mean), 1)).all():
        raise InputError("all utterances of the reference are alike; nothing can be measured against it")
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(mean), 1), scale, 1)
    both = np.concatenate([(reference - mean) / scale, (incoming - mean) / scale])
    is_incoming = np.arange(len(both)) >= len(reference)

    parts = [_compare(both[:, first : first + 64], is_incoming) for first in range(0, both.shape[1], 64)]
    wasserstein, divergence, difference = (np.concatenate(part) for part in zip(*parts, strict=True))

    directions = rng.standard_normal((both.shape[1], projections if both.shape[1] > 1 else 1))
    projected = both @ (directions / np.linalg.norm(directions, axis=0))
    order = np.argsort(projected, axis=0)
    gaps = np.diff(np.take_along_axis(projected, order, 0), axis=0)
    sliced = _transport(is_incoming, order, gaps)
    larger = sum(_transport(rng.permutation(is_incoming), order, gaps) >= sliced for _ in range(permutations))
    return Drift(wasserstein, divergence, difference, sliced, (larger + 1) / (permutations + 1))


def _check(values: NDArray[np.floating], name: str) -> Array:
    if len(values) < 2:
        raise InputError(f"{name}: {len(values)} utterances; a distribution needs two at least, better some hundred")
    table: Array = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    if not np.isfinite(table).all():
        raise InputError(f"{name}: holds values that are not finite numbers; score these utterances again, in fp32")
    return table


def _compare(both: Array, is_incoming: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Give Wasserstein-1, Kullback-Leibler and Kolmogorov-Smirnov of each column.

    All follow from the order of the values: distribution functions between them, and counts in bins that hold equally
    many of both together (Wang, Kulkarni, Verdú 2005), with half an utterance added to each (Krichevsky and Trofimov
    1981).
    """
    order = np.argsort(both, axis=0)
    gaps = np.diff(np.take_along_axis(both, order, 0), axis=0)
    theirs = is_incoming[order]
    functions = _distance_of_functions(theirs)
    # between equal values there is no point of the distribution functions
    largest = np.where(gaps > 0, functions, 0).max(0)
    return (functions * gaps).sum(0), _divergence(theirs, gaps), largest


def _divergence(theirs: NDArray[np.bool_], gaps: Array) -> Array:
    """Give the Kullback-Leibler divergence of sorted columns; equal values share a bin."""
    count = len(theirs)
    changes = np.concatenate([np.zeros((1, gaps.shape[1]), bool), gaps > 0])
    first_equal = np.maximum.accumulate(np.where(changes, np.arange(count)[:, None], 0), axis=0)
    bins = min(BINS, count)
    edges = np.concatenate([first_equal[np.arange(bins) * count // bins], np.full((1, gaps.shape[1]), count)])
    counts = []
    for side in (theirs, ~theirs):
        sums = np.concatenate([np.zeros((1, gaps.shape[1])), np.cumsum(side, axis=0)])
        counts.append(np.diff(np.take_along_axis(sums, edges, 0), axis=0) + 0.5 * (np.diff(edges, axis=0) > 0))
    incoming, reference = (side / side.sum(0) for side in counts)
    with np.errstate(divide="ignore", invalid="ignore"):  # bins that hold nobody
        return np.where(incoming > 0, incoming * np.log(incoming / reference), 0).sum(0)


def _distance_of_functions(theirs: NDArray[np.bool_]) -> Array:
    """Give the difference of the distribution functions after each value but the last."""
    above = np.cumsum(theirs, axis=0)[:-1] / theirs.sum(0)
    below = np.cumsum(~theirs, axis=0)[:-1] / (~theirs).sum(0)
    return np.abs(above - below)


def _transport(is_incoming: NDArray[np.bool_], order: NDArray[np.intp], gaps: Array) -> float:
    """Give the mean Wasserstein-1 over columns that are sorted."""
    return float((_distance_of_functions(is_incoming[order]) * gaps).sum(0).mean())
