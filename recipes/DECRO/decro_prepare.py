#!/usr/bin/env python
"""DECRO: English and Mandarin speech from several corpora, and the output of the same generation methods.

Ba, Wen, Cheng, Wang, Lin, Lu, Liu: Transferring Audio Deepfake Detection Capability across Languages. WWW 2023.

source      https://zenodo.org/records/7603208
license     see its page
languages   English, Mandarin
hours       35.2 real, 102.4 fake

DECRO/petrichorwq-DECRO-dataset-6fc9884/
  {ch,en}_{dev,eval,train}.txt
  {ch,en}_{dev,eval,train}/20032123.wav ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus

FOLDER = "petrichorwq-DECRO-dataset-6fc9884"
PUBLISHED = {
    "train": {"real": 5129 + 9000, "fake": 17412 + 17850},
    "valid": {"real": 3049 + 6109, "fake": 10503 + 12015},
    "test": {"real": 4306 + 6109, "fake": 14884 + 12015},
}
SPLITS = {"train": "train", "dev": "valid", "eval": "test"}
LANGUAGES = {"ch": "ZH", "en": "EN"}


def describe(subset: str, speaker: str, key: str, attack: str, label: str) -> dict[str, str]:
    """Describe a line of a list, where the attack of bona fide speech is its source corpus."""
    language, _, split = subset.partition("_")
    return {
        "ID": f"DECRO-{SPLITS[split]}-{LANGUAGES[language]}-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"{FOLDER}/{subset}/{key}.wav",
        "Attack": "-" if label == "bonafide" else attack,
        "Speaker": speaker,
        "Proportion": SPLITS[split],
        "Language": LANGUAGES[language],
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files in the order of the six lists."""
    for subset in ("ch_dev", "ch_eval", "ch_train", "en_dev", "en_eval", "en_train"):
        path = corpus / FOLDER / f"{subset}.txt"
        yield from read_list(path, "speaker key - attack label", partial(describe, subset))


prepare_decro = partial(prepare_corpus, list_utterances, corpus_folder="DECRO")
main = partial(run_preparation, prepare_decro, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
