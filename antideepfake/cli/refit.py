"""Refit the classifier of a model folder on labeled recordings, in seconds.

EMBEDDINGS and --scores come from one run of 'antideepfake score --embeddings' with this model on a protocol with
labels, of recordings like those to be judged. Writes a new model folder whose front end and back end are those of MODEL
and whose linear classifier is fitted to these embeddings. Its threshold and error rates are those of cross-validation,
in which no speaker, or source where speakers are unknown, is in two folds (see --cluster).
"""

import argparse
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

GROUPS = (options.SPEAKER, "Source")  # columns of utterances that are not independent; the first one that is known
EXAMPLE = (
    "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split valid "
    "--output labeled.csv --embeddings labeled.parquet\n"
    "refit recipes/MiniCorpus/results/small/model labeled.parquet --scores labeled.csv --output models/refit"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder or Hub id, with a linear classifier")
    parser.add_argument("embeddings", help="embeddings of labeled recordings (.parquet)")
    parser.add_argument("--scores", required=True, help="score file of the embeddings, which has the labels")
    options.add_output(parser, "model folder to write")
    options.add_cluster(parser)
    options.add_seed(parser, "the folds")
    options.add_trust_code(parser)


def run(args: argparse.Namespace) -> int:
    """Fit, write and print."""
    if os.path.realpath(args.output) == os.path.realpath(args.model):
        raise InputError(f"--output is {args.output}, the model itself; choose another folder")
    options.refuse_existing(args.output, args.overwrite)

    from antideepfake.files import lock_output
    from antideepfake.inference.detector import load_detector
    from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
    from antideepfake.scoring.embeddings import read_embeddings
    from antideepfake.scoring.provenance import read_provenance
    from antideepfake.scoring.score_file import read_scores
    from antideepfake.training.refit import fit_classifier, require_linear, write_refit

    detector = load_detector(args.model, trust_code=args.trust_code)
    require_linear(detector)
    record = read_provenance(args.scores)
    if record and record.weights.split()[0] != detector.weights_digest().split()[0]:
        raise InputError(f"{args.scores}: scores of another model; score with {args.model} and --embeddings")
    ids, embeddings = read_embeddings(args.embeddings)
    table = read_scores(args.scores)
    if ids != table["ID"].tolist():
        raise InputError(f"{args.embeddings}: not of the same run as {args.scores}; use the files of one run")
    is_labeled = (table["Label"] != "").to_numpy()
    table, embeddings = table[is_labeled].reset_index(drop=True), embeddings[is_labeled]
    is_real = (table["Label"] == "real").to_numpy()
    column = choose_column(table, args.cluster)
    try:
        fit = fit_classifier(embeddings, is_real, table[column].to_numpy(object) if column else None, args.seed)
    except InputError as error:
        raise InputError(f"{args.scores}: {error}") from None
    with lock_output(args.output):
        metadata = write_refit(args.output, args.model, detector, fit, table, column, args.scores, record)
    before, after = (
        100 * float(equal_error_rate(error_rates(sort_trials(scores[is_real], scores[~is_real])))[0])
        for scores in (table["Score"].to_numpy(), fit.scores)
    )
    if not is_labeled.all():
        print(f"{(~is_labeled).sum()} utterances without a label were left out", file=sys.stderr)
    print(f"{is_real.sum()} real and {(~is_real).sum()} fake utterances of {embeddings.shape[1]} dimensions")
    print(f"equal error rate: {before:.2f} % before; {after:.2f} % with the new classifier, by cross-validation")
    if column is None:
        print("speakers and sources are unknown: error rates on new speakers may be higher", file=sys.stderr)
    print(textwrap.fill(f"threshold: {metadata.threshold:.3f}, {metadata.threshold_source}", 100))
    print(f"model folder: {Path(args.output)}; to use it: antideepfake score {args.output} recording.wav")
    return 0


def choose_column(table: "pd.DataFrame", cluster: str | None) -> str | None:
    """Choose the column of utterances that are not independent; None if all are."""
    if cluster == "none":
        return None
    if cluster:
        if cluster not in table:
            raise InputError(f"--cluster is {cluster}; the score file has no such column, but {', '.join(table)}")
        return cluster
    return next((name for name in GROUPS if name in table and (table[name] != "-").any()), None)
