"""From the folder of a corpus to its protocol, and from many protocols to their union."""

from antideepfake.corpora.build import BuildReport, build_protocol, read_report
from antideepfake.corpora.lists import first_file, read_csv, read_list, translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.corpora.registry import Corpus, find_corpora, read_corpora, trace_sources
from antideepfake.corpora.union import MergeReport, format_merge, merge_protocols
from antideepfake.corpora.walk import find_audio, walk_audio, walk_layout

__all__ = [
    "BuildReport",
    "Corpus",
    "MergeReport",
    "build_protocol",
    "find_audio",
    "find_corpora",
    "first_file",
    "format_merge",
    "merge_protocols",
    "prepare_corpus",
    "prepare_parser",
    "read_corpora",
    "read_csv",
    "read_list",
    "read_report",
    "tell_report",
    "trace_sources",
    "translate",
    "walk_audio",
    "walk_layout",
]
