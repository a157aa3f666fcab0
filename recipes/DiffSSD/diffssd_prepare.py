#!/usr/bin/env python
"""DiffSSD: English speech of ten diffusion-based and commercial text-to-speech systems.

Bhagtani, Yadav, Bestagini, Delp: DiffSSD: A Diffusion-Based Dataset for Speech Forensics. arXiv 2409.13049, 2024.

source      https://huggingface.co/datasets/purdueviperlab/diffssd
license     see its page
languages   English
hours       139.7 fake

DiffSSD/generated_speech/
  grad_tts/sentence_1.wav ...
  your_tts/speaker_1487/sentence_449.wav ...

The bona fide speech next to generated_speech is not used.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "generated_speech/{system}/{folder:([^/]*speaker[^/]*/)?}{name}.wav"


def describe(system: str, folder: str, name: str) -> dict[str, str]:
    """Describe a file, with or without a speaker's folder."""
    speaker = folder.rstrip("/") or "-"
    return {
        "ID": f"DiffSSD-{system}-{speaker}-EN-{name}",
        "Label": "fake",
        "Attack": system,
        "Speaker": speaker,
        "Language": "EN",
    }


prepare_diffssd = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="DiffSSD")
main = partial(run_preparation, prepare_diffssd, __doc__)

if __name__ == "__main__":
    run_program(main)
