#!/usr/bin/env python
"""CN-Celeb2: Mandarin speech of 2,000 celebrities in eleven genres, from the web.

Li, Liu, Kang, Fan, Cui, Cai, Vipperla, Zheng, Wang: CN-Celeb: Multi-genre speaker recognition. Speech Communication
137, 2022.

source      https://www.openslr.org/82, files cn-celeb2_v2
license     CC BY-SA 4.0
languages   Mandarin
hours       1084.3 real

CNCeleb2/CN-Celeb2_flac/data/id10936/recitation-02-028.flac ...
"""

from functools import partial

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

LAYOUT = "CN-Celeb2_flac/data/{speaker}/{name}.flac"


def describe(speaker: str, name: str) -> dict[str, str]:
    """Describe a file."""
    return {"ID": f"CNCeleb2-{speaker}-{name}", "Label": "real", "Speaker": speaker, "Language": "ZH"}


prepare_cnceleb2 = partial(
    prepare_corpus, lambda corpus: walk_layout(corpus, LAYOUT, describe), corpus_folder="CNCeleb2"
)
main = partial(run_preparation, prepare_cnceleb2, __doc__)

if __name__ == "__main__":
    run_program(main)
