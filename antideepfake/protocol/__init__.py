"""Protocols, the tables of utterances: schema, reading, writing, splits, and segments of partially spoofed speech."""

from antideepfake.deprecated import moved_names
from antideepfake.protocol.segments import read_listed_segments, read_segments, segments_path, write_segments
from antideepfake.protocol.split import assign_splits
from antideepfake.protocol.table import (
    COLUMNS,
    LABELS,
    SPLITS,
    WEIGHT,
    count_utterances,
    format_counts,
    format_totals,
    iterate_protocol,
    read_lines,
    read_protocol,
    read_split,
    relative_path,
    resolve_path,
    split_protocol,
    text_encoding,
    write_chunks,
    write_protocol,
)

__all__ = [
    "COLUMNS",
    "LABELS",
    "SPLITS",
    "WEIGHT",
    "assign_splits",
    "count_utterances",
    "format_counts",
    "format_totals",
    "iterate_protocol",
    "read_lines",
    "read_listed_segments",
    "read_protocol",
    "read_segments",
    "read_split",
    "relative_path",
    "resolve_path",
    "segments_path",
    "split_protocol",
    "text_encoding",
    "write_chunks",
    "write_protocol",
    "write_segments",
]

__getattr__ = moved_names(__name__)
