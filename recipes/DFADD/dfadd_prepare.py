#!/usr/bin/env python
"""DFADD: VCTK, and its voices cloned by five diffusion and flow-matching text-to-speech systems.

Du, Lin, Chiu et al.: DFADD: The Diffusion and Flow-Matching Based Audio Deepfake Dataset. SLT 2024.

source      https://github.com/isjwdu/DFADD
license     see its page
languages   English
hours       41.6 real, 66.0 fake

DFADD/
  DATASET_VCTK_BONAFIDE/{train,valid,test}/p345_251.flac ...
  DATASET_PflowTTS/{train,valid,test}/p345_251_pflow.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "{folder}/{split:train|valid|test}/{name}.{suffix:wav|flac}"


def describe(folder: str, split: str, name: str, suffix: str) -> dict[str, str]:
    """Describe a file."""
    is_real = "BONAFIDE" in folder
    return {
        "ID": f"DFADD-{folder}-{name}",
        "Label": "real" if is_real else "fake",
        "Attack": "-" if is_real else folder,
        "Speaker": name.partition("_")[0],
        "Proportion": split,
        "Language": "EN",
    }


prepare_dfadd = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="DFADD")
main = partial(run_preparation, prepare_dfadd, __doc__)

if __name__ == "__main__":
    run_program(main)
