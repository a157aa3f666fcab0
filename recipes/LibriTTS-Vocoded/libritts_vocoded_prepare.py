#!/usr/bin/env python
"""LibriTTS-Vocoded: LibriTTS, analysed and synthesized again by several neural vocoders.

Ge, Wang, Liu, Yamagishi: Post-training for Deepfake Speech Detection. ASRU 2025.

source      not published: made from LibriTTS by its authors' notebook
license     that of LibriTTS, CC BY 4.0
languages   English
hours       2345.1 fake

LibriTTS-Vocoded/{hifigan,hn_sinc_nsf, ...}/{train-clean-100, ...}/166/122789/166_122789_000035_000001.wav ...
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import translate
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.corpora.walk import walk_layout

LAYOUT = "{vocoder}/{subset:(train|dev|test)[^/]*}/{speaker}/{chapter}/{name}.wav"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def describe(vocoder: str, subset: str, speaker: str, chapter: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {
        "ID": f"LibriTTS-Vo-{vocoder}-{name}",
        "Label": "fake",
        "Attack": vocoder,
        "Speaker": speaker,
        "Proportion": translate(subset.partition("-")[0], SPLITS),
        "Language": "EN",
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the files by their folders."""
    return walk_layout(corpus, LAYOUT, describe)


prepare_libritts_vocoded = partial(prepare_corpus, list_utterances, corpus_folder="LibriTTS-Vocoded")


def main() -> int:
    """Parse the command line, write the protocol, tell what became of the corpus."""
    args = prepare_parser(__doc__).parse_args()
    return tell_report(prepare_libritts_vocoded(**vars(args)), args.output)


if __name__ == "__main__":
    run_program(main)
