"""The utterance table: schema, reading and writing, walking a corpus, header probing, building."""

from antideepfake.protocol.build import BuildReport, build_protocol, read_report
from antideepfake.protocol.corpora import Corpus, read_corpora, tell_corpora, trace_sources
from antideepfake.protocol.lists import first_file, read_csv, read_list, translate
from antideepfake.protocol.merge import MergeReport, format_merge, merge_protocols
from antideepfake.protocol.overlap import (
    Overlap,
    explain_held_out,
    explain_overlap,
    find_overlap,
    find_recordings,
    format_overlap,
)
from antideepfake.protocol.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.protocol.probe import open_audio, probe
from antideepfake.protocol.split import assign_splits
from antideepfake.protocol.table import (
    COLUMNS,
    LABELS,
    SPLITS,
    WEIGHT,
    count_utterances,
    divide_protocol,
    format_counts,
    format_totals,
    iterate_protocol,
    read_lines,
    read_protocol,
    relative_path,
    resolve_path,
    text_encoding,
    write_parts,
    write_protocol,
)
from antideepfake.protocol.walk import find_audio, walk_audio, walk_layout

__all__ = [
    "COLUMNS",
    "LABELS",
    "SPLITS",
    "WEIGHT",
    "BuildReport",
    "Corpus",
    "MergeReport",
    "Overlap",
    "assign_splits",
    "build_protocol",
    "count_utterances",
    "divide_protocol",
    "explain_held_out",
    "explain_overlap",
    "find_audio",
    "find_overlap",
    "find_recordings",
    "first_file",
    "format_counts",
    "format_merge",
    "format_overlap",
    "format_totals",
    "iterate_protocol",
    "merge_protocols",
    "open_audio",
    "prepare_corpus",
    "prepare_parser",
    "probe",
    "read_corpora",
    "read_csv",
    "read_lines",
    "read_list",
    "read_protocol",
    "read_report",
    "relative_path",
    "resolve_path",
    "tell_corpora",
    "tell_report",
    "text_encoding",
    "trace_sources",
    "translate",
    "walk_audio",
    "walk_layout",
    "write_parts",
    "write_protocol",
]
