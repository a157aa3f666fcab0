#!/usr/bin/env python
"""HABLA: Spanish of five countries of Latin America, recorded by volunteers, and several ways of generating it.

Tamayo Flórez, Manrique, Pereira Nunes: HABLA: A Dataset of Latin American Spanish Accents for Voice Anti-spoofing.
Interspeech 2023.

source      https://zenodo.org/records/7370805
license     as its page says
languages   Spanish
hours       35.6 real, 87.8 fake

HABLA/FinalDataset_16khz/
  Real/<country>/<speaker>/clf_07508_00799857148.wav ...
  {CycleGAN,Diff, ...}/<country>-<country>/<speaker>-<speaker>/vem_02484_00993837010-arm_01523_020267.wav ...

Identifiers do not tell one system from another: of two files with one identifier, the second gets what differs.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.corpora.walk import walk_layout

LAYOUT = "FinalDataset_16khz/{system}/{country}/{speaker}/{name}.wav"


def describe(system: str, country: str, speaker: str, name: str) -> dict[str, str]:
    """Describe a file. The speaker of converted speech is a pair, from whom to whom."""
    label = "real" if "Real" in system else "fake"
    return {
        "ID": f"HABLA-{label}-{name}",
        "Label": label,
        "Attack": "-" if label == "real" else system,
        "Speaker": speaker,
        "Language": "ES",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their folders."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_habla = partial(prepare_corpus, list_utterances, corpus_folder="HABLA")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_habla(**vars(args)), args.output)


if __name__ == "__main__":
    run_program(main)
