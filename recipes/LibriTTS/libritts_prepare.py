#!/usr/bin/env python
"""LibriTTS: audio books, read by 2,456 speakers, at 24 kHz.

Zen, Dang, Clark, Zhang, Weiss, Jia, Chen, Wu: LibriTTS: A Corpus Derived from LibriSpeech for Text-to-Speech.
Interspeech 2019.

source      https://www.openslr.org/60
license     CC BY 4.0
languages   English
hours       585.8 real

LibriTTS/{train-clean-100,dev-clean,test-other, ...}/1462/170138/1462_170138_000007_000001.wav ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.corpora.walk import walk_layout

LAYOUT = "{subset:(train|dev|test)[^/]*}/{speaker}/{chapter}/{name}.wav"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def describe(subset: str, speaker: str, chapter: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {
        "ID": f"Libri-{name}",
        "Label": "real",
        "Speaker": speaker,
        "Proportion": translate(subset.partition("-")[0], SPLITS),
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their folders."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_libritts = partial(prepare_corpus, list_utterances, corpus_folder="LibriTTS")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_libritts(**vars(args)), args.output)


if __name__ == "__main__":
    run_program(main)
