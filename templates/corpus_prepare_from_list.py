#!/usr/bin/env python
"""FIXME_Corpus: FIXME whose speech, and what generated the rest, in one sentence.

FIXME Author, Author: Title. Venue 2026.

source      FIXME https://...
license     FIXME its name, or: as its page says
languages   FIXME English
hours       FIXME 1.0 real, 2.0 fake; or: not told

FIXME_Corpus/
  meta.csv              file,speaker,system,split
  train/some_tts/ann_0001.wav ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv, translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report

PUBLISHED = {"train": {"real": 1, "fake": 2}}  # FIXME what its authors count; if nothing, delete it
SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # FIXME the corpus's word -> train, valid, test


def describe(file: str, speaker: str, system: str, split: str) -> dict[str, str]:
    """Describe a line of the list."""
    is_real = system == "bonafide"  # FIXME and the rows below; CONTRIBUTING.md says what goes where
    return {
        "ID": f"FIXME_Corpus-{system}-{Path(file).stem}",
        "Label": "real" if is_real else "fake",
        "Path": file,
        "Attack": "-" if is_real else system,
        "Speaker": speaker,
        "Proportion": translate(split, SPLITS),
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files in the order of the list."""
    # FIXME the list, and its columns; read_list reads one without a header, whose columns are divided by blanks
    columns = {"file": "file", "speaker": "speaker", "system": "system", "split": "split"}
    return read_csv(corpus / "meta.csv", columns, describe)


prepare_fixme_corpus = partial(prepare_corpus, list_utterances, corpus_folder="FIXME_Corpus")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_fixme_corpus(**vars(args)), args.output, PUBLISHED)


if __name__ == "__main__":
    run_program(main)
