"""The utterance table: schema, reading and writing, walking a corpus, header probing, building."""

from antideepfake.protocol.build import BuildReport, build_protocol, read_report
from antideepfake.protocol.lists import first_file, read_csv, read_list, translate
from antideepfake.protocol.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.protocol.probe import open_audio, probe
from antideepfake.protocol.split import assign_splits
from antideepfake.protocol.table import (
    COLUMNS,
    LABELS,
    SPLITS,
    count_utterances,
    divide_protocol,
    format_counts,
    format_totals,
    read_lines,
    read_protocol,
    relative_path,
    resolve_path,
    write_protocol,
)
from antideepfake.protocol.walk import find_audio, walk_audio, walk_layout

__all__ = [
    "COLUMNS",
    "LABELS",
    "SPLITS",
    "BuildReport",
    "assign_splits",
    "build_protocol",
    "count_utterances",
    "divide_protocol",
    "find_audio",
    "first_file",
    "format_counts",
    "format_totals",
    "open_audio",
    "prepare_corpus",
    "prepare_parser",
    "probe",
    "read_csv",
    "read_lines",
    "read_list",
    "read_protocol",
    "read_report",
    "relative_path",
    "resolve_path",
    "tell_report",
    "translate",
    "walk_audio",
    "walk_layout",
    "write_protocol",
]
