#!/usr/bin/env python
"""CN-Celeb2: Mandarin of 2,000 celebrities in eleven genres, from the web.

Li, Liu, Kang, Fan, Cui, Cai, Vipperla, Zheng, Wang: CN-Celeb: Multi-genre speaker recognition. Speech Communication
137, 2022.

source      https://www.openslr.org/82, files cn-celeb2_v2
license     CC BY-SA 4.0
languages   Mandarin
hours       1084.3 real

CNCeleb2/CN-Celeb2_flac/data/id10936/recitation-02-028.flac ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.corpora.walk import walk_layout

LAYOUT = "CN-Celeb2_flac/data/{speaker}/{name}.flac"


def describe(speaker: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {"ID": f"CNCeleb2-{speaker}-{name}", "Label": "real", "Speaker": speaker, "Language": "ZH"}


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their folders."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_cnceleb2 = partial(prepare_corpus, list_utterances, corpus_folder="CNCeleb2")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_cnceleb2(**vars(args)), args.output)


if __name__ == "__main__":
    run_program(main)
