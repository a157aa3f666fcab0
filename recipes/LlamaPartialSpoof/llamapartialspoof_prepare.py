#!/usr/bin/env python
"""LlamaPartialSpoof: LibriTTS, and sentences spoken in whole or in part by six voice-cloning systems.

Luong, Li, Zhang, Lee, Chng: LlamaPartialSpoof: An LLM-Driven Fake Speech Dataset Simulating Disinformation Generation.
ICASSP 2025. arXiv 2409.14743.

source      https://zenodo.org/records/14214149
license     see its page
languages   English
hours       130 in all

LlamaPartialSpoof/
  label_R01TTS.0.{a,b}.txt
  R01TTS.0.a/dev-clean_1462_170145_000020_000002.wav ...                    real, fake, and cross-faded
  R01TTS.0.b/dev01-cosyvoice-partial-cp_251_136532_000016_000002.wav ...    cut and pasted, overlapped and added
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.errors import InputError

PUBLISHED = {"-": {"all": 76228 + 64388}}


LABELS = {"bonafide": "real", "spoof": "fake"}


def describe(part: str, key: str, label: str, segments: list[str]) -> dict[str, Any]:
    """Describe a line of a list whose key reads <system>_<speaker>_<chapter>_<paragraph>_<sentence>."""
    system, _, rest = key.partition("_")
    return {
        "ID": f"LlamaPartialSpoof-{key}",
        "Label": translate(label, LABELS),
        "Path": f"R01TTS.0.{part}/{key}.wav",
        "Attack": "-" if label == "bonafide" else system,
        "Speaker": rest.partition("_")[0],
        "Language": "EN",
        "Segments": [segment for segment in map(parse_segment, segments) if segment[2] == "fake"],
    }


def parse_segment(text: str) -> tuple[float, float, str]:
    """Parse a segment, <start>-<end>-<label>, with times in seconds."""
    start, _, rest = text.partition("-")
    end, _, label = rest.partition("-")
    try:
        times = float(start), float(end)
    except ValueError:
        raise InputError(f"the segment '{text}' is not <start>-<end>-<label>") from None
    return *times, translate(label, LABELS)


def list_utterances(corpus: Path) -> Iterator[Mapping[str, Any]]:
    """List the utterances in the order of the two lists: key, seconds, label, and then the segments of each."""
    for part in "ab":
        yield from read_list(corpus / f"label_R01TTS.0.{part}.txt", "key - label *segments", partial(describe, part))


prepare_llamapartialspoof = partial(prepare_corpus, list_utterances, corpus_folder="LlamaPartialSpoof")
main = partial(run_preparation, prepare_llamapartialspoof, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
