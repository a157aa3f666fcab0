"""Check whether a test set shares utterances, corpora or sources with training data.

Compares identifiers, corpora, and the corpora whose speech they contain; with --audio also the recordings themselves,
whatever their names. Prints counts on standard output and a warning on standard error. Exits with status 1 when
something is shared or could not be compared.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from antideepfake.model_folder.metadata import ModelMetadata

LINES = 10  # of unreadable files
EXAMPLE = "check leakage data/MiniCorpus.csv --model recipes/MiniCorpus/results/small/model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("protocol", help="protocol of the test set")
    trained = parser.add_mutually_exclusive_group(required=True)
    trained.add_argument("--train", nargs="+", metavar="PROTOCOL", help="protocols of the training data")
    trained.add_argument("--model", help="model folder or Hub id, which names the corpora of its training")
    parser.add_argument("--audio", action="store_true", help="compare the recordings, too (with --train)")
    options.add_data_folder(parser)
    options.add_num_workers(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    if args.audio and not args.train:
        raise InputError("--audio needs --train: it reads the recordings of both")

    from dataclasses import replace

    import pandas as pd

    from antideepfake.audit.leakage import explain_held_out, find_overlap, find_recordings, format_overlap
    from antideepfake.corpora.registry import find_corpora, read_corpora
    from antideepfake.files import sha256
    from antideepfake.protocol.table import read_protocol
    from antideepfake.resources import find_resource

    corpora = read_corpora(find_resource("recipes"))
    test = read_protocol(args.protocol)
    unreadable: list[str] = []
    if args.model:
        metadata = read_metadata(args.model)
        overlap = find_overlap(
            test["ID"],
            metadata.training_corpora,
            corpora,
            splits=test["Proportion"].tolist(),
            test_protocols=[sha256([args.protocol])],
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
    for message in unreadable[:LINES]:
        print(f"skipped {message}", file=sys.stderr)
    if unreadable:
        print(f"{len(unreadable)} files could not be compared", file=sys.stderr)
    counts = {
        "identifiers": len(overlap.utterances),
        "recordings": len(overlap.recordings),
        "corpora": len(overlap.corpora),
        "pairs of corpora with a common source": len(overlap.sources),
    }
    if args.format == "table":
        print("shared: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    else:
        options.print_table(pd.DataFrame(counts.items(), columns=["shared", "count"]), args.format)
    return 1 if overlap or unreadable else 0


def read_metadata(model: str) -> "ModelMetadata":
    """Read what a model folder records of its training, without its weights."""
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.model_folder.names import FILES

    path = options.find_model(model, (FILES["metadata"],)) / FILES["metadata"]
    if not path.exists():
        raise InputError(f"{path}: no such file; --model names a model folder")
    metadata = ModelMetadata()
    metadata.load(path)
    if not metadata.training_corpora:
        raise InputError(f"{path}: does not name the corpora of its training; name protocols with --train")
    return metadata
