#!/usr/bin/env python
"""Multilingual LibriSpeech: audio books in eight languages.

Pratap, Xu, Sriram, Synnaeve, Collobert: MLS: A Large-Scale Multilingual Dataset for Speech Research. Interspeech 2020.

source      https://www.openslr.org/94, the archives in flac
license     CC BY 4.0
languages   Dutch, English, French, German, Italian, Polish, Portuguese, Spanish
hours       50558.1 real

MLS/mls_dutch/{train,dev,test}/audio/1595/5616/1595_5616_000325.flac ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "mls_{language}/{split:train|dev|test}/audio/{speaker}/{book}/{name}.flac"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}
LANGUAGES = {
    "dutch": "NL",
    "english": "EN",
    "french": "FR",
    "german": "DE",
    "italian": "IT",
    "polish": "PL",
    "portuguese": "PT",
    "spanish": "ES",
}


def describe(language: str, split: str, speaker: str, book: str, name: str) -> dict[str, str]:
    """Describe a file."""
    code = translate(language, LANGUAGES)
    return {
        "ID": f"MLS-{code}-{name}",
        "Label": "real",
        "Speaker": speaker,
        "Proportion": SPLITS[split],
        "Language": code,
    }


prepare_mls = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="MLS")
main = partial(run_preparation, prepare_mls, __doc__)

if __name__ == "__main__":
    run_program(main)
