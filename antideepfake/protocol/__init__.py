"""The utterance table: schema, reading and writing, header probing, building."""

from antideepfake.protocol.build import BuildReport, build_protocol, find_audio, probe
from antideepfake.protocol.split import assign_splits
from antideepfake.protocol.table import (
    COLUMNS,
    LABELS,
    SPLITS,
    format_counts,
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
    "find_audio",
    "format_counts",
    "probe",
    "read_protocol",
    "relative_path",
    "resolve_path",
    "write_protocol",
]
