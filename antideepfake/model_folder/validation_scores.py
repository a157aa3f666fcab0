"""The distribution of the scores of a validation set, by which a person can place the score of a recording."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 40
LARGEST = 1e300  # so that differences stay finite


def describe_scores(real: ArrayLike, fake: ArrayLike) -> dict[str, list[float]]:
    """Return the histogram of scores as plain data, for a model folder.

    Arguments
    ---------
    real, fake : array
        Scores of bona fide and of spoofed utterances; at least one in all. The thousandth of them that is lowest and
        the one that is highest are counted in the first and the last bin, so that a few extreme scores do not squeeze
        all others into one bin.

    Returns
    -------
    dict
        ``edges``, shape [bins + 1], and the numbers of utterances ``real`` and ``fake``, shape [bins] each. Empty if
        the scores are too large to be divided into bins.

    Example
    -------
    >>> histogram = describe_scores([2.0, 3.0, 4.0], [-2.0])
    >>> len(histogram["edges"]), sum(histogram["real"]), histogram["fake"][:2]
    (41, 3, [1, 0])
    """
    values: list[NDArray[np.float64]] = [np.asarray(real, np.float64), np.asarray(fake, np.float64)]
    low, high = np.quantile(np.concatenate(values), [0.001, 0.999])
    edges = np.linspace(low, high, BINS + 1) if low < high else np.linspace(low - 0.5, low + 0.5, BINS + 1)
    if not (np.diff(edges) > 0).all():  # numbers so large that the next one is farther than the width of a bin
        return {}
    counts = [np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0].tolist() for scores in values]
    return {"edges": edges.tolist(), "real": counts[0], "fake": counts[1]}


def is_histogram(values: Any) -> bool:
    """Whether data of unknown origin has the form that :func:`describe_scores` gives.

    Example
    -------
    >>> is_histogram(describe_scores([1.0], [0.0])), is_histogram({"edges": [1, 0], "real": [3], "fake": [1]})
    (True, False)
    """
    if not isinstance(values, dict) or values.keys() != {"edges", "real", "fake"}:
        return False
    edges, *counts = (values[name] for name in ("edges", "real", "fake"))
    if not all(isinstance(numbers, list) and all(map(_is_number, numbers)) for numbers in (edges, *counts)):
        return False
    is_rising = len(edges) > 1 and all(low < high for low, high in pairwise(edges))
    return is_rising and all(len(numbers) == len(edges) - 1 and min(numbers) >= 0 for numbers in counts)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST
