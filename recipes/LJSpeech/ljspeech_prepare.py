#!/usr/bin/env python
"""LJSpeech: seven books of non-fiction, read by one woman.

Ito, Johnson: The LJ Speech Dataset. 2017.

source      https://keithito.com/LJ-Speech-Dataset
license     public domain
languages   English
hours       23.9 real

LJSpeech/LJSpeech-1.1/wavs/LJ018-0006.wav ...

The column Speaker has the book, LJ018, as in the published protocols.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.corpora.walk import walk_layout

PUBLISHED = {"-": {"real": 13100}}
LAYOUT = "LJSpeech-1.1/wavs/{book:[^/-]+}-{number}.wav"


def describe(book: str, number: str) -> dict[str, str]:
    """Describe a file."""
    return {"ID": f"LJ-{book}-{number}", "Label": "real", "Speaker": book, "Language": "EN"}


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their names."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_ljspeech = partial(prepare_corpus, list_utterances, corpus_folder="LJSpeech")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_ljspeech(**vars(args)), args.output, PUBLISHED)


if __name__ == "__main__":
    run_program(main)
