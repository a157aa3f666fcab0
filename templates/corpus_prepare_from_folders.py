#!/usr/bin/env python
"""FIXME_Corpus: FIXME whose speech, and which systems spoofed it, in one sentence.

FIXME Author, Author: Title. Venue 2026.

source      FIXME https://...
license     FIXME its name, or: see its page
languages   FIXME English
hours       FIXME 1.0 real, 2.0 fake; or: unknown

FIXME_Corpus/{train,dev,test}/{bonafide,some_tts, ...}/ann_0001.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

PUBLISHED = {"train": {"real": 1, "fake": 2}}  # FIXME counts by its authors; without any, delete this and its use below
LAYOUT = "{split:train|dev|test}/{system}/{name}.wav"  # FIXME where the files are
SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # FIXME the corpus's word -> train, valid, test


def describe(split: str, system: str, name: str) -> dict[str, str]:
    """Describe a file."""
    is_real = system == "bonafide"  # FIXME this and the columns below; see CONTRIBUTING.md
    return {
        "ID": f"FIXME_Corpus-{system}-{name}",
        "Label": "real" if is_real else "fake",
        "Attack": "-" if is_real else system,
        "Speaker": name.partition("_")[0],
        "Proportion": SPLITS[split],
        "Language": "EN",
    }


prepare_fixme_corpus = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="FIXME_Corpus"
)
main = partial(run_preparation, prepare_fixme_corpus, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
