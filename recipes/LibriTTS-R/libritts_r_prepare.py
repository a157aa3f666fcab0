#!/usr/bin/env python
"""LibriTTS-R: LibriTTS, restored by a neural vocoder. All of it counts as fake.

Koizumi, Zen, Karita et al.: LibriTTS-R: A Restored Multi-Speaker Text-to-Speech Corpus. Interspeech 2023.

source      https://www.openslr.org/141
license     CC BY 4.0
languages   English
hours       583.2 fake

LibriTTS-R/{train-clean-100,dev-clean,test-other, ...}/166/122789/166_122789_000035_000001.wav ...
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
        "ID": f"Libri-R-{name}",
        "Label": "fake",
        "Speaker": speaker,
        "Proportion": translate(subset.partition("-")[0], SPLITS),
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their folders."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_libritts_r = partial(prepare_corpus, list_utterances, corpus_folder="LibriTTS-R")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_libritts_r(**vars(args)), args.output)


if __name__ == "__main__":
    run_program(main)
