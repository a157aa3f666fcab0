#!/usr/bin/env python
"""LJSpeech: seven books of non-fiction, read by one woman.

Ito, Johnson: The LJ Speech Dataset. 2017.

source      https://keithito.com/LJ-Speech-Dataset
license     public domain
languages   English
hours       23.9 real

LJSpeech/LJSpeech-1.1/wavs/LJ018-0006.wav ...

The column Speaker contains the book, LJ018, as in the published protocols.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

PUBLISHED = {"-": {"real": 13100}}
LAYOUT = "LJSpeech-1.1/wavs/{book:[^/-]+}-{number}.wav"


def describe(book: str, number: str) -> dict[str, str]:
    """Describe a file."""
    return {"ID": f"LJ-{book}-{number}", "Label": "real", "Speaker": book, "Language": "EN"}


prepare_ljspeech = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="LJSpeech"
)
main = partial(run_preparation, prepare_ljspeech, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
