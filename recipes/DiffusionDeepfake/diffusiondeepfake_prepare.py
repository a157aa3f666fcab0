#!/usr/bin/env python
"""Diffuse or Confuse: the texts of LJSpeech, synthesized by systems most of which use diffusion.

Firc, Malinka, Hanáček: Diffuse or Confuse: A Diffusion Deepfake Speech Dataset. BIOSIG 2024.

source      named in https://arxiv.org/abs/2410.06796
license     see its page
languages   English
hours       231.7 fake

DiffusionDeepfake/{DiffGAN-TTS_aux,tacotron2-DCA_wavegrad, ...}/LJ044-0144.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "{system}/{name}.wav"


def describe(system: str, name: str) -> dict[str, str]:
    """Describe a file. The speaker is the book, as in LJSpeech: LJ044."""
    return {
        "ID": f"DiffFake-{system}-{name}",
        "Label": "fake",
        "Attack": system,
        "Speaker": name.partition("_")[0].partition("-")[0],
        "Language": "EN",
    }


prepare_diffusiondeepfake = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="DiffusionDeepfake"
)
main = partial(run_preparation, prepare_diffusiondeepfake, __doc__)

if __name__ == "__main__":
    run_program(main)
