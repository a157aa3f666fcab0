#!/usr/bin/env python
"""Fuse several systems: a weighted sum of their scores, fitted by logistic regression on a development set.

The fused scores are natural log-likelihood ratios: above 0 means rather real.
"""

import argparse
from datetime import date

import numpy as np
import pandas as pd

from antideepfake import __version__
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.model_folder.calibration import fit_logistic
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import ScoreWriter, read_scores


def join_systems(paths: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Give the first file's table, and the scores of all, shape [utterances, systems], in its order."""
    first, *others = (read_scores(path) for path in paths)
    columns = [first["Score"].to_numpy()]
    for path, table in zip(paths[1:], others, strict=True):
        scores = table.drop_duplicates("ID").set_index("ID")["Score"].reindex(first["ID"])
        if scores.isna().any() or len(table) != len(first):
            raise InputError(f"{path}: not of the same utterances as {paths[0]}; score both with one protocol")
        columns.append(scores.to_numpy())
    return first, np.stack(columns, axis=1)


def main() -> int:
    """Parse the command line, fit, apply, write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/fuse.py --fit dev1.csv dev2.csv --apply test1.csv test2.csv --output f.csv",
    )
    parser.add_argument("--fit", nargs="+", required=True, help="score files of a development set, one a system")
    parser.add_argument("--apply", nargs="+", required=True, help="score files of a test set, systems in that order")
    parser.add_argument("--output", required=True, help="score file to write")
    args = parser.parse_args()
    if len(args.fit) != len(args.apply):
        raise InputError(
            f"{len(args.fit)} systems to fit and {len(args.apply)} to apply; give one file of each for both"
        )

    table, scores = join_systems(args.fit)
    is_real = (table["Label"] == "real").to_numpy()
    fuse = fit_logistic(scores[is_real], scores[~is_real])
    for path, weight in zip(args.fit, fuse.weights, strict=True):
        print(f"{weight:>10.4f}  {path}")
    print(f"{fuse.offset:>10.4f}  offset")

    table, scores = join_systems(args.apply)
    metadata = [column for column in table if column not in ("ID", "Score", "Label")]
    with ScoreWriter(args.output, metadata, "\0".join(args.fit + args.apply).encode()) as writer:
        for place, (row, ratio) in enumerate(zip(table.to_dict("records"), fuse(scores), strict=True)):
            writer.write(place, row["ID"], (-ratio / 2, ratio / 2), row["Label"] or None, row)
    writer.merge(len(table))
    records = [record for path in args.apply if (record := read_provenance(path))]
    corpora = sorted({corpus for record in records for corpus in record.metadata.training_corpora})
    source = "a log-likelihood ratio of 0: both classes equally probable"
    fused = ModelMetadata(0.0, source, corpora, provenance=f"fusion of {', '.join(args.apply)}")
    ScoreProvenance("fusion", __version__, date.today().isoformat(), fused).save(args.output)
    print(f"fused scores: {args.output}")
    return 0


if __name__ == "__main__":
    run_program(main)
