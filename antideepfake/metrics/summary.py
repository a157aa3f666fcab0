"""All metrics of a detector in one call."""

from antideepfake.metrics.costs import act_dcf, cllr, min_cllr, min_dcf
from antideepfake.metrics.rates import (
    Array,
    Trials,
    decision_rates,
    equal_error_rate,
    error_rates,
    interpolated_equal_error_rate,
    roc_auc,
)


def compute_metrics(trials: Trials, threshold: float, ratios: Array | None = None) -> dict[str, Array]:
    """Compute all metrics that need only scores.

    Arguments
    ---------
    trials : Trials
        Scores of both classes.
    threshold : float
        Threshold of the decision; a score at or above it counts as real.
    ratios : array, optional
        Log-likelihood ratios of the scores, in the same order, for ``act_dcf`` and ``cllr``. By default the scores are
        used as log-likelihood ratios.

    Returns
    -------
    dict
        ``eer``, ``eer_threshold``, ``eer_interpolated``, ``roc_auc``, the metrics of :func:`decision_rates`,
        ``min_dcf``, ``act_dcf``, ``cllr`` and ``min_cllr``.

    Example
    -------
    >>> from antideepfake.metrics.rates import sort_trials
    >>> metrics = compute_metrics(sort_trials(real=[1.0, 2.0], fake=[-1.0, 1.5]), threshold=0.0)
    >>> float(metrics["eer"]), float(metrics["accuracy"])
    (0.5, 0.75)
    """
    ranking = compute_ranking_metrics(trials)
    calibrated = trials if ratios is None else trials._replace(scores=ratios)
    return {
        **{name: ranking[name] for name in ("eer", "eer_threshold", "eer_interpolated", "roc_auc")},
        **decision_rates(trials, threshold),
        "min_dcf": ranking["min_dcf"],
        "act_dcf": act_dcf(calibrated),
        "cllr": cllr(calibrated),
        "min_cllr": ranking["min_cllr"],
    }


def compute_ranking_metrics(trials: Trials) -> dict[str, Array]:
    """Compute the metrics that depend only on the order of the scores.

    Returns
    -------
    dict
        ``eer``, ``eer_threshold``, ``eer_interpolated``, ``roc_auc``, ``min_dcf`` and ``min_cllr``.

    Example
    -------
    >>> from antideepfake.metrics.rates import sort_trials
    >>> float(compute_ranking_metrics(sort_trials(real=[1.0, 2.0], fake=[-1.0, 1.5]))["roc_auc"])
    0.75
    """
    rates = error_rates(trials)
    eer, eer_threshold = equal_error_rate(rates)
    return {
        "eer": eer,
        "eer_threshold": eer_threshold,
        "eer_interpolated": interpolated_equal_error_rate(trials),
        "roc_auc": roc_auc(trials),
        "min_dcf": min_dcf(rates),
        "min_cllr": min_cllr(trials),
    }
