"""Name the spoofing system that most likely made a recording, or none of those that are known.

REFERENCE are embeddings of generated speech of known systems (.parquet, written by 'antideepfake score --embeddings'),
and --reference_scores is the score file of the same run, whose column Attack names the systems. INPUT are embeddings of
the same model, or recordings, folders and protocols, which --model scores. Nothing is trained: a recording is compared
with the nearest utterances of each system, and comes from none of these if it is less similar than nearly all
utterances of the reference are to their neighbors. With --method classifier, a linear classifier is trained on the
reference instead. Both presume that the recording is generated.

Where the systems of the inputs are known, from --scores or a protocol with the column Attack, the table of each system
is printed. Exits with status 1 when an input was skipped.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import numpy as np

ATTACK = "Attack"
SUMMARY = {
    "accuracy": "accuracy",
    "f1_known": "mean F1 of the systems of the reference",
    "f1_unknown": "F1 of none of these",
    "auc_unknown": "ROC AUC of the similarity, systems of the reference from others",
}
EXAMPLE = (
    "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split valid "
    "--output systems.csv --embeddings systems.parquet\n"
    "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split test "
    "--output suspicious.csv --embeddings suspicious.parquet\n"
    "trace systems.parquet suspicious.parquet --reference_scores systems.csv --scores suspicious.csv"
)


class Inputs(NamedTuple):
    """Identifiers, embeddings [recordings, dimensions], systems as far as known, and the number of skipped inputs."""

    ids: list[str]
    embeddings: "np.ndarray"
    systems: list[str]
    skipped: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("reference", help="embeddings of known systems (.parquet)")
    parser.add_argument("inputs", nargs="+", metavar="input", help="embeddings (.parquet), or recordings")
    parser.add_argument(
        "--reference_scores", required=True, help="score file of the reference, which names the systems"
    )
    parser.add_argument("--scores", help="score file of the input embeddings, which names their systems")
    parser.add_argument("--model", help="model folder, Hub id, or ONNX file of convert, for inputs that are recordings")
    parser.add_argument(
        "--method",
        choices=("neighbors", "classifier"),
        default="neighbors",
        help="compare with the nearest utterances, or train a linear classifier (default: neighbors)",
    )
    parser.add_argument(
        "--neighbors",
        type=options.positive_number,
        default=5,
        help="utterances of a system with which a recording is compared (default: 5)",
    )
    parser.add_argument(
        "--rejected",
        type=options.fraction,
        default=0.05,
        help="fraction of recordings of known systems that may count as none of these (default: 0.05)",
    )
    options.add_cluster(parser)
    options.add_output(parser, "CSV file for the system of each input and its similarity to all", required=False)
    options.add_data_folder(parser)
    options.add_split(parser)
    options.add_scoring(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Trace, write and print."""
    if args.output:
        options.refuse_existing(args.output, args.overwrite)
    is_embedded = args.inputs[0].endswith(".parquet")
    if is_embedded and len(args.inputs) > 1:
        raise InputError(f"{args.inputs[1]}: a second input beside embeddings; trace one file of embeddings at a time")
    if args.detector:
        raise InputError("--detector: a detector of other software gives no embeddings; pass a model folder")
    if not is_embedded and not args.model:
        raise InputError(f"{args.inputs[0]}: not embeddings (.parquet); recordings need --model")

    import pandas as pd

    from antideepfake.evaluation import tracing
    from antideepfake.files import atomic_open

    embeddings, systems, clusters = read_reference(args)
    try:
        tracer: tracing.SourceTracer | tracing.SourceClassifier
        if args.method == "classifier":
            tracer = tracing.fit_source_classifier(embeddings, systems, args.rejected, clusters)
        else:
            tracer = tracing.fit_source_tracer(embeddings, systems, args.neighbors, args.rejected, clusters)
    except InputError as error:
        raise InputError(f"{args.reference}: {error}") from None
    inputs = read_embedded(args) if is_embedded else score_recordings(args)
    size = inputs.embeddings.shape[1]
    if size != embeddings.shape[1]:
        raise InputError(
            f"{args.inputs[0]}: embeddings of {size} dimensions, but {args.reference} has {embeddings.shape[1]}; "
            "score both with the same model"
        )
    similarities = tracer.measure_similarities(inputs.embeddings)
    named = tracing.choose_systems(tracer, similarities)
    table = pd.DataFrame({"input": inputs.ids, "system": named, "similarity": similarities.max(1)})
    if args.output:
        with atomic_open(args.output) as file:
            table.join(pd.DataFrame(similarities, columns=tracer.systems)).to_csv(file, index=False)
    is_labeled = is_generated(inputs.systems)
    summary: dict[str, float] = {}
    if is_labeled.any():
        true, found = (pd.Series(texts)[is_labeled].tolist() for texts in (inputs.systems, named))
        table, summary = tracing.compute_tracing_metrics(true, found, similarities[is_labeled], tracer.systems)
    options.print_table(table, args.format)
    if args.format == "table":
        print(f"none of these: a similarity below {tracer.threshold:.3f} to all {len(tracer.systems)} systems")
        for name, value in summary.items():
            print(f"{SUMMARY[name]}: {value:.3f}")
    if args.output:
        print(f"traces: {args.output}", file=sys.stderr)
    return 1 if inputs.skipped else 0


def is_generated(systems: "Sequence[str]") -> "np.ndarray":
    """Return which utterances name a spoofing system.

    Example
    -------
    >>> is_generated(["-", "", "vits"]).tolist()
    [False, False, True]
    """
    import numpy as np

    return np.array([system not in ("", "-") for system in systems], dtype=bool)


def read_reference(args: argparse.Namespace) -> "tuple[np.ndarray, list[str], np.ndarray | None]":
    """Read embeddings, systems and clusters of the generated utterances of the reference."""
    from antideepfake.scoring.embeddings import read_embeddings
    from antideepfake.scoring.score_file import read_columns, read_scores

    ids, embeddings = read_embeddings(args.reference)
    column = args.cluster or (options.SPEAKER if options.SPEAKER in read_scores(args.reference_scores) else "none")
    columns = [ATTACK] if column == "none" else [ATTACK, column]
    table = read_columns(args.reference_scores, ids, columns)
    is_known = is_generated(table[ATTACK])
    if not is_known.any():
        raise InputError(f"{args.reference_scores}: no utterance names a spoofing system in the column {ATTACK}")
    clusters = None if column == "none" else table.loc[is_known, column].to_numpy(dtype=object)
    return embeddings[is_known], table.loc[is_known, ATTACK].tolist(), clusters


def check_weights(reference_scores: str, weights: str, source: str) -> None:
    """Raise an ``InputError`` if the reference is of another model than ``source``, which has these weights."""
    from antideepfake.scoring.provenance import read_provenance

    record = read_provenance(reference_scores)
    if record and record.weights.split()[0] != weights.split()[0]:
        raise InputError(f"{reference_scores}: of another model than {source}; score both with the same")


def read_embedded(args: argparse.Namespace) -> "Inputs":
    """Read inputs that are embeddings."""
    from antideepfake.scoring.embeddings import read_embeddings
    from antideepfake.scoring.provenance import read_provenance
    from antideepfake.scoring.score_file import read_columns

    ids, embeddings = read_embeddings(args.inputs[0])
    record = read_provenance(args.scores) if args.scores else None
    if record:
        check_weights(args.reference_scores, record.weights, args.inputs[0])
    truth = read_columns(args.scores, ids, [ATTACK])[ATTACK].tolist() if args.scores else [""] * len(ids)
    return Inputs(ids, embeddings, truth, 0)


def score_recordings(args: argparse.Namespace) -> "Inputs":
    """Compute the embeddings of inputs that are recordings; those that are skipped are printed."""
    import numpy as np

    from antideepfake.protocol.table import resolve_path
    from antideepfake.scoring.inputs import find_inputs

    table = find_inputs(args.inputs, args.split)
    detector = options.load_model(args)
    check_weights(args.reference_scores, detector.weights_digest(), args.model)
    paths = [resolve_path(path, args.data_folder) for path in table["Path"]]
    truth = table[ATTACK].tolist() if ATTACK in table else [""] * len(table)
    results = detector.score_files(paths, args.batch_seconds, progress=not args.quiet)
    ids, embeddings, systems = [], [], []
    for name, system, result in zip(table["ID"], truth, results, strict=True):
        if result.error:
            print(f"skipped {result.error}", file=sys.stderr)
            continue
        ids.append(name)
        embeddings.append(result.embedding)
        systems.append(system)
    if not ids:
        raise InputError(f"{args.inputs[0]}: none of the {len(table)} recordings can be read")
    return Inputs(ids, np.stack(embeddings), systems, len(table) - len(ids))
