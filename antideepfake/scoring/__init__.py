"""Scoring, score files, metrics, calibration and reports."""

from antideepfake.scoring.calibration import FITS, fit_isotonic, fit_logistic, threshold_for
from antideepfake.scoring.evaluation import Evaluation, Evaluator, Group, System, split_generators
from antideepfake.scoring.metrics import (
    AsvScores,
    Trials,
    cllr,
    equal_error_rate,
    error_rates,
    measure,
    min_a_dcf,
    min_t_dcf,
    sort_trials,
)
from antideepfake.scoring.record import ScoreRecord, read_record
from antideepfake.scoring.resampling import Estimate, compare_systems, estimate
from antideepfake.scoring.score_file import ScoreWriter, read_asv_scores, read_scores
from antideepfake.scoring.scorer import score_protocol
from antideepfake.scoring.tables import format_evaluations

__all__ = [
    "FITS",
    "AsvScores",
    "Estimate",
    "Evaluation",
    "Evaluator",
    "Group",
    "ScoreRecord",
    "ScoreWriter",
    "System",
    "Trials",
    "cllr",
    "compare_systems",
    "equal_error_rate",
    "error_rates",
    "estimate",
    "fit_isotonic",
    "fit_logistic",
    "format_evaluations",
    "measure",
    "min_a_dcf",
    "min_t_dcf",
    "read_asv_scores",
    "read_record",
    "read_scores",
    "score_protocol",
    "sort_trials",
    "split_generators",
    "threshold_for",
]
