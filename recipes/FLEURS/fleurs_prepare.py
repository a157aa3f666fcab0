#!/usr/bin/env python
"""FLEURS: sentences of FLORES-101, read in 102 languages.

Conneau, Ma, Khanuja, Zhang, Axelrod, Dalmia, Riesa, Rivera, Bapna: FLEURS: Few-shot Learning Evaluation of Universal
Representations of Speech. SLT 2022.

source      https://huggingface.co/datasets/google/fleurs
license     CC BY 4.0
languages   102
hours       1389.0 real

FLEURS/fleurs/data/ceb_ph/audio/{train,dev,test}/10587240206760547719.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "fleurs/data/{folder}/audio/{split:train|dev|test}/{name}.wav"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def describe(folder: str, split: str, name: str) -> dict[str, str]:
    """Describe a file. Its folder is language_region, such as yue_hant_hk; cmn_hans_cn is CN in IDs."""
    language = folder.rpartition("_")[0].upper()
    is_mandarin = folder == "cmn_hans_cn"
    return {
        "ID": f"FLEURS-{'CN' if is_mandarin else language}-{name}",
        "Label": "real",
        "Proportion": SPLITS[split],
        "Language": "ZH" if is_mandarin else language,
    }


prepare_fleurs = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="FLEURS")
main = partial(run_preparation, prepare_fleurs, __doc__)

if __name__ == "__main__":
    run_program(main)
