"""Evaluation of score files: metrics, tables, plots and reports. This package does not import torch."""

from antideepfake.evaluation.drift import Drift, measure_drift
from antideepfake.evaluation.evaluator import Evaluation, Evaluator, Group, System, group_by_seen_attacks
from antideepfake.evaluation.report import write_report
from antideepfake.evaluation.tables import format_evaluations

__all__ = [
    "Drift",
    "Evaluation",
    "Evaluator",
    "Group",
    "System",
    "format_evaluations",
    "group_by_seen_attacks",
    "measure_drift",
    "write_report",
]
