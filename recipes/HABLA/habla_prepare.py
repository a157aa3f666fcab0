#!/usr/bin/env python
"""HABLA: Spanish from five countries of Latin America, recorded by volunteers, and spoofed by several systems.

Tamayo Flórez, Manrique, Pereira Nunes: HABLA: A Dataset of Latin American Spanish Accents for Voice Anti-spoofing.
Interspeech 2023.

source      https://zenodo.org/records/7370805
license     see its page
languages   Spanish
hours       35.6 real, 87.8 fake

HABLA/FinalDataset_16khz/
  Real/<country>/<speaker>/clf_07508_00799857148.wav ...
  {CycleGAN,Diff, ...}/<country>-<country>/<speaker>-<speaker>/vem_02484_00993837010-arm_01523_020267.wav ...

IDs do not distinguish the systems: of two files with one ID, the second gets a suffix.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "FinalDataset_16khz/{system}/{country}/{speaker}/{name}.wav"


def describe(system: str, country: str, speaker: str, name: str) -> dict[str, str]:
    """Describe a file. The speaker of converted speech is a pair: source and target."""
    label = "real" if "Real" in system else "fake"
    return {
        "ID": f"HABLA-{label}-{name}",
        "Label": label,
        "Attack": "-" if label == "real" else system,
        "Speaker": speaker,
        "Language": "ES",
    }


prepare_habla = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="HABLA")
main = partial(run_preparation, prepare_habla, __doc__)

if __name__ == "__main__":
    run_program(main)
