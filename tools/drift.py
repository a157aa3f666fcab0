#!/usr/bin/env python
"""Tell how far incoming recordings have drifted from a reference, by their embeddings or by their scores.

REFERENCE and INCOMING are two files of embeddings (.npy, of tools/score.py --embeddings) or two score files. With
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
from antideepfake.scoring.embeddings import read_embeddings
from antideepfake.scoring.tables import format_text

SHOWN = 5  # dimensions that moved most
FEW = 20


def read_values(path: str) -> np.ndarray:
    """Read embeddings, or scores as one dimension."""
    if Path(path).suffix == ".npy":
        return read_embeddings(path)
    return read_scores(path)["Score"].to_numpy()[:, None]


def draw_at_most(values: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Take all utterances, or so many at random."""
    if len(values) <= limit:
        return np.asarray(values)
    return np.asarray(values[np.sort(rng.choice(len(values), limit, replace=False))])


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
        epilog="example:\n  python tools/drift.py last_month.npy this_month.npy --scores this_month.csv --by Language",
    )
    parser.add_argument("reference", help="embeddings (.npy) or score file")
    parser.add_argument("incoming", help="the same of what came in")
    parser.add_argument("--scores", help="score file of the incoming embeddings, whose columns --by takes")
    parser.add_argument("--by", default="", help="columns to divide what came in by, such as Language,Attack")
    parser.add_argument("--output", help="picture to draw (.png, .svg)")
    parser.add_argument("--table", help="CSV file that takes the distances of every dimension")
    parser.add_argument("--limit", type=int, default=10_000, help="utterances of each, drawn at random (default: 10^4)")
    parser.add_argument("--seed", type=int, default=1234, help="of what is drawn (default: 1234)")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    reference, incoming = draw_at_most(read_values(args.reference), args.limit, rng), read_values(args.incoming)
    by = args.by.split(",") if args.by else []
    source = args.scores or args.incoming
    if by and Path(source).suffix == ".npy":
        raise InputError("--by needs --scores, the score file that goes with the incoming embeddings")
    table = read_scores(source) if by else pd.DataFrame(index=range(len(incoming)))
    if len(table) != len(incoming):
        raise InputError(f"{source}: {len(table)} utterances; {args.incoming} has {len(incoming)}")
    missing = [column for column in by if column not in table]
    if missing:
        raise InputError(f"{source}: no column {', '.join(missing)}")

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
