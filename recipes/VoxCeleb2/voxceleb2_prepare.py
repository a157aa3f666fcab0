#!/usr/bin/env python
"""VoxCeleb2, part dev: interviews of 5,994 celebrities, from the web.

Chung, Nagrani, Zisserman: VoxCeleb2: Deep Speaker Recognition. Interspeech 2018.

source      https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html
license     CC BY 4.0
languages   several, not given per file
hours       1179.6 real

VoxCeleb2/dev/aac/id00082/lXxPuqI6Yac/00146.m4a ...

The corpus is distributed as m4a. Where a file was decoded to a wav in the same folder, the wav is listed: training
reads it faster.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import walk_layout

PUBLISHED = {"-": {"real": 1092009}}
LAYOUT = "dev/aac/{speaker}/{video}/{name}.{suffix:m4a|wav}"


def describe(speaker: str, video: str, name: str, suffix: str) -> dict[str, str]:
    """Describe a file."""
    return {"ID": f"VoxCeleb2-{speaker}-{video}-{name}", "Label": "real", "Speaker": speaker}


def list_utterances(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the recordings, each in one format."""
    rows = walk_layout(corpus, LAYOUT, describe)
    for _, formats in groupby(rows, key=lambda row: os.path.splitext(row["Path"])[0]):
        *_, row = formats  # m4a comes before wav
        yield row


prepare_voxceleb2 = partial(prepare_corpus, list_utterances, corpus_folder="VoxCeleb2")
main = partial(run_preparation, prepare_voxceleb2, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
