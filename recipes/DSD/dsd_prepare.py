#!/usr/bin/env python
"""DSD: speech from several corpora and its authors, spoofed by text-to-speech and voice conversion.

Doan, Dinh-Xuan, Ryu, Kim, Lee, Hong, Jung: Trident of Poseidon: A Generalized Approach for Detecting Deepfake Voices.
ACM CCS 2024.

source      https://zenodo.org/records/13788455
license     see its page
languages   English, Japanese, Korean
hours       101.0 real, 60.2 fake

DSD/
  DSD_corpus_v1.csv                     or the value of --protocol_file
  12MWKH0048_000026.wav ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv, translate
from antideepfake.corpora.prepare import prepare_corpus

COLUMNS = {
    "file": "Utterence name (file name)",
    "language": "Language",
    "speaker": "Speaker name",
    "label": "label",
    "model": "Model",
    "subset": "subset",
}
SPLITS = {"train": "train", "dev": "valid", "eval": "test"}
LANGUAGES = {"Korean": "KO", "English": "EN", "Japanese": "JA"}


def describe(file: str, language: str, speaker: str, label: str, model: str, subset: str) -> dict[str, str]:
    """Describe a line of the list."""
    key = file.removesuffix(".wav")
    return {
        "ID": f"DSD-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"{key}.wav",
        "Attack": "-" if label == "bonafide" else model,
        "Speaker": speaker,
        "Proportion": translate(subset, SPLITS),
        "Language": LANGUAGES.get(language, language),
    }


def list_utterances(corpus: Path, protocol_file: str | None = None) -> Iterator[Mapping[str, str]]:
    """List the files in the order of the list."""
    return read_csv(Path(protocol_file or corpus / "DSD_corpus_v1.csv"), COLUMNS, describe)


prepare_dsd = partial(prepare_corpus, list_utterances, corpus_folder="DSD")
main = partial(run_preparation, prepare_dsd, __doc__, protocol_file="the list, if it is not in the corpus's folder")

if __name__ == "__main__":
    run_program(main)
