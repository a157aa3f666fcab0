"""What makes a test set unfit: leakage from training, and shortcuts that tell the classes apart."""

from antideepfake.audit.leakage import (
    Overlap,
    explain_held_out,
    explain_overlap,
    find_overlap,
    find_recordings,
    format_overlap,
)
from antideepfake.audit.shortcuts import find_shortcuts, format_shortcuts, measure_shortcuts

__all__ = [
    "Overlap",
    "explain_held_out",
    "explain_overlap",
    "find_overlap",
    "find_recordings",
    "find_shortcuts",
    "format_overlap",
    "format_shortcuts",
    "measure_shortcuts",
]
