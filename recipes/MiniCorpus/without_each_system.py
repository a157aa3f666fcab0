#!/usr/bin/env python
"""What each spoofing system of training adds: the EER on test with and without it, from embeddings.

TEST and KNOWN are embeddings of the split test and of train and valid (.parquet, written by 'antideepfake score
--embeddings'); the score file of the same run has the same name with .csv. For each system of the latter, a logistic
regression like that of hparams/train.yaml is fitted to the embeddings of all other utterances there. Where the encoder
is frozen, this gives in seconds what training on the recordings gives in minutes.
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


def read(paths: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Read embeddings and the spoofing system of each utterance; bona fide utterances have the system ``-``."""
    embeddings, systems = [], []
    for path in paths:
        ids, values = read_embeddings(path)
        table = read_columns(Path(path).with_suffix(".csv"), ids, ["Label", "Attack"])
        embeddings.append(values.astype(np.float64))
        systems.append(table["Attack"].where(table["Label"] == "fake", "-").to_numpy(str))
    return np.concatenate(embeddings), np.concatenate(systems)


def compare(
    known: tuple[NDArray[np.float64], NDArray[np.str_]], test: tuple[NDArray[np.float64], NDArray[np.str_]]
) -> pd.DataFrame:
    """Compute the EER on each system, and on all that training lacks, with and without the system in training."""
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
        epilog="example:\n  python without_each_system.py results/test.parquet results/{train,valid}.parquet",
    )
    parser.add_argument("test", help="embeddings of test")
    parser.add_argument("known", nargs="+", help="embeddings of train and of valid")
    options.add_format(parser)
    args = parser.parse_args(argv)
    options.print_table(compare(read(args.known), read([args.test])), args.format)
    return 0


if __name__ == "__main__":
    run_program(main)
