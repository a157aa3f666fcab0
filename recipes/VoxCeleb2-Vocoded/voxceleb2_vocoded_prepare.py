#!/usr/bin/env python
"""VoxCeleb2-Vocoded: VoxCeleb2, analyzed and resynthesized by several neural vocoders.

Ge, Wang, Liu, Yamagishi: Post-training for Deepfake Speech Detection. ASRU 2025.

source      not distributed; made from VoxCeleb2, see README.md
license     that of VoxCeleb2, CC BY 4.0
languages   several, not given per file
hours       4721.5 fake

VoxCeleb2-Vocoded/{hifigan, ...}/dev/aac/id04972/f9crVjbT1Eg/00255.wav ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "{vocoder}/dev/aac/{speaker}/{video}/{name}.wav"


def describe(vocoder: str, speaker: str, video: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {
        "ID": f"VoxCeleb2-Vo-{vocoder}-{speaker}-{video}-{name}",
        "Label": "fake",
        "Attack": vocoder,
        "Speaker": speaker,
    }


prepare_voxceleb2_vocoded = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="VoxCeleb2-Vocoded"
)
main = partial(run_preparation, prepare_voxceleb2_vocoded, __doc__)

if __name__ == "__main__":
    run_program(main)
