#!/usr/bin/env python
"""CVoiceFake (large): Common Voice in five languages, and the same utterances resynthesized by vocoders.

Li, Li, Zheng, Yan, Ji, Xu: SafeEar: Content Privacy-Preserving Audio Deepfake Detection. ACM CCS 2024.

source      https://safeearweb.github.io/Project
license     see its page
languages   English, French, German, Italian, Mandarin
hours       315.1 real, 1561.2 fake

CVoiceFake/CVoiceFake_Large/{EN,FR,DE,IT,CN}/
  Bonafide/common_voice_en_36752138.mp3 ...
  vctk_parallel_wavegan.v1_generated/common_voice_en_36752138_Gen.mp3 ...

IDs of Mandarin utterances have CN, as in the published protocols; the column Language has ZH, as for other corpora.
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "CVoiceFake_Large/{language}/{method}/{name}.mp3"


def describe(language: str, method: str, name: str) -> dict[str, str]:
    """Describe a file."""
    is_real = "Bonafide" in method
    return {
        "ID": f"CVoice-{language}-{method}-{name}",
        "Label": "real" if is_real else "fake",
        "Attack": "-" if is_real else method,
        "Language": "ZH" if "CN" in language else language,
    }


prepare_cvoicefake = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="CVoiceFake"
)
main = partial(run_preparation, prepare_cvoicefake, __doc__)

if __name__ == "__main__":
    run_program(main)
