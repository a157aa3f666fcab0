#!/usr/bin/env python
"""FIXME_Corpus: FIXME whose speech, and which systems spoofed it, in one sentence.

FIXME Author, Author: Title. Venue 2026.

source      FIXME https://...
license     FIXME its name, or: see its page
languages   FIXME English
hours       FIXME 1.0 real, 2.0 fake; or: unknown

FIXME_Corpus/
  meta.csv              file,speaker,system,split
  train/some_tts/ann_0001.wav ...
"""

from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv, translate
from antideepfake.corpora.prepare import prepare_corpus

PUBLISHED = {"train": {"real": 1, "fake": 2}}  # FIXME counts by its authors; without any, delete this and its use below
COLUMNS = {"file": "file", "speaker": "speaker", "system": "system", "split": "split"}  # FIXME our name -> the list's
SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # FIXME the corpus's word -> train, valid, test


def describe(file: str, speaker: str, system: str, split: str) -> dict[str, str]:
    """Describe a line of the list."""
    is_real = system == "bonafide"  # FIXME this and the columns below; see CONTRIBUTING.md
    return {
        "ID": f"FIXME_Corpus-{system}-{Path(file).stem}",
        "Label": "real" if is_real else "fake",
        "Path": file,
        "Attack": "-" if is_real else system,
        "Speaker": speaker,
        "Proportion": translate(split, SPLITS),
        "Language": "EN",
    }


# FIXME the list; read_list is for lists without a header whose columns are separated by blanks
prepare_fixme_corpus = partial(
    prepare_corpus, lambda corpus: read_csv(corpus / "meta.csv", COLUMNS, describe), corpus_folder="FIXME_Corpus"
)
main = partial(run_preparation, prepare_fixme_corpus, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
