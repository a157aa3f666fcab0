#!/usr/bin/env python
"""Codecfake of Xie et al.: LibriTTS, VCTK and AISHELL-3, and the same resynthesized by seven neural codecs.

Xie, Lu, Fu et al.: The Codecfake Dataset and Countermeasures for the Universally Detection of Deepfake Audio. IEEE
Transactions on Audio, Speech and Language Processing, 2025. arXiv 2405.04880.

source      https://github.com/xieyuankun/Codecfake, which lists the archives
license     CC BY-NC-ND 4.0
languages   English, Mandarin; not given per file
hours       129.7 real, 808.3 fake

Codecfake/
  label/{train,dev,C7}.txt
  {train,dev,C7}/F01_SSB13650058.wav ...        moved up from the folders of the archives

Of the test conditions only C7, the codec unseen in training, is used. Not to be confused with CodecFake-Wu.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {"train": {"real": 105821, "fake": 634926}, "valid": {"real": 13228, "fake": 79368}}
SPLITS = {"train": "train", "dev": "valid", "C7": "test"}
ATTACKS = {str(number): f"F0{number}" for number in range(1, 8)}


def describe(subset: str, file: str, label: str, number: str) -> dict[str, str]:
    """Describe a line of a list, whose last column is the number of the codec, 0 for bona fide speech."""
    return {
        "ID": f"Codecf-{file.removesuffix('.wav')}",
        "Label": translate(label, {"real": "real", "fake": "fake"}),
        "Path": f"{subset}/{file}",
        "Attack": ATTACKS.get(number, "-"),
        "Proportion": SPLITS[subset],
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files in the order of the three lists."""
    for subset in SPLITS:
        yield from read_list(corpus / f"label/{subset}.txt", "file label number", partial(describe, subset))


prepare_codecfake_xie = partial(prepare_corpus, list_utterances, corpus_folder="Codecfake")
main = partial(run_preparation, prepare_codecfake_xie, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
