"""Scoring, score files, metrics and reports."""

from antideepfake.scoring.metrics import equal_error_rate, equal_error_rate_interval, error_curves
from antideepfake.scoring.report import format_generator_table, generator_table, plot_scores, split_by_generator
from antideepfake.scoring.score_file import ScoreWriter, read_scores
from antideepfake.scoring.scorer import score_protocol

__all__ = [
    "ScoreWriter",
    "equal_error_rate",
    "equal_error_rate_interval",
    "error_curves",
    "format_generator_table",
    "generator_table",
    "plot_scores",
    "read_scores",
    "score_protocol",
    "split_by_generator",
]
