"""The utterance table: schema, reading and writing, header probing, building."""

from antideepfake.protocol.build import BuildReport, build_protocol, read_report
from antideepfake.protocol.probe import find_audio, open_audio, probe
from antideepfake.protocol.shortcuts import find_shortcuts, format_shortcuts, measure_shortcuts
from antideepfake.protocol.split import assign_splits
from antideepfake.protocol.table import (
    COLUMNS,
    LABELS,
    SPLITS,
    divide_protocol,
    format_counts,
    read_lines,
    read_protocol,
    relative_path,
    resolve_path,
    write_protocol,
)

__all__ = [
    "COLUMNS",
    "LABELS",
    "SPLITS",
    "BuildReport",
    "assign_splits",
    "build_protocol",
    "divide_protocol",
    "find_audio",
    "find_shortcuts",
    "format_counts",
    "format_shortcuts",
    "measure_shortcuts",
    "open_audio",
    "probe",
    "read_lines",
    "read_protocol",
    "read_report",
    "relative_path",
    "resolve_path",
    "write_protocol",
]
