#!/usr/bin/env python
"""Tell whether a test set is apart from the data that a detector was trained on.

Looks for the same identifiers, the same corpora, and corpora that hold speech of the same source; with --audio, for the
same recordings under whatever name. What is shared is told in a warning on standard error. Exit status: 0 when nothing
is, 1 when something is or could not be compared.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from antideepfake.audit.leakage import explain_held_out, find_overlap, find_recordings, format_overlap
from antideepfake.checkpoints.loading import fetch_folder
from antideepfake.cli.program import run_program
from antideepfake.corpora.registry import find_corpora, read_corpora
from antideepfake.errors import InputError
from antideepfake.files import sha256
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES
from antideepfake.protocol.table import read_protocol

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
LINES = 10  # of what could not be read


def read_metadata(model: str) -> ModelMetadata:
    """Read what a model folder remembers of its training; its weights are left alone."""
    path = fetch_folder(model, (FILES["metadata"],)) / FILES["metadata"]
    if not path.exists():
        raise InputError(f"{path}: no such file; --model names a model folder")
    metadata = ModelMetadata()
    metadata.load(path)
    if not metadata.training_corpora:
        raise InputError(f"{path}: does not say which corpora the model was trained on; name protocols with --train")
    return metadata


def main() -> int:
    """Parse the command line, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/check_overlap.py data/In-the-Wild.csv --train data/train.csv",
    )
    parser.add_argument("test", help="protocol of the test set")
    trained = parser.add_mutually_exclusive_group(required=True)
    trained.add_argument("--train", nargs="+", metavar="PROTOCOL", help="protocols of the training data")
    trained.add_argument("--model", help="a model folder or hub id, which remembers the corpora of its training")
    parser.add_argument("--audio", action="store_true", help="compare the recordings, too (with --train)")
    parser.add_argument("--data_folder", help="what $ROOT stands for in the protocols (with --audio)")
    parser.add_argument("--num_workers", type=int, default=2, help="files read at the same time (default: 2)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()
    if args.audio and not (args.train and args.data_folder):
        raise InputError("--audio wants --train and --data_folder: it reads the recordings of both")

    corpora = read_corpora(RECIPES)
    test = read_protocol(args.test)
    unreadable: list[str] = []
    if args.model:
        metadata = read_metadata(args.model)
        overlap = find_overlap(
            test["ID"],
            metadata.training_corpora,
            corpora,
            splits=test["Proportion"].tolist(),
            test_protocols=[sha256([args.test])],
            training_protocols=metadata.training_protocols,
        )
    else:
        training = pd.concat([read_protocol(path) for path in args.train], ignore_index=True)
        names = find_corpora(training["ID"], corpora).categories
        overlap = find_overlap(test["ID"], names, corpora, training["ID"])
    if args.audio:
        recordings, unreadable = find_recordings(test, training, args.data_folder, args.num_workers, args.quiet)
        overlap = replace(overlap, recordings=tuple(recordings))
    print(format_overlap(overlap), file=sys.stderr, end="\n" if overlap else "")
    if note := explain_held_out(overlap):
        print(f"note: {note}", file=sys.stderr)
    for sentence in unreadable[:LINES]:
        print(f"skipped {sentence}", file=sys.stderr)
    if unreadable:
        print(f"{len(unreadable)} files could not be compared", file=sys.stderr)
    print(
        f"shared: {len(overlap.utterances)} identifiers, {len(overlap.recordings)} recordings, "
        f"{len(overlap.corpora)} corpora, {len(overlap.sources)} pairs of corpora with a common source"
    )
    return 1 if overlap or unreadable else 0


if __name__ == "__main__":
    run_program(main)
