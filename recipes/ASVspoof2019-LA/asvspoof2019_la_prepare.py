#!/usr/bin/env python
"""ASVspoof 2019, logical access: utterances of VCTK, and 19 text-to-speech and voice conversion systems.

Wang, Yamagishi, Todisco et al.: ASVspoof 2019: A large-scale public database of synthesized, converted and replayed
speech. Computer Speech & Language 64, 2020.

source      https://datashare.ed.ac.uk/handle/10283/3336, file LA.zip
license     ODC-By 1.0
languages   English
hours       11.9 real, 97.8 fake

ASVspoof2019-LA/LA/
  ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{train.trn,dev.trl,eval.trl}.txt
  ASVspoof2019_LA_{train,dev,eval}/flac/LA_T_1000137.flac ...

The folders dev and eval also contain enrollment speech for speaker verification, which is in none of the lists and is
reported.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {
    "train": {"real": 2580, "fake": 22800},
    "valid": {"real": 2548, "fake": 22296},
    "test": {"real": 7355, "fake": 63882},
}
FOLDERS = {"T": "train", "D": "dev", "E": "eval"}
SPLITS = {"T": "train", "D": "valid", "E": "test"}


def describe(speaker: str, key: str, attack: str, label: str) -> dict[str, str]:
    """Describe a line of a list whose key reads LA_T_..., LA_D_... or LA_E_..."""
    subset = key[3:4]
    return {
        "ID": f"ASV19LA-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"LA/ASVspoof2019_LA_{translate(subset, FOLDERS)}/flac/{key}.flac",
        "Attack": attack,
        "Speaker": speaker,
        "Proportion": SPLITS[subset],
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the trials in the order of the three lists."""
    for subset in ("train.trn", "dev.trl", "eval.trl"):
        path = corpus / f"LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{subset}.txt"
        yield from read_list(path, "speaker key - attack label", describe)


prepare_asvspoof2019_la = partial(prepare_corpus, list_utterances, corpus_folder="ASVspoof2019-LA")
main = partial(run_preparation, prepare_asvspoof2019_la, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
