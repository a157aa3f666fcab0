#!/usr/bin/env python
"""A small part of ASVspoof 2019, logical access, to try programs on.

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

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report

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


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the trials in the order of the list."""
    return read_list(corpus / "protocol.txt", "speaker key - attack label", describe)


prepare_toy_example = partial(prepare_corpus, list_utterances, corpus_folder="toy_example")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_toy_example(**vars(args)), args.output, PUBLISHED)


if __name__ == "__main__":
    run_program(main)
