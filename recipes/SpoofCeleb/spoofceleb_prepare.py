#!/usr/bin/env python
"""SpoofCeleb: VoxCeleb1, cleaned, and 23 text-to-speech systems that were trained on it.

Jung, Wu, Wang et al.: SpoofCeleb: Speech Deepfake Detection and SASV in the Wild. IEEE Open Journal of Signal
Processing 6, 2025.

source      https://huggingface.co/datasets/jungjee/spoofceleb
license     CC BY 4.0
languages   several, not given per file
hours       173.0 real, 1916.2 fake

SpoofCeleb/spoofceleb/
  metadata/{development,evaluation,train}.csv                                   file, speaker, attack
  flac/{development,evaluation,train}/a00/id10318/YYsxcZ5saac-00002-006.flac ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv
from antideepfake.corpora.prepare import prepare_corpus

SPLITS = {"development": "valid", "evaluation": "test", "train": "train"}


def describe(subset: str, file: str, speaker: str, attack: str) -> dict[str, str]:
    """Describe a line of a list, where the attack a00 is bona fide speech."""
    return {
        "ID": f"SpoofCeleb-{file.removesuffix('.flac')}",
        "Label": "real" if attack == "a00" else "fake",
        "Path": f"spoofceleb/flac/{subset}/{file}",
        "Attack": "-" if attack == "a00" else attack,
        "Speaker": speaker,
        "Proportion": SPLITS[subset],
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files in the order of the three lists."""
    for subset in SPLITS:
        path = corpus / f"spoofceleb/metadata/{subset}.csv"
        yield from read_csv(path, {"file": 0, "speaker": 1, "attack": 2}, partial(describe, subset))


prepare_spoofceleb = partial(prepare_corpus, list_utterances, corpus_folder="SpoofCeleb")
main = partial(run_preparation, prepare_spoofceleb, __doc__)

if __name__ == "__main__":
    run_program(main)
