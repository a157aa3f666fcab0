#!/usr/bin/env python
"""MLAAD, version 5: texts of M-AILABS, synthesized by text-to-speech models in 38 languages.

Müller, Kawa, Choong et al.: MLAAD: The Multi-Language Audio Anti-Spoofing Dataset. IJCNN 2024.

source      https://deepfake-total.com/mlaad
license     CC BY-NC 4.0
languages   38
hours       378.0 fake

MLAAD_v5/fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284.wav ...

For another version, pass --corpus_folder.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "fake/{folder}/{model}/{name}.wav"


def describe(folder: str, model: str, name: str) -> dict[str, str]:
    """Describe a file. Its folder is a language; zh-cn is ZH."""
    folder = "ZH" if "zh-cn" in folder else folder
    return {"ID": f"MLAAD-{folder}-{model}-{name}", "Label": "fake", "Attack": model, "Language": folder.upper()}


prepare_mlaad = partial(prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="MLAAD_v5")
main = partial(run_preparation, prepare_mlaad, __doc__)

if __name__ == "__main__":
    run_program(main)
