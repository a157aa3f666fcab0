#!/usr/bin/env python
"""ASVspoof 5, track 1: crowdsourced recordings, and 32 text-to-speech, voice conversion and adversarial attacks.

Wang, Delgado, Tak et al.: ASVspoof 5: Design, collection and validation of resources for spoofing, deepfake, and
adversarial attack detection using crowdsourced speech. Computer Speech & Language, 2026. arXiv 2502.08857.

source      https://zenodo.org/records/14498691
license     ODC-By 1.0
languages   English
hours       413.5 real, 1808.5 fake

ASVspoof5/
  ASVspoof5.{train,dev.track_1,eval.track_1}.tsv
  ASVspoof5_train/flac_T/T_0000000000.flac ...
  ASVspoof5_dev/flac_D/D_0000000001.flac ...
  ASVspoof5_eval/flac_E_eval/E_0000000000.flac ...

The folders dev and eval also contain speech for track 2, which is in none of these lists and is reported.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {
    "train": {"real": 18797, "fake": 163560},
    "valid": {"real": 31334, "fake": 109616},
    "test": {"real": 138688, "fake": 542086},
}
FOLDERS = {"T": "ASVspoof5_train/flac_T", "D": "ASVspoof5_dev/flac_D", "E": "ASVspoof5_eval/flac_E_eval"}
SPLITS = {"T": "train", "D": "valid", "E": "test"}


def describe(speaker: str, key: str, attack: str, label: str) -> dict[str, str]:
    """Describe a line of a list whose key reads T_..., D_... or E_..."""
    subset = key[:1]
    return {
        "ID": f"ASV5-{attack}-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"{translate(subset, FOLDERS)}/{key}.flac",
        "Attack": "-" if label == "bonafide" else attack,
        "Speaker": speaker,
        "Proportion": SPLITS[subset],
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the trials in the order of the three lists, which have no header and whose columns blanks separate."""
    for subset in ("dev.track_1", "eval.track_1", "train"):
        yield from read_list(corpus / f"ASVspoof5.{subset}.tsv", "speaker key - - - - - attack label", describe)


prepare_asvspoof5 = partial(prepare_corpus, list_utterances, corpus_folder="ASVspoof5")
main = partial(run_preparation, prepare_asvspoof5, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
