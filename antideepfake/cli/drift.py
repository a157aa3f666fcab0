"""Measure how far incoming recordings have drifted.

Compares their embeddings or their scores with those of a reference.

REFERENCE and INCOMING are two files of embeddings (.parquet, written by 'antideepfake score --embeddings') or two score
files. With --scores, the score file of the incoming embeddings, --by shows which kind of recording moved. Utterances of
one speaker are not independent: where the score files of both sides have a column Speaker (--reference_scores for the
reference's embeddings), the test compares speakers. Exits with status 1 when a shift is found.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from antideepfake.evaluation.drift import Drift
    from antideepfake.scoring.embeddings import Embeddings

SHOWN = 5  # dimensions that moved most
FEW = 20  # utterances: smaller groups are left out
EXAMPLE = (
    "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split valid "
    "--output reference.csv\n"
    "drift reference.csv scores.csv --by Attack"
)
NAMES = {"moved %": "moved_percent", "KL": "kullback_leibler", "KS": "kolmogorov_smirnov", "p": "p_value"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("reference", help="embeddings (.parquet) or score file")
    parser.add_argument("incoming", help="embeddings or score file of the incoming recordings")
    parser.add_argument("--scores", help="score file of the incoming embeddings, for --by and --cluster")
    parser.add_argument("--reference_scores", help="score file of the reference embeddings, for --cluster")
    options.add_by(parser)
    options.add_cluster(parser)
    parser.add_argument(
        "--alarm",
        type=options.fraction,
        default=0.01,
        help="report a shift, with exit status 1, at a p of this or less (default: 0.01)",
    )
    options.add_output(
        parser, "folder for drift.png and dimensions.csv, the distances of every dimension", required=False
    )
    options.add_limit(parser)
    options.add_seed(parser, "the sample and of the test")
    options.add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print and write."""
    import json

    import numpy as np
    import pandas as pd

    from antideepfake.evaluation.drift import measure_drift
    from antideepfake.evaluation.evaluator import natural_order
    from antideepfake.scoring.score_file import read_columns

    outputs = [Path(args.output, name) for name in ("dimensions.csv", "drift.png")] if args.output else []
    for path in outputs:
        options.refuse_existing(path, args.overwrite)
    rng = np.random.default_rng(args.seed)
    (reference_ids, reference), (ids, incoming) = read_values(args.reference), read_values(args.incoming)
    scores = args.scores or args.incoming
    if args.by and is_embeddings(scores):
        raise InputError(f"{scores}: embeddings have no columns; --by needs --scores")
    table = read_columns(scores, ids, args.by) if args.by else pd.DataFrame()
    theirs = read_clusters(scores, ids, args.cluster)
    ours = (
        None if theirs is None else read_clusters(args.reference_scores or args.reference, reference_ids, args.cluster)
    )
    if ours is None and args.cluster != "none":
        print(
            "speakers are unknown: utterances are treated as independent, and p is too small if they are not",
            file=sys.stderr,
        )

    def sample(rows: "np.ndarray") -> "np.ndarray":
        if not args.limit or len(rows) <= args.limit:
            return rows
        return np.sort(rng.choice(rows, args.limit, replace=False))

    known = sample(np.arange(len(reference)))

    def measure(rows: "np.ndarray") -> "Drift":
        clusters = None if ours is None or theirs is None else (ours[known], theirs[rows])
        return measure_drift(reference[known], incoming[rows], rng, clusters=clusters)

    chosen = sample(np.arange(len(incoming)))
    drift = measure(chosen)
    rows = [describe("all", len(incoming), drift)]
    for column in args.by:
        groups = table.groupby(column).indices
        for value in sorted(groups, key=natural_order):
            name = f"{column} {value}"
            group = groups[value]
            if len(group) < FEW:
                print(f"{name}: only {len(group)} utterances, left out", file=sys.stderr)
                continue
            rows.append(describe(name, len(group), measure(sample(group))))
    is_alarm, verdict = judge(drift, args.alarm)
    most = np.argsort(-drift.wasserstein)[:SHOWN].tolist()
    plain = [{NAMES.get(key, key.lower()): value for key, value in row.items()} for row in rows]
    if args.format == "json":
        facts = {"alarm": is_alarm, "alarm_level": args.alarm, "verdict": verdict, "clusters": list(drift.clusters)}
        print(json.dumps({**facts, "rows": plain, "moved_most": most}, indent=1))
    elif args.format == "csv":
        options.print_table(pd.DataFrame(plain), "csv")
    else:
        print(format_rows(rows))
        if reference.shape[1] > 1:
            moved = ", ".join(f"{dimension} ({drift.wasserstein[dimension]:.2f})" for dimension in most)
            print(f"moved most, of {reference.shape[1]} dimensions: {moved}")
        print(
            "Wasserstein-1 in standard deviations of the reference, KL in nats minus its bias: means over dimensions."
        )
        print("moved: dimensions that moved by more than chance; 5 % do where nothing moved.")
        units = "utterances" if ours is None else args.cluster or options.SPEAKER
        sizes = f"{drift.clusters[0]} and {drift.clusters[1]}"
        print(f"p: how often chance alone moves them as far, along random directions ({units}: {sizes}).")
        print(verdict)
    if args.output:
        from antideepfake.evaluation.plots import plot_drift, save_plot
        from antideepfake.files import atomic_path

        distances = {name: getattr(drift, name) for name in ("wasserstein", "kullback_leibler", "kolmogorov_smirnov")}
        with atomic_path(outputs[0]) as temporary:
            pd.DataFrame(distances).rename_axis("dimension").to_csv(temporary)
        save_plot(
            plot_drift(reference[known][:, most[:3]], incoming[chosen][:, most[:3]], most[:3], drift.wasserstein),
            outputs[1],
        )
    return 1 if is_alarm else 0


def is_embeddings(path: str) -> bool:
    """Tell whether a path is that of embeddings, by its suffix."""
    return Path(path).suffix == ".parquet"


def read_values(path: str) -> "Embeddings":
    """Read embeddings, or scores as embeddings of one dimension."""
    import numpy as np

    from antideepfake.scoring.embeddings import Embeddings, read_embeddings
    from antideepfake.scoring.score_file import read_scores

    if is_embeddings(path):
        return read_embeddings(path)
    scores = read_scores(path)
    return Embeddings(scores["ID"].tolist(), scores["Score"].to_numpy(np.float32)[:, None])


def read_clusters(scores: str, ids: list[str], column: str | None) -> "np.ndarray | None":
    """Read the cluster of each utterance; None where it is unknown, unless the column was named."""
    from antideepfake.scoring.score_file import read_columns, read_scores

    if column == "none":
        return None
    if column is None and (is_embeddings(scores) or options.SPEAKER not in read_scores(scores)):
        return None
    if is_embeddings(scores):
        raise InputError(f"{scores}: embeddings have no columns; --cluster needs --scores and --reference_scores")
    return read_columns(scores, ids, [column or options.SPEAKER]).iloc[:, 0].to_numpy(dtype=object)


def describe(name: str, count: int, drift: "Drift") -> dict[str, str | int | float]:
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
    """Format what :func:`describe` gives for a terminal."""
    import pandas as pd

    from antideepfake.evaluation.tables import format_text

    styles: Mapping[str, str] = {"moved %": ".0f"}
    lines = [
        [f"{v:{styles.get(k, '.3f')}}" if isinstance(v, float) else f"{v}" for k, v in row.items()] for row in rows
    ]
    return format_text(pd.DataFrame(lines, columns=list(rows[0])))


def judge(drift: "Drift", alarm: float) -> tuple[bool, str]:
    """Tell whether there is a shift, and say so."""
    from antideepfake.evaluation.drift import smallest_p_value

    if smallest_p_value(drift) > alarm:
        counts = f"{drift.clusters[0]} and {drift.clusters[1]}"
        return False, f"no shift can be shown: {counts} independent units are too few for the alarm level {alarm:g}"
    text = f"p = {drift.p_value:.3f}, alarm level {alarm:g}"
    if drift.p_value <= alarm:
        return True, f"shift: incoming recordings differ from the reference by more than chance explains ({text})"
    return False, f"no shift can be shown ({text})"
