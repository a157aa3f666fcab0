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

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import translate
from antideepfake.corpora.prepare import prepare_corpus
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


prepare_libritts = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="LibriTTS"
)
main = partial(run_preparation, prepare_libritts, __doc__)

if __name__ == "__main__":
    run_program(main)
