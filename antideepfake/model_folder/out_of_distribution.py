"""Detection of out-of-distribution recordings by the distance of their embeddings from reference embeddings."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError

from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.metrics.bootstrap import number_clusters

FOLDS = 5  # of the cross-validation of the limit


@dataclass(frozen=True)
class OODDetector:
    """A detector of out-of-distribution recordings by their Mahalanobis distance from reference embeddings.

    The method follows Lee, Lee, Lee, Shin 2018, "A simple unified framework for detecting out-of-distribution samples".
    A single Gaussian models both classes, because an out-of-distribution recording is far from both. Unlike distances
    to nearest neighbors, it does not need the reference embeddings.

    Arguments
    ---------
    mean : array
        Mean of the reference, shape [dimensions].
    whiten : array
        Matrix that transforms the covariance of the reference to the unit matrix; shape [dimensions, dimensions].
    limit : float
        A recording with a larger distance is out of distribution.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> ood_detector = fit_ood_detector(rng.standard_normal((500, 4)), fraction=0.01)
    >>> ood_detector.is_ood(np.array([[0.0, 0, 0, 0], [9, 9, 9, 9]])).tolist()
    [False, True]
    """

    mean: NDArray[np.float32]
    whiten: NDArray[np.float32]
    limit: float

    def distance(self, embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the distances of embeddings of shape [utterances, dimensions]; about 1 for the reference."""
        centered = (embeddings - self.mean) @ self.whiten
        return np.sqrt(np.mean(np.square(centered), axis=1))

    def is_ood(self, embeddings: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which embeddings have a distance above the limit; shape [utterances]."""
        return self.distance(embeddings) > self.limit

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file."""
        limit = np.array([self.limit], np.float32)
        return safetensors.numpy.save({"mean": self.mean, "whiten": self.whiten, "limit": limit})

    def save(self, path: str | os.PathLike) -> None:
        """Write a safetensors file."""
        with atomic_open(path, "wb") as file:
            file.write(self.to_bytes())


def read_ood_detector(path: str | os.PathLike) -> OODDetector | None:
    """Read an OOD detector from a file of :meth:`OODDetector.save`; None if there is no such file.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    if not Path(path).exists():
        return None
    return parse_ood_detector(Path(path).read_bytes(), path)


def parse_ood_detector(content: bytes, path: str | os.PathLike) -> OODDetector:
    """Read an OOD detector from the bytes of :meth:`OODDetector.to_bytes`.

    Arguments
    ---------
    content : bytes
        Of a safetensors file.
    path : str or Path
        The file that contains them, for the error message.

    Raises
    ------
    InputError
        If they are damaged.

    Example
    -------
    >>> content = OODDetector(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 3.0).to_bytes()
    >>> parse_ood_detector(content, "model.onnx").limit
    3.0
    """
    try:
        tensors = safetensors.numpy.load(content)
        size = tensors["mean"].size
        shapes = {"mean": (size,), "whiten": (size, size), "limit": (1,)}
        if {name: value.shape for name, value in tensors.items()} != shapes or not all(
            value.dtype == np.float32 and np.isfinite(value).all() for value in tensors.values()
        ):
            raise ValueError("shapes or values are wrong")
    except (SafetensorError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not an OOD detector ({error}); fit it again or delete it") from None
    return OODDetector(tensors["mean"], tensors["whiten"], float(tensors["limit"][0]))


def fit_ood_detector(
    embeddings: NDArray[np.floating], fraction: float = 0.01, clusters: ArrayLike | None = None
) -> OODDetector:
    """Fit an :class:`OODDetector` to embeddings of in-distribution speech.

    Arguments
    ---------
    embeddings : array
        Reference embeddings, shape [utterances, dimensions], preferably of a validation set, because the detector may
        have memorized the training set.
    fraction : float
        Fraction of reference utterances to flag, in (0, 1): the acceptable false-alarm rate.
    clusters : array, optional
        Cluster of each utterance, such as its speaker; the limit then applies to new speakers. An unknown value, ``-``,
        is a cluster of its own. By default utterances are independent.

    Returns
    -------
    OODDetector
        The fitted detector. Its covariance is shrunk towards a multiple of the unit matrix (Ledoit and Wolf 2004), so
        that it is regular with fewer utterances than dimensions. The limit comes from five-fold cross-validation over
        the clusters.

    Raises
    ------
    InputError
        If there are fewer than 20 utterances or two clusters, a value is not finite, all embeddings are equal, or
        ``fraction`` is out of range.
    """
    if len(embeddings) < 20:
        raise InputError(
            f"{len(embeddings)} utterances are too few to fit an OOD detector; use at least 20, preferably hundreds"
        )
    if not 0 < fraction < 1:
        raise InputError(f"the fraction is {fraction}; it must be between 0 and 1")
    values = np.asarray(embeddings, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError("some embeddings have values that are not finite; score these utterances again, in fp32")
    if np.ptp(values, axis=0).max() <= 1e-6 * np.abs(values).max():
        raise InputError("all embeddings are equal; use different utterances, or check the detector")
    # Utterances and speakers of the fit are closer to the mean than new ones, so the limit is computed on others.
    numbers = np.arange(len(values)) if clusters is None else number_clusters(clusters)
    count = len(np.unique(numbers))
    if count < 2:
        raise InputError("all utterances are of one speaker; use several speakers, preferably twenty")
    folds = _assign_folds(numbers, min(FOLDS, count))
    distances = []
    for fold in np.unique(folds):
        detector = OODDetector(*_mean_and_whitening(values[folds != fold]), np.inf)
        distances.append(detector.distance(values[folds == fold]))
    limit = float(np.quantile(np.concatenate(distances), 1 - fraction))
    return OODDetector(*_mean_and_whitening(values), limit)


def _assign_folds(clusters: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Assign a fold to each utterance: the clusters, by decreasing size, go to the smallest fold so far."""
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
    # The mean over utterances of |x x' - covariance|^2, without computing the products.
    noise = (np.sum(np.square(centered).sum(1) ** 2) / count - np.sum(covariance**2)) / count
    shrinkage = min(1.0, noise / spread) if spread > 0 else 1.0
    shrunk = (1 - shrinkage) * covariance + shrinkage * target * np.eye(size)
    scales, directions = np.linalg.eigh(shrunk)
    whiten = directions / np.sqrt(np.maximum(scales, 1e-8 * scales.max()))
    return mean.astype(np.float32), whiten.astype(np.float32)
