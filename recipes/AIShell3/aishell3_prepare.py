#!/usr/bin/env python
"""AISHELL-3: Mandarin read by 218 speakers in a studio.

Shi, Bu, Xu, Zhang, Li: AISHELL-3: A Multi-Speaker Mandarin TTS Corpus. Interspeech 2021.

source      https://www.openslr.org/93
license     Apache 2.0
languages   Mandarin
hours       85.6 real

AIShell3/{train,test}/wav/SSB1567/SSB15670385.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

PUBLISHED = {"train": {"real": 63262}, "test": {"real": 24773}}
LAYOUT = "{split:train|test}/wav/{speaker}/{name}.wav"


def describe(split: str, speaker: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {
        "ID": f"AIShell3-{speaker}-{name}",
        "Label": "real",
        "Speaker": speaker,
        "Proportion": split,
        "Language": "ZH",
    }


prepare_aishell3 = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="AIShell3"
)
main = partial(run_preparation, prepare_aishell3, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
