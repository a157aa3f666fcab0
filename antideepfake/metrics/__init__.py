"""Error rates, costs and their confidence intervals."""

from antideepfake.metrics.bootstrap import Comparison, Estimate, compare_systems, estimate
from antideepfake.metrics.costs import AsvScores, act_dcf, cllr, min_a_dcf, min_cllr, min_dcf, min_t_dcf
from antideepfake.metrics.localization import cut_segments, cut_time, fake_time_rates, localization_eer
from antideepfake.metrics.rates import (
    Rates,
    Trials,
    decision_rates,
    equal_error_rate,
    error_rates,
    roc_auc,
    sort_trials,
)
from antideepfake.metrics.summary import compute_metrics

__all__ = [
    "AsvScores",
    "Comparison",
    "Estimate",
    "Rates",
    "Trials",
    "act_dcf",
    "cllr",
    "compare_systems",
    "compute_metrics",
    "cut_segments",
    "cut_time",
    "decision_rates",
    "equal_error_rate",
    "error_rates",
    "estimate",
    "fake_time_rates",
    "localization_eer",
    "min_a_dcf",
    "min_cllr",
    "min_dcf",
    "min_t_dcf",
    "roc_auc",
    "sort_trials",
]
