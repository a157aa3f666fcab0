#!/usr/bin/env python
"""Deepfake-Eval-2024, audio: recordings from social media in 2024 that were submitted for verification.

Chandra, Murtfeldt, Qiu et al.: Deepfake-Eval-2024: A Multi-Modal In-the-Wild Benchmark of Deepfakes Circulated in
2024. arXiv 2503.02857, 2025.

source      https://huggingface.co/datasets/nuriachandra/Deepfake-Eval-2024 (on request)
license     CC BY-SA 4.0
languages   many, mostly English; not given per file
hours       56.5 in all

Deepfake-Eval-2024/
  audio-metadata-publish.csv        with the columns Filename, Ground Truth, Finetuning Set
  audio-data/...                    mp3, m4a, wav and others
  segments/...                      written by deepfake_eval_2024_segment.py

Recordings last from seconds to an hour. Without --duration the protocol has whole recordings; with --duration 4 it has
segments of 4 s, which deepfake_eval_2024_segment.py cuts first.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from antideepfake.cli.preparation import make_parser, print_report
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_csv, translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.errors import InputError

COLUMNS = {"name": "Filename", "label": "Ground Truth", "split": "Finetuning Set"}


def describe(name: str, label: str, split: str) -> dict[str, str]:
    """Describe a line of the metadata."""
    row = {"ID": f"DE2024-{name}", "Path": f"audio-data/{name}"}
    try:
        return {
            **row,
            "Label": translate(label.lower(), {"real": "real", "fake": "fake"}),
            "Proportion": translate(split.lower(), {"train": "train", "test": "test"}),
        }
    except InputError as error:
        return {**row, "Reason": str(error)}


def list_recordings(corpus: Path) -> Iterator[Mapping[str, str]]:
    """List the recordings in the order of the metadata."""
    return read_csv(corpus / "audio-metadata-publish.csv", COLUMNS, describe)


def segment_folder(path: str, seconds: int) -> str:
    """Return the folder of the segments 1.flac, 2.flac, ... of a recording, relative to the corpus's folder."""
    return path.replace("audio-data", f"segments/{seconds}s", 1)


def list_utterances(corpus: Path, duration: int | None = None) -> Iterator[Mapping[str, str]]:
    """List whole recordings, or their segments of ``duration`` seconds."""
    for recording in list_recordings(corpus):
        if duration is None or "Reason" in recording:
            yield recording
            continue
        folder = segment_folder(recording["Path"], duration)
        names = sorted((corpus / folder).glob("*.flac"), key=lambda path: int(path.stem))
        if not names:
            yield {**recording, "Reason": f"no segments of {duration} s; deepfake_eval_2024_segment.py makes them"}
        key = recording["ID"].replace("DE2024-", f"DE2024-{duration}s-", 1)
        for path in names:
            yield {**recording, "ID": f"{key}-seg{path.stem}", "Path": f"{folder}/{path.name}"}


prepare_deepfake_eval_2024 = partial(prepare_corpus, list_utterances, corpus_folder="Deepfake-Eval-2024")


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Prepare whole recordings or segments from the command line."""
    parser = make_parser(__doc__, prog)
    parser.add_argument("--duration", type=int, help="length of the segments in s (default: whole recordings)")
    args = vars(parser.parse_args(argv))
    form = args.pop("format")
    return print_report(prepare_deepfake_eval_2024(**args), args["output"], form=form)


if __name__ == "__main__":
    run_program(main)
