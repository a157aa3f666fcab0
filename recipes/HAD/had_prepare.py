#!/usr/bin/env python
"""HAD, half-truth audio detection: AISHELL-3, with a few words of its sentences replaced by synthetic ones.

Yi, Bai, Tao, Ma, Tian, Wang, Wang, Fu: Half-Truth: A Partially Fake Audio Detection Dataset. Interspeech 2021.
arXiv 2104.03617.

source      https://zenodo.org/records/10377492
license     see its page
languages   Mandarin
hours       unknown

HAD/HAD_{train,dev,test}/
  HAD_{train,dev,test}_label.txt
  train/conbine/HAD_train_fake_00000001.wav ...    or in other folders; the lists name files without one
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.corpora.walk import AUDIO_SUFFIXES, walk_audio
from antideepfake.errors import InputError

SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def describe(split: str, paths: dict[str, str], key: str, segments: str, label: str) -> dict[str, Any]:
    """Describe a line of a list: the name, its segments, and 1 for genuine or 0 for fake."""
    return {
        "ID": f"HAD-{key}",
        "Label": translate(label, {"1": "real", "0": "fake"}),
        "Path": paths.get(key, f"HAD_{split}/{key}.wav"),
        "Proportion": SPLITS[split],
        "Language": "ZH",
        "Segments": [segment for segment in map(parse_segment, segments.split("/")) if segment[2] == "fake"],
    }


def parse_segment(text: str) -> tuple[float, float, str]:
    """Parse a segment, <start>-<end>-<T or F>, with times in seconds."""
    start, _, rest = text.partition("-")
    end, _, label = rest.partition("-")
    try:
        times = float(start), float(end)
    except ValueError:
        raise InputError(f"the segment '{text}' is not <start>-<end>-<T or F>") from None
    return *times, translate(label, {"T": "real", "F": "fake"})


def list_utterances(corpus: Path) -> Iterator[Mapping[str, Any]]:
    """List the utterances in the order of the three lists."""
    for split in SPLITS:
        files = map(Path, walk_audio(corpus / f"HAD_{split}", AUDIO_SUFFIXES))
        paths = {path.stem: path.relative_to(corpus).as_posix() for path in files}
        path = corpus / f"HAD_{split}/HAD_{split}_label.txt"
        yield from read_list(path, "key segments label", partial(describe, split, paths))


prepare_had = partial(prepare_corpus, list_utterances, corpus_folder="HAD")
main = partial(run_preparation, prepare_had, __doc__)

if __name__ == "__main__":
    run_program(main)
