"""Scoring of protocols, and score files."""

from antideepfake.deprecated import moved_names
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import ScoreWriter, read_asv_scores, read_scores
from antideepfake.scoring.scorer import score_protocol

__all__ = [
    "ScoreProvenance",
    "ScoreWriter",
    "read_asv_scores",
    "read_provenance",
    "read_scores",
    "score_protocol",
]

__getattr__ = moved_names(__name__)
