#!/usr/bin/env python
"""A small part of ASVspoof 2019, logical access, for trying out programs.

Wang, Yamagishi, Todisco et al.: ASVspoof 2019: A large-scale public database of synthesized, converted and replayed
speech. Computer Speech & Language 64, 2020.

source      https://zenodo.org/records/7497769
license     ODC-By 1.0, as of ASVspoof 2019
languages   English
hours       0.3

toy_example/
  protocol.txt
  train_dev/LA_T_7529623.wav ...
  eval/LA_E_2834763.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {
    "train": {"real": 11, "fake": 89},
    "valid": {"real": 4, "fake": 46},
    "test": {"real": 16, "fake": 134},
}
FOLDERS = {"T": "train_dev", "D": "train_dev", "E": "eval"}
SPLITS = {"T": "train", "D": "valid", "E": "test"}


def describe(speaker: str, key: str, attack: str, label: str) -> dict[str, str]:
    """Describe a line of the list, whose key reads LA_T_..., LA_D_... or LA_E_..."""
    subset = key[3:4]
    return {
        "ID": f"ASV19LAdemo-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"{translate(subset, FOLDERS)}/{key}.wav",
        "Attack": attack,
        "Speaker": speaker,
        "Proportion": SPLITS[subset],
        "Language": "EN",
    }


prepare_toy_example = partial(
    prepare_corpus,
    lambda corpus: read_list(corpus / "protocol.txt", "speaker key - attack label", describe),
    corpus_folder="toy_example",
)
main = partial(run_preparation, prepare_toy_example, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
