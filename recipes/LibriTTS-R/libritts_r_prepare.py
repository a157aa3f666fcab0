#!/usr/bin/env python
"""LibriTTS-R: LibriTTS, restored by a neural vocoder; all of it labeled fake.

Koizumi, Zen, Karita et al.: LibriTTS-R: A Restored Multi-Speaker Text-to-Speech Corpus. Interspeech 2023.

source      https://www.openslr.org/141
license     CC BY 4.0
languages   English
hours       583.2 fake

LibriTTS-R/{train-clean-100,dev-clean,test-other, ...}/166/122789/166_122789_000035_000001.wav ...
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
        "ID": f"Libri-R-{name}",
        "Label": "fake",
        "Speaker": speaker,
        "Proportion": translate(subset.partition("-")[0], SPLITS),
        "Language": "EN",
    }


prepare_libritts_r = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="LibriTTS-R"
)
main = partial(run_preparation, prepare_libritts_r, __doc__)

if __name__ == "__main__":
    run_program(main)
