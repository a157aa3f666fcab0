#!/usr/bin/env python
"""WaveFake: LJSpeech and JSUT, resynthesized by vocoders, and a text-to-speech system.

Frank, Schönherr: WaveFake: A Data Set to Facilitate Audio Deepfake Detection. NeurIPS Datasets and Benchmarks 2021.

source      https://zenodo.org/records/5642694
license     CC BY-SA 4.0
languages   English, Japanese
hours       198.7 fake

WaveFake/generated_audio/{ljspeech_melgan,jsut_parallel_wavegan, ...}/LJ001-0001_gen.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout
from antideepfake.errors import InputError

LAYOUT = "generated_audio/{system}/{name}.wav"


def describe(system: str, name: str) -> dict[str, str]:
    """Describe a file, whose folder names its source corpus."""
    if "jsut" not in system and "ljspeech" not in system:
        raise InputError("its folder names neither ljspeech nor jsut")
    return {
        "ID": f"WF-{system}_{name}",
        "Label": "fake",
        "Attack": system,
        "Language": "JA" if "jsut" in system else "EN",
    }


prepare_wavefake = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="WaveFake"
)
main = partial(run_preparation, prepare_wavefake, __doc__)

if __name__ == "__main__":
    run_program(main)
