#!/usr/bin/env python
"""Tell how far incoming recordings have drifted from a reference, by their embeddings or by their scores.

REFERENCE and INCOMING are two files of embeddings (.parquet, of tools/score.py --embeddings) or two score files. With
--scores, the score file that goes with the incoming embeddings, --by tells which kind of input moved.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from antideepfake.errors import InputError, run_program
from antideepfake.files import atomic_path
from antideepfake.scoring import read_scores
from antideepfake.scoring.drift import Drift, measure_drift
from antideepfake.scoring.embeddings import SUFFIX, Embeddings, read_embeddings
from antideepfake.scoring.tables import format_text

SHOWN = 5  # dimensions that moved most
FEW = 20


def read_values(path: str) -> Embeddings:
    """Read embeddings, or scores as such of one dimension."""
    if Path(path).suffix == SUFFIX:
        return read_embeddings(path)
    scores = read_scores(path)
    return Embeddings(scores["ID"].tolist(), scores["Score"].to_numpy(np.float32)[:, None])


def read_columns(path: str, ids: list[str], by: list[str]) -> pd.DataFrame:
    """Read the columns of the utterances from their score file, in their order."""
    if Path(path).suffix == SUFFIX:
        raise InputError("--by needs --scores, the score file that goes with the incoming embeddings")
    table = read_scores(path).set_index("ID")
    missing = [column for column in by if column not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}")
    unknown = [name for name in ids if name not in table.index]
    if unknown:
        raise InputError(f"{path}: does not hold {len(unknown)} of the utterances, such as '{unknown[0]}'")
    return table.loc[ids, by].reset_index(drop=True)


def draw_at_most(values: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Take all utterances, or so many at random."""
    if len(values) <= limit:
        return values
    return values[np.sort(rng.choice(len(values), limit, replace=False))]


def describe(name: str, count: int, drift: Drift) -> list[str]:
    """Lay out a drift as a row: mean over the dimensions, and the sliced distance with its p-value."""
    means = [drift.wasserstein.mean(), drift.kullback_leibler.mean(), drift.kolmogorov_smirnov.mean()]
    return [name, f"{count}", *(f"{value:.3f}" for value in means), f"{drift.sliced:.3f}", f"{drift.p_value:.3f}"]


def draw_picture(reference: np.ndarray, incoming: np.ndarray, drift: Drift, path: str) -> None:
    """Draw the histograms of the dimensions that moved most, and how far all have."""
    from antideepfake.scoring.pictures import draw_drift, save_figure

    most = np.argsort(-drift.wasserstein)[:3]
    save_figure(draw_drift(reference[:, most], incoming[:, most], most.tolist(), drift.wasserstein), path)


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/drift.py last.parquet this.parquet --scores this.csv --by Language",
    )
    parser.add_argument("reference", help="embeddings (.parquet) or score file")
    parser.add_argument("incoming", help="the same of what came in")
    parser.add_argument("--scores", help="score file of the incoming embeddings, whose columns --by takes")
    parser.add_argument("--by", default="", help="columns to divide what came in by, such as Language,Attack")
    parser.add_argument("--output", help="picture to draw (.png, .svg)")
    parser.add_argument("--table", help="CSV file that takes the distances of every dimension")
    parser.add_argument("--limit", type=int, default=10_000, help="utterances of each, drawn at random (default: 10^4)")
    parser.add_argument("--seed", type=int, default=1234, help="of what is drawn (default: 1234)")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    reference = draw_at_most(read_values(args.reference).values, args.limit, rng)
    ids, incoming = read_values(args.incoming)
    by = args.by.split(",") if args.by else []
    table = read_columns(args.scores or args.incoming, ids, by) if by else pd.DataFrame()
    chosen = draw_at_most(incoming, args.limit, rng)
    drift = measure_drift(reference, chosen, rng)
    rows = [describe("all", len(incoming), drift)]
    for column in by:
        for value, group in table.groupby(column, sort=True):
            name = f"{column} {value}"
            if len(group) < FEW:
                print(f"{name}: only {len(group)} utterances, left out", file=sys.stderr)
                continue
            part = draw_at_most(incoming[np.asarray(group.index)], args.limit, rng)
            rows.append(describe(name, len(group), measure_drift(reference, part, rng)))
    heads = ["incoming", "utterances", "Wasserstein", "KL", "KS", "sliced", "p"]
    print(format_text(pd.DataFrame(rows, columns=heads)))
    if reference.shape[1] > 1:
        most = np.argsort(-drift.wasserstein)[:SHOWN]
        moved = ", ".join(f"{dimension} ({drift.wasserstein[dimension]:.2f})" for dimension in most)
        print(f"moved most, of {reference.shape[1]} dimensions: {moved}")
    print("Wasserstein-1 in standard deviations of the reference, Kullback-Leibler in nats: means over the dimensions.")
    sizes = f"{len(reference)} and {len(chosen)} utterances"
    print(f"p: how often chance alone moves {sizes} as far, along random directions.")
    if args.table:
        distances = {name: getattr(drift, name) for name in ("wasserstein", "kullback_leibler", "kolmogorov_smirnov")}
        with atomic_path(args.table) as temporary:
            pd.DataFrame(distances).rename_axis("dimension").to_csv(temporary)
    if args.output:
        draw_picture(reference, chosen, drift, args.output)
    return 0


if __name__ == "__main__":
    run_program(main)
