#!/usr/bin/env python
"""FIXME_Corpus: FIXME whose speech, and what generated the rest, in one sentence.

FIXME Author, Author: Title. Venue 2026.

source      FIXME https://...
license     FIXME its name, or: as its page says
languages   FIXME English
hours       FIXME 1.0 real, 2.0 fake; or: not told

FIXME_Corpus/{train,dev,test}/{bonafide,some_tts, ...}/ann_0001.wav ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.corpora.walk import walk_layout

PUBLISHED = {"train": {"real": 1, "fake": 2}}  # FIXME what its authors count; if nothing, delete it
LAYOUT = "{split:train|dev|test}/{system}/{name}.wav"  # FIXME where a file stands
SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # FIXME the corpus's word -> train, valid, test


def describe(split: str, system: str, name: str) -> dict[str, str]:
    """Describe a file."""
    is_real = system == "bonafide"  # FIXME and the rows below; CONTRIBUTING.md says what goes where
    return {
        "ID": f"FIXME_Corpus-{system}-{name}",
        "Label": "real" if is_real else "fake",
        "Attack": "-" if is_real else system,
        "Speaker": name.partition("_")[0],
        "Proportion": SPLITS[split],
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their folders."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_fixme_corpus = partial(prepare_corpus, list_utterances, corpus_folder="FIXME_Corpus")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_fixme_corpus(**vars(args)), args.output, PUBLISHED)


if __name__ == "__main__":
    run_program(main)
