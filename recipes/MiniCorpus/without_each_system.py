#!/usr/bin/env python
"""What each spoofing system of train adds: the EER on test with and without it, from embeddings.

KNOWN and TEST are embeddings of the splits train and test (.parquet, written by 'antideepfake score --embeddings'); the
score file of the same run has the same name with .csv. For each system of train, a logistic regression like that of
hparams/train.yaml is fitted to the embeddings of all other utterances of train. Where the encoder is frozen, this gives
in seconds what training on the recordings gives in minutes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from antideepfake.cli import options
from antideepfake.cli.program import run_program
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
from antideepfake.scoring.embeddings import read_embeddings
from antideepfake.scoring.score_file import read_columns
from antideepfake.training.refit import fit_logistic_regression

STRENGTH = 0.01  # inverse_regularization of hparams/train.yaml


def read(path: str) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Read embeddings and the spoofing system of each utterance; bona fide utterances have the system ``-``."""
    ids, embeddings = read_embeddings(path)
    table = read_columns(Path(path).with_suffix(".csv"), ids, ["Label", "Attack"])
    return embeddings.astype(np.float64), table["Attack"].where(table["Label"] == "fake", "-").to_numpy(str)


def compare(
    known: tuple[NDArray[np.float64], NDArray[np.str_]], test: tuple[NDArray[np.float64], NDArray[np.str_]]
) -> pd.DataFrame:
    """Compute the EER on each system, and on all that train lacks, with and without the system in train."""
    (embeddings, systems), (tested, names) = known, test

    def score(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        weight, bias = fit_logistic_regression(embeddings[rows], systems[rows] == "-", STRENGTH)
        fake, real = weight @ tested.T + bias[:, None]
        return real - fake

    def eer(scores: NDArray[np.float64], rows: NDArray[np.bool_]) -> float:
        if not rows.any():
            return np.nan
        return 100 * float(equal_error_rate(error_rates(sort_trials(scores[names == "-"], scores[rows])))[0])

    unseen = ~np.isin(names, systems)
    trained = score(np.ones(len(systems), bool))
    rows = []
    for system in sorted(set(systems) - {"-"}):
        without = score(systems != system)
        own = names == system
        rows.append(
            {
                "without": system,
                "utterances": int((systems == system).sum()),
                "EER %": eer(without, own),
                "EER % trained on it": eer(trained, own),
                "unseen, EER %": eer(without, unseen),
                "unseen, EER % trained on it": eer(trained, unseen),
            }
        )
    return pd.DataFrame(rows).round(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = options.Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python without_each_system.py results/known.parquet results/test.parquet",
    )
    parser.add_argument("known", help="embeddings of train")
    parser.add_argument("test", help="embeddings of test")
    options.add_format(parser)
    args = parser.parse_args(argv)
    options.print_table(compare(read(args.known), read(args.test)), args.format)
    return 0


if __name__ == "__main__":
    run_program(main)
