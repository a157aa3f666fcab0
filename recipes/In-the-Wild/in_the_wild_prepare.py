#!/usr/bin/env python
"""In-the-Wild: clips of 58 politicians and other celebrities, real and generated, found on the web.

Müller, Czempin, Dieckmann, Froghyar, Böttinger: Does Audio Deepfake Detection Generalize? Interspeech 2022.

source      https://deepfake-total.com/in_the_wild
license     CC BY-SA 4.0
languages   English
hours       20.7 real, 17.2 fake

In-the-Wild/release_in_the_wild/
  meta.csv              file,speaker,label
  0.wav, 1.wav, ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv, translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report

PUBLISHED = {"-": {"real": 19963, "fake": 11816}}


def describe(file: str, speaker: str, label: str) -> dict[str, str]:
    """Describe a line of meta.csv."""
    return {
        "ID": f"ItW-{Path(file).stem}",
        "Label": translate(label, {"bona-fide": "real", "spoof": "fake"}),
        "Path": f"release_in_the_wild/{file}",
        "Speaker": speaker,
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the clips in the order of meta.csv."""
    columns = {"file": "file", "speaker": "speaker", "label": "label"}
    return read_csv(corpus / "release_in_the_wild/meta.csv", columns, describe)


prepare_in_the_wild = partial(prepare_corpus, list_utterances, corpus_folder="In-the-Wild")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_in_the_wild(**vars(args)), args.output, PUBLISHED)


if __name__ == "__main__":
    run_program(main)
