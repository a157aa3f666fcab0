#!/usr/bin/env python
"""In-the-Wild: bona fide and spoofed clips of 58 politicians and other celebrities, found on the web.

Müller, Czempin, Dieckmann, Froghyar, Böttinger: Does Audio Deepfake Detection Generalize? Interspeech 2022.

source      https://deepfake-total.com/in_the_wild
license     CC BY-SA 4.0
languages   English
hours       20.7 real, 17.2 fake

In-the-Wild/release_in_the_wild/
  meta.csv              file,speaker,label
  0.wav, 1.wav, ...
"""

from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {"-": {"real": 19963, "fake": 11816}}
COLUMNS = {"file": "file", "speaker": "speaker", "label": "label"}


def describe(file: str, speaker: str, label: str) -> dict[str, str]:
    """Describe a line of meta.csv."""
    return {
        "ID": f"ItW-{Path(file).stem}",
        "Label": translate(label, {"bona-fide": "real", "spoof": "fake"}),
        "Path": f"release_in_the_wild/{file}",
        "Speaker": speaker,
        "Language": "EN",
    }


prepare_in_the_wild = partial(
    prepare_corpus,
    lambda corpus: read_csv(corpus / "release_in_the_wild/meta.csv", COLUMNS, describe),
    corpus_folder="In-the-Wild",
)
main = partial(run_preparation, prepare_in_the_wild, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
