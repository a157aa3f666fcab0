#!/usr/bin/env python
"""LibriTTS-Vocoded: LibriTTS, analyzed and resynthesized by several neural vocoders.

Ge, Wang, Liu, Yamagishi: Post-training for Deepfake Speech Detection. ASRU 2025.

source      not distributed; made from LibriTTS, see README.md
license     that of LibriTTS, CC BY 4.0
languages   English
hours       2345.1 fake

LibriTTS-Vocoded/{hifigan,hn_sinc_nsf, ...}/{train-clean-100, ...}/166/122789/166_122789_000035_000001.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "{vocoder}/{subset:(train|dev|test)[^/]*}/{speaker}/{chapter}/{name}.wav"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def describe(vocoder: str, subset: str, speaker: str, chapter: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {
        "ID": f"LibriTTS-Vo-{vocoder}-{name}",
        "Label": "fake",
        "Attack": vocoder,
        "Speaker": speaker,
        "Proportion": translate(subset.partition("-")[0], SPLITS),
        "Language": "EN",
    }


prepare_libritts_vocoded = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="LibriTTS-Vocoded"
)
main = partial(run_preparation, prepare_libritts_vocoded, __doc__)

if __name__ == "__main__":
    run_program(main)
