"""Out-of-distribution recordings: the distance of an embedding from those of known speech."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError

from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.metrics.bootstrap import number_clusters

FOLDS = 5


@dataclass(frozen=True)
class OODDetector:
    """A Mahalanobis distance from reference embeddings, and from where on a recording is far from them.

    Lee, Lee, Lee, Shin 2018, "A simple unified framework for detecting out-of-distribution samples". One Gaussian for
    real and fake together, since what is far from both is to be found; the reference itself need not be kept, as it
    would for distances to neighbors.

    Arguments
    ---------
    mean : array
        Shape [dimensions].
    whiten : array
        Makes the covariance of the reference a unit matrix; shape [dimensions, dimensions].
    limit : float
        Distances above it are far.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> ood_detector = fit_ood_detector(rng.standard_normal((500, 4)), share=0.01)
    >>> ood_detector.is_ood(np.array([[0.0, 0, 0, 0], [9, 9, 9, 9]])).tolist()
    [False, True]
    """

    mean: NDArray[np.float32]
    whiten: NDArray[np.float32]
    limit: float

    def distance(self, embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
        """Give the distances of embeddings of shape [utterances, dimensions], about 1 for the reference itself."""
        centered = (embeddings - self.mean) @ self.whiten
        return np.sqrt(np.mean(np.square(centered), axis=1))

    def is_ood(self, embeddings: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Tell which embeddings lie farther than the limit."""
        return self.distance(embeddings) > self.limit

    def save(self, path: str | os.PathLike) -> None:
        """Write a safetensors file."""
        tensors = {"mean": self.mean, "whiten": self.whiten, "limit": np.array([self.limit], np.float32)}
        with atomic_path(path) as temporary:
            safetensors.numpy.save_file(tensors, temporary)


def read_ood_detector(path: str | os.PathLike) -> OODDetector | None:
    """Read what :meth:`OODDetector.save` wrote; None where there is no such file.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    if not Path(path).exists():
        return None
    try:
        tensors = safetensors.numpy.load_file(path)
        size = tensors["mean"].size
        shapes = {"mean": (size,), "whiten": (size, size), "limit": (1,)}
        if {name: value.shape for name, value in tensors.items()} != shapes or not all(
            value.dtype == np.float32 and np.isfinite(value).all() for value in tensors.values()
        ):
            raise ValueError("shapes or values are wrong")
    except (SafetensorError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: does not describe in-distribution embeddings ({error}); fit it again or delete it"
        ) from None
    return OODDetector(tensors["mean"], tensors["whiten"], float(tensors["limit"][0]))


def fit_ood_detector(
    embeddings: NDArray[np.floating], share: float = 0.01, clusters: ArrayLike | None = None
) -> OODDetector:
    """Fit a :class:`OODDetector` to embeddings of speech like that which the detector was trained on.

    Arguments
    ---------
    embeddings : array
        Shape [utterances, dimensions]: best of a validation set, which the detector did not learn by heart.
    share : float
        Fraction of such utterances to flag, in (0, 1): the acceptable false-alarm rate.
    clusters : array, optional
        What each utterance belongs to, such as its speaker: the limit is then that of new speakers. An unknown one,
        ``-``, is a cluster of its own. Without them, utterances are taken as independent.

    Returns
    -------
    OODDetector
        Its covariance is shrunk towards a multiple of the unit matrix by Ledoit and Wolf's formula (2004), which keeps
        it sound with fewer utterances than dimensions. The limit is from five fits, each tried on a fifth of the
        clusters that it has not seen.

    Raises
    ------
    InputError
        When there are fewer than 20 utterances or two clusters, a value is not finite, all are alike, or the share is
        out of range.
    """
    if len(embeddings) < 20:
        raise InputError(f"{len(embeddings)} utterances are too few to tell what is usual; give some hundred")
    if not 0 < share < 1:
        raise InputError(f"a share of {share} is wanted; it must lie between 0 and 1")
    values = np.asarray(embeddings, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError("some embeddings hold values that are not finite; score these utterances again, in fp32")
    if np.ptp(values, axis=0).max() <= 1e-6 * np.abs(values).max():
        raise InputError("all embeddings are alike; nothing can be told from them")
    # Utterances that a fit has seen lie nearer to it than others will: the limit is of those that it has not seen.
    # So do those of speakers that a fit has seen.
    numbers = np.arange(len(values)) if clusters is None else number_clusters(clusters)
    count = len(np.unique(numbers))
    if count < 2:
        raise InputError("all utterances are of one speaker; the limit needs several, better twenty")
    folds = _share_out(numbers, min(FOLDS, count))
    distances = []
    for fold in np.unique(folds):
        part = OODDetector(*_mean_and_whitening(values[folds != fold]), np.inf)
        distances.append(part.distance(values[folds == fold]))
    limit = float(np.quantile(np.concatenate(distances), 1 - share))
    return OODDetector(*_mean_and_whitening(values), limit)


def _share_out(clusters: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Give each utterance a fold: clusters whole, the largest first, each to the smallest fold."""
    names, members, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    fold_of = np.empty(len(names), dtype=np.intp)
    totals = np.zeros(count, dtype=np.int64)
    for name in np.argsort(-sizes, kind="stable"):
        fold_of[name] = totals.argmin()
        totals[fold_of[name]] += sizes[name]
    return fold_of[members]


def _mean_and_whitening(values: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = values.mean(0)
    centered = values - mean
    count, size = centered.shape
    covariance = centered.T @ centered / count
    target = np.trace(covariance) / size
    spread = np.sum((covariance - target * np.eye(size)) ** 2)
    # mean over utterances of |x x' - covariance|^2, without forming each product
    noise = (np.sum(np.square(centered).sum(1) ** 2) / count - np.sum(covariance**2)) / count
    shrinkage = min(1.0, noise / spread) if spread > 0 else 1.0
    shrunk = (1 - shrinkage) * covariance + shrinkage * target * np.eye(size)
    scales, directions = np.linalg.eigh(shrunk)
    whiten = directions / np.sqrt(np.maximum(scales, 1e-8 * scales.max()))
    return mean.astype(np.float32), whiten.astype(np.float32)
