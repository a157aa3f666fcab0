"""Checks of test sets: leakage from the training data, and shortcuts that separate the classes."""

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
