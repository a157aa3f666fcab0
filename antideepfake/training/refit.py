"""Refit the linear classifier of a detector on embeddings of labeled recordings, in seconds."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from antideepfake import __version__
from antideepfake.checkpoints.loading import fetch_folder
from antideepfake.corpora.registry import find_corpora, read_corpora
from antideepfake.errors import InputError
from antideepfake.inference.detector import Detector
from antideepfake.metrics.bootstrap import number_clusters
from antideepfake.metrics.costs import cllr
from antideepfake.metrics.rates import sort_trials
from antideepfake.metrics.summary import compute_metrics
from antideepfake.model_folder.calibration import Logistic, fit_logistic, threshold_for
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.license import combine_licenses
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import OOD_DETECTOR
from antideepfake.model_folder.validation_scores import describe_scores
from antideepfake.resources import find_resource
from antideepfake.scoring.provenance import ScoreProvenance

FOLDS = 5  # of the cross-validation
STRENGTHS = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0)
LEAST = 10  # utterances of each class
HALVES = np.array([-0.5, 0.5])  # of a score, in the logits of fake and real


@dataclass(frozen=True)
class LinearFit:
    """A linear classifier fitted to embeddings and calibrated.

    Arguments
    ---------
    weight : array
        Of the logits of fake and real, shape [2, dimensions].
    bias : array
        Shape [2].
    strength : float
        The chosen inverse regularization strength C.
    scores : array
        Calibrated score of each utterance, from a fit without its fold; shape [utterances].
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    strength: float
    scores: NDArray[np.float64]


def fit_classifier(
    embeddings: NDArray[np.floating],
    is_real: NDArray[np.bool_],
    clusters: ArrayLike | None = None,
    seed: int = 1234,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearFit:
    """Fit a logistic regression with balanced classes to standardized embeddings, and cross-validate it in five folds.

    The regularization is that of the least log-likelihood-ratio cost in the cross-validation, after a logistic
    calibration of its scores, which the classifier then contains. Without the calibration, the cost would choose a
    regularization that is too strong: in high dimensions the best classifier is overconfident.

    Arguments
    ---------
    embeddings : array
        Shape [utterances, dimensions].
    is_real : array of bool
        True for bona fide utterances; shape [utterances].
    clusters : array, optional
        Cluster of each utterance, such as its speaker: none is in two folds. An unknown value, ``-``, is a cluster of
        its own. By default utterances are independent.
    seed : int
        Of the folds.
    strengths : sequence of float
        Inverse regularization strengths C to choose from, on standardized embeddings.

    Returns
    -------
    LinearFit
        The fit to all utterances.

    Raises
    ------
    InputError
        When a class has fewer than ten utterances or fewer than two clusters, or a value is not finite.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> is_real = np.arange(100) % 2 == 0
    >>> fit = fit_classifier(rng.standard_normal((100, 4)) + 2 * is_real[:, None], is_real)
    >>> bool(fit.scores[is_real].min() > fit.scores[~is_real].mean())
    True
    """
    from sklearn.model_selection import StratifiedGroupKFold

    values = np.asarray(embeddings, dtype=np.float64)
    groups = np.arange(len(values)) if clusters is None else number_clusters(clusters)
    for name, members in (("real", is_real), ("fake", ~is_real)):
        if members.sum() < LEAST:
            raise InputError(
                f"{members.sum()} {name} utterances are too few; use at least {LEAST}, preferably hundreds"
            )
        if len(np.unique(groups[members])) < 2:
            raise InputError(f"all {name} utterances are of one speaker or source; use several")
    if not np.isfinite(values).all():
        raise InputError("some embeddings have values that are not finite; score these utterances again, in fp32")
    count = min(FOLDS, *(len(np.unique(groups[members])) for members in (is_real, ~is_real)))
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    splits = list(folds.split(values, is_real, groups))
    if not all(0 < is_real[part].sum() < len(part) for part, _ in splits):
        raise InputError("no cross-validation has both classes in every fold; use more speakers or sources")

    candidates = []
    for strength in strengths:
        scores = np.empty(len(values))
        for part, rest in splits:
            weight, bias = fit_logistic_regression(values[part], is_real[part], strength)
            fake, real = weight @ values[rest].T + bias[:, None]
            scores[rest] = real - fake
        calibration = fit_logistic(scores[is_real], scores[~is_real])
        if calibration.weights[0] <= 0:  # worse than chance; a calibration must not turn the classifier around
            calibration = Logistic([1.0], 0.0)
        scores = calibration(scores)
        candidates.append((float(cllr(sort_trials(scores[is_real], scores[~is_real]))), strength, calibration, scores))
    _, strength, calibration, scores = min(candidates, key=lambda candidate: candidate[0])
    weight, bias = fit_logistic_regression(values, is_real, strength)
    scale = calibration.weights[0]
    return LinearFit(scale * weight, scale * bias + calibration.offset * HALVES, strength, scores)


def fit_logistic_regression(
    embeddings: NDArray[np.float64], is_real: NDArray[np.bool_], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a logistic regression with balanced classes to standardized embeddings.

    Arguments
    ---------
    embeddings : array
        Finite; shape [utterances, dimensions].
    is_real : array of bool
        Shape [utterances]; has both values.
    strength : float
        Inverse regularization strength C, on standardized embeddings.

    Returns
    -------
    weight, bias : array
        Of the logits of fake and real, shape [2, dimensions] and [2], for embeddings that are not standardized. The
        logit of real minus that of fake is a log-likelihood ratio.

    Example
    -------
    >>> weight, bias = fit_logistic_regression(np.array([[1.0], [2.0], [3.0], [4.0]]), np.arange(4) > 1, 1.0)
    >>> bool(weight[1] > 0 > weight[0]), np.abs(weight @ [2.5] + bias).max() < 1e-6
    (True, np.True_)
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(embeddings)
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=500, tol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # with hardly any regularization it takes long
        regression.fit(scaler.transform(embeddings), is_real)
    weight = np.outer(HALVES, regression.coef_[0] / scaler.scale_)
    return weight, HALVES * regression.intercept_[0] - weight @ scaler.mean_


def require_linear(detector: Detector) -> torch.nn.Linear:
    """Return the classifier of a detector.

    Raises
    ------
    InputError
        When it is not linear.
    """
    classifier: Any = detector.mods["classifier"]
    if type(classifier) is not torch.nn.Linear or classifier.bias is None:
        raise InputError(
            f"the classifier is {classifier}; only a torch.nn.Linear with a bias can be refit, so train this model"
        )
    return classifier


def write_refit(
    folder: str | os.PathLike,
    source: str | os.PathLike,
    detector: Detector,
    fit: LinearFit,
    table: pd.DataFrame,
    column: str | None,
    scores: str | os.PathLike,
    record: ScoreProvenance | None,
) -> ModelMetadata:
    """Write a detector with a new classifier as a model folder.

    Arguments
    ---------
    folder : str or Path
        Output folder.
    source : str or Path
        Folder or Hub id of the detector.
    detector : Detector
        The detector; changed in place.
    fit : LinearFit
        The new classifier.
    table : pandas.DataFrame
        The score file: the utterances of the fit.
    column : str, optional
        Column of the clusters of the fit.
    scores : str or Path
        Name of the score file.
    record : ScoreProvenance, optional
        Provenance of the score file.

    Returns
    -------
    ModelMetadata
        Of the new folder.
    """
    is_real = (table["Label"] == "real").to_numpy()
    real, fake = fit.scores[is_real], fit.scores[~is_real]
    threshold, chosen = threshold_for(real, fake)
    rates = compute_metrics(sort_trials(real, fake), threshold)
    corpora = find_corpora(table["ID"], read_corpora(find_resource("recipes"))).categories.tolist()
    attacks = set(table["Attack"][~is_real]) - {"-", ""} if "Attack" in table else set()
    splits = sorted(set(table["Proportion"]) - {"-", ""}) if "Proportion" in table else []
    old = detector.metadata
    digest = detector.weights_digest().split()[0]
    new_corpora = [name for name in corpora if name not in old.training_corpora]
    counts = f"{len(real)} real, {len(fake)} fake"
    independent = f"no {column} in two folds" if column else "utterances independent"
    metadata = ModelMetadata(
        threshold=threshold,
        threshold_source=f"{chosen} (cross-validation on {Path(scores).name}: {counts}; {independent})",
        threshold_errors={name: float(rates[name]) for name in ("eer", "fnr", "fpr")}
        | {"real": len(real), "fake": len(fake)},
        validation_scores=describe_scores(real, fake),
        training_corpora=[*old.training_corpora, *new_corpora],
        training_attacks=sorted({*old.training_attacks, *attacks}),
        training_protocols=[
            *old.training_protocols,
            *(
                {
                    "name": Path(scores).name,
                    "sha256": protocol,
                    "corpora": new_corpora,
                    "splits": splits,
                    "utterances": len(table),
                }
                for protocol in (record.protocols if record else [])
            ),
        ],
        provenance=f"{old.provenance or 'unknown model'}; classifier refit with antideepfake {__version__} on {counts} "
        f"utterances ({Path(scores).name}), from the weights {digest}",
        license=combine_licenses({Path(source).name: old.license, ", ".join(corpora): ""}),
        windows=old.windows,
    )
    classifier = require_linear(detector)
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(fit.weight))
        classifier.bias.copy_(torch.from_numpy(fit.bias))
    settings = (fetch_folder(source, ("hyperparams.yaml",)) / "hyperparams.yaml").read_text(encoding="utf-8")
    write_model_folder(folder, settings, detector.mods, metadata)
    if detector.ood_detector:  # the embeddings are the same
        detector.ood_detector.save(Path(folder, OOD_DETECTOR))
    return metadata
