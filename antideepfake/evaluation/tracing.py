"""Source tracing: which known spoofing system made a recording, or none; by nearest neighbors or by a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError
from antideepfake.metrics.bootstrap import number_clusters
from antideepfake.metrics.rates import roc_auc, sort_trials

NONE = "none of these"
CHUNK = 1024  # recordings compared with the reference at once
FOLDS = 5  # of the cross-validation
STRENGTH = 0.01  # inverse regularization of the classifier, on standardized embeddings of thousands of dimensions
COMPONENTS = 150  # principal components: enough for a hundred systems, and robust with a thousand utterances


@dataclass(frozen=True)
class SourceTracer:
    """Nearest neighbors among embeddings of known spoofing systems; :func:`fit_source_tracer` makes one.

    Arguments
    ---------
    directions : array
        Reference embeddings, centered, whitened and scaled to length 1; shape [utterances, dimensions].
    numbers : array
        Index of the system of each reference utterance; shape [utterances].
    systems : list of str
        Names of the systems.
    mean : array
        Mean of the reference, shape [dimensions].
    whiten : array
        Matrix to the principal components in which the utterances of a system vary equally in all directions; shape
        [dimensions, components].
    n_neighbors : int
        Utterances of a system with which a recording is compared.
    threshold : float
        A recording whose similarity to every system is below it comes from none of these.
    """

    directions: NDArray[np.float32]
    numbers: NDArray[np.intp]
    systems: list[str]
    mean: NDArray[np.float32]
    whiten: NDArray[np.float32]
    n_neighbors: int
    threshold: float

    def measure_similarities(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """Measure how similar recordings are to each system.

        Arguments
        ---------
        embeddings : array
            Shape [recordings, dimensions].

        Returns
        -------
        array
            Mean cosine with the ``n_neighbors`` nearest utterances of each system, or with all if it has fewer, from
            -1 to 1; shape [recordings, systems].
        """
        directions = _to_directions(embeddings, self.mean, self.whiten)
        parts = [
            _average_nearest(directions[start : start + CHUNK] @ self.directions.T, self.numbers, self.n_neighbors)
            for start in range(0, len(directions), CHUNK)
        ]
        return np.concatenate([np.empty((0, len(self.systems)), np.float32), *parts])


@dataclass(frozen=True)
class SourceClassifier:
    """A linear classifier of embeddings by spoofing system; :func:`fit_source_classifier` makes one.

    Arguments
    ---------
    weight, bias : array
        Shape [systems, dimensions] and [systems].
    systems : list of str
        Names of the systems.
    threshold : float
        A recording for which every system is less probable comes from none of these.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    systems: list[str]
    threshold: float

    def measure_similarities(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """Compute the probability of each system, given that one of them made the recording.

        Arguments
        ---------
        embeddings : array
            Shape [recordings, dimensions].

        Returns
        -------
        array
            Shape [recordings, systems]; rows sum to 1.
        """
        from scipy.special import softmax

        return softmax(np.asarray(embeddings, np.float32) @ self.weight.T + self.bias, axis=1)


def choose_systems(tracer: SourceTracer | SourceClassifier, similarities: NDArray[np.floating]) -> list[str]:
    """Name the most similar system of each recording, or ``none of these``.

    Arguments
    ---------
    tracer : SourceTracer or SourceClassifier
        What compared the recordings.
    similarities : array
        As its method ``measure_similarities`` returns them.
    """
    return [
        tracer.systems[best] if row[best] >= tracer.threshold else NONE
        for row, best in zip(similarities, similarities.argmax(1), strict=True)
    ]


def fit_source_tracer(
    embeddings: NDArray[np.floating],
    systems: Sequence[str],
    n_neighbors: int = 5,
    rejected: float = 0.05,
    clusters: ArrayLike | None = None,
) -> SourceTracer:
    """Fit a :class:`SourceTracer` to embeddings of known spoofing systems, without training.

    Embeddings are reduced to their principal components, which are scaled such that the utterances of a system vary
    equally in all directions (within-class covariance normalization, Hatch, Kajarekar, Stolcke 2006), so that what
    differs within systems, such as speaker and text, counts less. The covariance is shrunk after Ledoit and Wolf 2004.

    Arguments
    ---------
    embeddings : array
        Shape [utterances, dimensions].
    systems : sequence of str
        Spoofing system of each utterance.
    n_neighbors : int
        Utterances of a system with which a recording is compared. A few: one alone is easily an outlier, and many
        exceed what small references have.
    rejected : float
        Fraction of recordings of known systems that may be rejected as ``none of these``, in [0, 1). It sets the
        threshold.
    clusters : array, optional
        Cluster of each utterance, such as its speaker. The threshold is computed without the neighbors in an
        utterance's own cluster, and so holds for new speakers. An unknown value, ``-``, is a cluster of its own. By
        default utterances are independent.

    Raises
    ------
    InputError
        If there are fewer than two systems or fewer than two utterances of each on average, a value is not finite,
        all embeddings are equal, ``rejected`` or ``n_neighbors`` is out of range, or no utterance has a neighbor
        outside its own cluster.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> embeddings = rng.normal(size=(60, 3)) + 20 * np.eye(3)[np.repeat([0, 1, 2], 20)]
    >>> tracer = fit_source_tracer(embeddings[:40], ["a"] * 20 + ["b"] * 20)
    >>> choose_systems(tracer, tracer.measure_similarities(embeddings[[1, 30, 50]]))
    ['a', 'b', 'none of these']
    """
    names, numbers, values = _check_reference(embeddings, systems, rejected)
    if n_neighbors < 1:
        raise InputError(f"the number of neighbors is {n_neighbors}; it must be at least 1")
    mean = values.mean(0)
    whiten = _whiten_within_systems(values - mean, numbers)
    directions = _to_directions(values, mean, whiten)
    groups = np.arange(len(values)) if clusters is None else number_clusters(clusters)
    best = []
    for start in range(0, len(values), CHUNK):
        rows = slice(start, start + CHUNK)
        cosines = directions[rows] @ directions.T
        cosines[groups[rows, None] == groups] = -np.inf
        best.append(_average_nearest(cosines, numbers, n_neighbors).max(1))
    known = np.concatenate(best)
    known = known[np.isfinite(known)]
    if not len(known):
        raise InputError("all utterances are of one speaker; use several, or cluster by nothing")
    threshold = float(np.quantile(known, rejected))
    return SourceTracer(
        directions, numbers, names, mean.astype(np.float32), whiten.astype(np.float32), n_neighbors, threshold
    )


def fit_source_classifier(
    embeddings: NDArray[np.floating],
    systems: Sequence[str],
    rejected: float = 0.05,
    clusters: ArrayLike | None = None,
    seed: int = 1234,
) -> SourceClassifier:
    """Train a classifier of spoofing systems on embeddings: a multinomial logistic regression with balanced classes.

    The embeddings are standardized for the fit. The threshold is the quantile ``rejected`` of the largest probability
    of each utterance in five-fold cross-validation.

    Arguments
    ---------
    embeddings, systems :
        As for :func:`fit_source_tracer`.
    rejected : float
        Fraction of recordings of known systems that may be rejected as ``none of these``, in [0, 1).
    clusters : array, optional
        Cluster of each utterance, such as its speaker: none is in two folds. By default utterances are independent.
    seed : int
        Of the folds.

    Raises
    ------
    InputError
        As :func:`fit_source_tracer`.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> embeddings = rng.normal(size=(40, 3)) + 20 * np.eye(3)[np.repeat([0, 1], 20)]
    >>> classifier = fit_source_classifier(embeddings, ["a"] * 20 + ["b"] * 20)
    >>> choose_systems(classifier, classifier.measure_similarities(embeddings[[1, 30]]))
    ['a', 'b']
    """
    from sklearn.model_selection import GroupKFold

    names, numbers, values = _check_reference(embeddings, systems, rejected)
    groups = np.arange(len(values)) if clusters is None else number_clusters(clusters)
    count = min(FOLDS, len(np.unique(groups)))
    if count < 2:
        raise InputError("all utterances are of one speaker; use several, or cluster by nothing")
    best = np.empty(len(values))
    for part, rest in GroupKFold(count, shuffle=True, random_state=seed).split(values, groups=groups):
        if len(np.unique(numbers[part])) < 2:
            raise InputError("a fold of the cross-validation lacks all but one system; use more speakers, or none")
        fold = _fit_classifier(values[part], numbers[part], names)
        best[rest] = fold.measure_similarities(values[rest]).max(1)
    return replace(_fit_classifier(values, numbers, names), threshold=float(np.quantile(best, rejected)))


def _fit_classifier(values: NDArray[np.float64], numbers: NDArray[np.intp], names: list[str]) -> SourceClassifier:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values)
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=200, tol=1e-4)
    regression.fit(scaler.transform(values), numbers)
    weight, bias = regression.coef_, regression.intercept_
    if len(weight) == 1:  # of the second of two systems
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scaler.scale_
    bias = bias - weight @ scaler.mean_
    return SourceClassifier(
        weight.astype(np.float32), bias.astype(np.float32), [names[number] for number in regression.classes_], 0.0
    )


def _check_reference(
    embeddings: NDArray[np.floating], systems: Sequence[str], rejected: float
) -> tuple[list[str], NDArray[np.intp], NDArray[np.float64]]:
    """Give the names of the systems, the index of each utterance's system, and its embedding."""
    names, numbers = np.unique(np.asarray(systems, dtype=object).astype(str), return_inverse=True)
    values = np.asarray(embeddings, dtype=np.float64)
    if len(names) < 2 or len(values) < 2 * len(names):
        raise InputError(
            f"{len(values)} utterances of {len(names)} systems are too few to trace; use at least two systems, with "
            "two utterances each on average"
        )
    if not np.isfinite(values).all():
        raise InputError("some embeddings have values that are not finite; score these utterances again, in fp32")
    if not 0 <= rejected < 1:
        raise InputError(f"the fraction of rejected recordings is {rejected}; it must be from 0 to below 1")
    return names.tolist(), numbers, values


def compute_tracing_metrics(
    true: Sequence[str], named: Sequence[str], similarities: NDArray[np.floating], systems: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Compute how well systems were traced.

    Arguments
    ---------
    true : sequence of str
        The system of each recording; systems outside the reference count as ``none of these``.
    named : sequence of str
        As :func:`choose_systems` returns them.
    similarities : array
        As ``measure_similarities`` of the tracer returns them.
    systems : sequence of str
        The systems of the reference.

    Returns
    -------
    table : pandas.DataFrame
        ``system``, ``recordings``, ``precision``, ``recall`` and ``f1`` of each system that occurs, as fractions;
        the last row is ``none of these``, if it occurs.
    summary : dict
        ``accuracy`` and ``f1_known``, the mean F1 over the reference's systems that occur; ``f1_unknown``, that of
        ``none of these``; ``auc_unknown``, the area under the ROC curve of the largest similarity as a detector of
        known systems. NaN where a kind does not occur.

    Example
    -------
    >>> true, named = ["a", "a", "b", "x"], ["a", "b", "b", NONE]
    >>> similarities = np.array([[0.9, 0.1], [0.4, 0.5], [0.2, 0.8], [0.1, 0.0]])
    >>> table, summary = compute_tracing_metrics(true, named, similarities, ["a", "b"])
    >>> table["system"].tolist(), table["recall"].tolist()
    (['a', 'b', 'none of these'], [0.5, 1.0, 1.0])
    >>> summary["accuracy"], summary["f1_unknown"], summary["auc_unknown"]
    (0.75, 1.0, 1.0)
    """
    from sklearn.metrics import precision_recall_fscore_support

    is_known = np.isin(np.asarray(true, dtype=object).astype(str), list(systems))
    truth = np.where(is_known, np.asarray(true, dtype=object), NONE).astype(str)
    labels = [*sorted(set(truth[is_known])), *([] if is_known.all() else [NONE])]
    precision, recall, f1, counts = precision_recall_fscore_support(truth, named, labels=labels, zero_division=0.0)
    table = pd.DataFrame({"system": labels, "recordings": counts, "precision": precision, "recall": recall, "f1": f1})
    has_both = is_known.any() and not is_known.all()
    best = similarities.max(1)
    summary = {
        "accuracy": float(np.mean(truth == np.asarray(named))),
        "f1_known": float(f1[: len(f1) - (not is_known.all())].mean()) if is_known.any() else np.nan,
        "f1_unknown": float(f1[-1]) if not is_known.all() else np.nan,
        "auc_unknown": float(roc_auc(sort_trials(best[is_known], best[~is_known]))) if has_both else np.nan,
    }
    return table, summary


def _whiten_within_systems(centered: NDArray[np.float64], numbers: NDArray[np.intp]) -> NDArray[np.float64]:
    from sklearn.covariance import LedoitWolf
    from sklearn.decomposition import PCA

    scales = centered.std(0)
    if not scales.any():
        raise InputError("all embeddings are equal; use different utterances, or check the detector")
    scales[scales <= 1e-6 * scales.max()] = np.inf  # constant: a factor of 0
    standard = centered / scales
    size = min(COMPONENTS, *standard.shape)
    components = PCA(size, svd_solver="full").fit(standard).components_.T
    reduced = standard @ components
    sums = np.zeros((numbers.max() + 1, size))
    np.add.at(sums, numbers, reduced)
    within = reduced - (sums / np.bincount(numbers)[:, None])[numbers]
    variances, axes = np.linalg.eigh(LedoitWolf(assume_centered=True).fit(within).covariance_)
    variances = np.maximum(variances, max(1e-8 * variances.max(), np.finfo(float).tiny))
    return (components @ axes) / np.sqrt(variances) / scales[:, None]


def _to_directions(
    embeddings: NDArray[np.floating], mean: NDArray[np.floating], whiten: NDArray[np.floating]
) -> NDArray[np.float32]:
    whitened = (np.asarray(embeddings, np.float64) - mean) @ whiten
    lengths = np.linalg.norm(whitened, axis=1, keepdims=True)
    return (whitened / np.maximum(lengths, 1e-12)).astype(np.float32)


def _average_nearest(cosines: NDArray[np.float32], numbers: NDArray[np.intp], n_neighbors: int) -> NDArray[np.float32]:
    """Average the largest cosines of each system; those of -inf are left out, and -inf where all are."""
    averages = np.empty((len(cosines), numbers.max() + 1), np.float32)
    for number in range(averages.shape[1]):
        own = cosines[:, numbers == number]
        count = min(n_neighbors, own.shape[1])
        largest = np.partition(own, -count, axis=1)[:, -count:]
        is_valid = np.isfinite(largest)
        counts = is_valid.sum(1)
        sums = np.where(is_valid, largest, 0).sum(1)
        averages[:, number] = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
    return averages
