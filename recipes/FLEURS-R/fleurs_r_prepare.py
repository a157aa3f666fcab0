#!/usr/bin/env python
"""FLEURS-R: FLEURS, restored by a neural vocoder; all of it labeled fake.

Ma, Koizumi, Karita et al.: FLEURS-R: A Restored Multilingual Speech Corpus for Generation Tasks. Interspeech 2024.

source      https://huggingface.co/datasets/google/fleurs-r
license     CC BY 4.0
languages   102
hours       1238.8 fake

FLEURS/fleurs-r/data/ceb_ph/audio/{train,dev,test}/10587240206760547719.wav ...

It is in the folder of FLEURS.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "fleurs-r/data/{folder}/audio/{split:train|dev|test}/{name}.wav"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def describe(folder: str, split: str, name: str) -> dict[str, str]:
    """Describe a file. Its folder is language_region, such as yue_hant_hk; cmn_hans_cn is CN in IDs."""
    language = folder.rpartition("_")[0].upper()
    is_mandarin = folder == "cmn_hans_cn"
    return {
        "ID": f"FLEURS-R-{'CN' if is_mandarin else language}-{name}",
        "Label": "fake",
        "Proportion": SPLITS[split],
        "Language": "ZH" if is_mandarin else language,
    }


prepare_fleurs_r = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="FLEURS")
main = partial(run_preparation, prepare_fleurs_r, __doc__)

if __name__ == "__main__":
    run_program(main)
