#!/usr/bin/env python
"""Measure how far incoming recordings have drifted from a reference, by their embeddings or by their scores.

REFERENCE and INCOMING are two files of embeddings (.parquet, of tools/score.py --embeddings) or two score files. With
--scores, the score file that goes with the incoming embeddings, --by shows which kind of input moved. Utterances of a
speaker are not independent: with a column Speaker in the score files of both (--reference_scores for the reference's
embeddings), the test compares speakers.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.evaluation.drift import Drift, measure_drift, smallest_p_value
from antideepfake.evaluation.tables import format_text
from antideepfake.files import atomic_path
from antideepfake.scoring.embeddings import SUFFIX, Embeddings, read_embeddings
from antideepfake.scoring.score_file import read_scores

SHOWN = 5  # dimensions that moved most
FEW = 20
DEFAULT_CLUSTER = "Speaker"


def read_values(path: str) -> Embeddings:
    """Read embeddings, or scores as such of one dimension."""
    if Path(path).suffix == SUFFIX:
        return read_embeddings(path)
    scores = read_scores(path)
    return Embeddings(scores["ID"].tolist(), scores["Score"].to_numpy(np.float32)[:, None])


def read_columns(path: str, ids: list[str], by: list[str]) -> pd.DataFrame:
    """Read the columns of the utterances from their score file, in their order."""
    if Path(path).suffix == SUFFIX:
        raise InputError(f"{path}: embeddings have no columns; --by needs --scores, --cluster --reference_scores, too")
    table = read_scores(path).set_index("ID")
    missing = [column for column in by if column not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}")
    unknown = [name for name in ids if name not in table.index]
    if unknown:
        raise InputError(f"{path}: does not hold {len(unknown)} of the utterances, such as '{unknown[0]}'")
    return table.loc[ids, by].reset_index(drop=True)


def read_clusters(path: str, scores: str | None, ids: list[str], column: str | None) -> np.ndarray | None:
    """Read what each utterance belongs to; None where that is unknown, unless the column was asked for."""
    if column == "none":
        return None
    table = scores or path
    if column is None and (Path(table).suffix == SUFFIX or DEFAULT_CLUSTER not in read_scores(table)):
        return None
    return read_columns(table, ids, [column or DEFAULT_CLUSTER]).iloc[:, 0].to_numpy(dtype=object)


def choose_at_most(rows: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Take all rows, or so many at random."""
    return rows if len(rows) <= limit else np.sort(rng.choice(rows, limit, replace=False))


def describe(name: str, count: int, drift: Drift) -> dict[str, str | int | float]:
    """Describe a drift by its mean and largest dimension, and the sliced distance with its p-value."""
    return {
        "incoming": name,
        "utterances": count,
        "Wasserstein": float(drift.wasserstein.mean()),
        "largest": float(drift.wasserstein.max()),
        "moved %": float(100 * drift.moved.mean()),
        "KL": max(float(drift.kullback_leibler.mean()), 0.0),
        "KS": float(drift.kolmogorov_smirnov.mean()),
        "sliced": float(drift.sliced),
        "p": float(drift.p_value),
    }


def format_rows(rows: list[dict[str, str | int | float]]) -> str:
    """Lay out what :func:`describe` gives for a terminal."""
    styles = {"moved %": ".0f"}
    lines = [
        [f"{v:{styles.get(k, '.3f')}}" if isinstance(v, float) else f"{v}" for k, v in row.items()] for row in rows
    ]
    return format_text(pd.DataFrame(lines, columns=list(rows[0])))


def judge(drift: Drift, alarm: float) -> tuple[bool, str]:
    """Tell an operator whether there is a shift."""
    smallest = smallest_p_value(drift)
    if smallest > alarm:
        counts = f"{drift.clusters[0]} and {drift.clusters[1]}"
        return False, f"no shift can be shown: {counts} independent units are too few for the alarm level {alarm:g}"
    text = f"p = {drift.p_value:.3f}, alarm level {alarm:g}"
    if drift.p_value <= alarm:
        return True, f"shift: incoming recordings differ from the reference by more than chance explains ({text})"
    return False, f"no shift can be shown ({text})"


def draw_picture(reference: np.ndarray, incoming: np.ndarray, drift: Drift, path: str) -> None:
    """Draw the histograms of the dimensions that moved most, and how far all have."""
    from antideepfake.evaluation.plots import plot_drift, save_plot

    most = np.argsort(-drift.wasserstein)[:3]
    save_plot(plot_drift(reference[:, most], incoming[:, most], most.tolist(), drift.wasserstein), path)


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/drift.py last.parquet this.parquet --scores this.csv --by Language",
    )
    parser.add_argument("reference", help="embeddings (.parquet) or score file")
    parser.add_argument("incoming", help="embeddings or score file of the incoming recordings")
    parser.add_argument("--scores", help="score file of the incoming embeddings, for --by and --cluster")
    parser.add_argument("--reference_scores", help="score file of the reference embeddings, for --cluster")
    parser.add_argument("--by", default="", help="columns to group incoming recordings by, such as Language,Attack")
    parser.add_argument("--cluster", help="column of what belongs together (default: Speaker, if known); none: nothing")
    parser.add_argument("--alarm", type=float, default=0.01, help="alarm at a p of this or less (default: 0.01)")
    parser.add_argument("--fail_on_alarm", action="store_true", help="leave with exit status 1 on an alarm")
    parser.add_argument("--format", default="text", choices=["text", "json"], help="text or json (default: text)")
    parser.add_argument("--output", help="picture to draw (.png, .svg)")
    parser.add_argument("--table", help="CSV file that takes the distances of every dimension")
    parser.add_argument("--limit", type=int, default=10_000, help="utterances of each, drawn at random (default: 10^4)")
    parser.add_argument("--seed", type=int, default=1234, help="of what is drawn (default: 1234)")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    if not 0 < args.alarm < 1:
        raise InputError(f"--alarm is {args.alarm}; it must lie between 0 and 1")
    (known, reference), (ids, incoming) = read_values(args.reference), read_values(args.incoming)
    by = args.by.split(",") if args.by else []
    table = read_columns(args.scores or args.incoming, ids, by) if by else pd.DataFrame()
    theirs = read_clusters(args.incoming, args.scores, ids, args.cluster)
    ours = None if theirs is None else read_clusters(args.reference, args.reference_scores, known, args.cluster)
    if ours is None and args.cluster != "none":
        print(
            "speakers are unknown: utterances are taken as independent, and p is too small if they are not",
            file=sys.stderr,
        )

    sample = choose_at_most(np.arange(len(reference)), args.limit, rng)

    def measure(rows: np.ndarray) -> Drift:
        clusters = None if ours is None or theirs is None else (ours[sample], theirs[rows])
        return measure_drift(reference[sample], incoming[rows], rng, clusters=clusters)

    chosen = choose_at_most(np.arange(len(incoming)), args.limit, rng)
    drift = measure(chosen)
    rows = [describe("all", len(incoming), drift)]
    for column in by:
        for value, group in table.groupby(column, sort=True):
            name = f"{column} {value}"
            if len(group) < FEW:
                print(f"{name}: only {len(group)} utterances, left out", file=sys.stderr)
                continue
            rows.append(describe(name, len(group), measure(choose_at_most(np.asarray(group.index), args.limit, rng))))
    is_alarm, verdict = judge(drift, args.alarm)
    most = np.argsort(-drift.wasserstein)[:SHOWN].tolist()
    if args.format == "json":
        names = {"moved %": "moved_percent", "KL": "kullback_leibler", "KS": "kolmogorov_smirnov", "p": "p_value"}
        plain = [{names.get(key, key.lower()): value for key, value in row.items()} for row in rows]
        facts = {"alarm": is_alarm, "alarm_level": args.alarm, "verdict": verdict, "clusters": list(drift.clusters)}
        print(json.dumps({**facts, "rows": plain, "moved_most": most}, indent=1))
    else:
        print(format_rows(rows))
        if reference.shape[1] > 1:
            moved = ", ".join(f"{dimension} ({drift.wasserstein[dimension]:.2f})" for dimension in most)
            print(f"moved most, of {reference.shape[1]} dimensions: {moved}")
        print("Wasserstein-1 in standard deviations of the reference, KL in nats less its bias: means over dimensions.")
        print("moved: dimensions that moved by more than chance; 5 % do where nothing moved.")
        units = "utterances" if ours is None else args.cluster or DEFAULT_CLUSTER
        sizes = f"{drift.clusters[0]} and {drift.clusters[1]}"
        print(f"p: how often chance alone moves them as far, along random directions ({units}: {sizes}).")
        print(verdict)
    if args.table:
        distances = {name: getattr(drift, name) for name in ("wasserstein", "kullback_leibler", "kolmogorov_smirnov")}
        with atomic_path(args.table) as temporary:
            pd.DataFrame(distances).rename_axis("dimension").to_csv(temporary)
    if args.output:
        draw_picture(reference[sample], incoming[chosen], drift, args.output)
    return 1 if is_alarm and args.fail_on_alarm else 0


if __name__ == "__main__":
    run_program(main)
