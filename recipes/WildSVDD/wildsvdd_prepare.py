#!/usr/bin/env python
"""WildSVDD: bona fide and spoofed singing from the web, with accompaniment and as separated vocals.

Zhang, Zang, Shi, Yamamoto, Toda, Duan: SVDD 2024: The Inaugural Singing Voice Deepfake Detection Challenge. SLT 2024.

source      https://challenge.singfake.org; a list of links; download and cut with its authors' programs
license     see its page
languages   unknown
hours       unknown

WildSVDD/WildSVDD_Data_Sep2024_Processed/{train,test_A,test_B}/{mixture,vocals}/bonafide_Salibi_1.flac ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = (
    "WildSVDD_Data_Sep2024_Processed/{subset:train|test[^/]*}/{track:mixture|vocals}/"
    "{label:bonafide|deepfake}{name}.flac"
)


def describe(subset: str, track: str, label: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {
        "ID": f"WildSVDD-{subset}-{track}-{label}{name}",
        "Label": "real" if label == "bonafide" else "fake",
        "Proportion": "train" if subset == "train" else "test",
    }


prepare_wildsvdd = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="WildSVDD"
)
main = partial(run_preparation, prepare_wildsvdd, __doc__)

if __name__ == "__main__":
    run_program(main)
