"""Measure robustness to noise, codecs and other distortions.

Measures the error rate on the same utterances under each distortion. Also reports whether the detector relies on
non-speech segments: whether it separates real from fake when speech is removed. Run again after an interruption, it
continues where it stopped.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

CHANCE = 0.45  # an EER whose interval lies below it is better than chance
NO_SPEECH = "no speech"
NAMES = (
    "white noise",
    "pink noise",
    "reverberation",
    "bandwidth",
    "mp3",
    "vorbis",
    "opus",
    "a-law",
    "g723",
    "gsm",
    "level",
    "clipping",
    "speed",
    "trimmed",
    NO_SPEECH,
)
EXAMPLE = (
    "robustness recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split test "
    "--limit 100 --output robustness"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder, Hub id, or ONNX file of convert")
    parser.add_argument("protocol", help="protocol of a test set with real and fake speech")
    options.add_output(parser, "folder for scores, robustness.csv and robustness.png")
    parser.add_argument(
        "--perturbations",
        action=options.Names,
        allowed=NAMES,
        metavar="NAME",
        help=f"some of {', '.join(NAMES)} (default: all)",
    )
    options.add_data_folder(parser)
    options.add_split(parser)
    options.add_limit(parser)
    options.add_seed(parser, "perturbations, sample and intervals")
    options.add_scoring(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, write and print."""
    table_path, plot_path = (Path(args.output, f"robustness.{suffix}") for suffix in ("csv", "png"))
    options.refuse_existing(table_path, args.overwrite)

    from antideepfake.augment.perturbations import PERTURBATIONS
    from antideepfake.evaluation.plots import plot_robustness, save_plot
    from antideepfake.evaluation.robustness import measure_robustness
    from antideepfake.files import atomic_path
    from antideepfake.protocol.table import read_split

    table = sample(read_split(args.protocol, args.split), args.limit, args.seed)
    if set(table["Label"]) != {"real", "fake"}:
        raise InputError(f"{args.protocol}: needs real and fake utterances; it has {len(table)} rows of this split")
    detector = options.load_model(args)
    names = args.perturbations or list(NAMES)
    how = (args.seed, args.batch_seconds, args.overwrite, args.quiet)
    results, skipped = measure_robustness(detector, table, args.data_folder, args.output, names, *how)
    save_plot(plot_robustness(results, {name: PERTURBATIONS[name].unit for name in names}), plot_path)
    with atomic_path(table_path) as temporary:
        results.to_csv(temporary, index=False)
    if args.format == "table":
        print(format_rows(results))
        print(judge_silence(results), end="")
    else:
        options.print_table(results, args.format)
    print(f"table and plot: {args.output}", file=sys.stderr)
    if skipped:
        print(f"up to {skipped} files of a condition skipped; see {args.output}/scores/*.skipped.csv", file=sys.stderr)
    return 1 if skipped else 0


def sample(table: "pd.DataFrame", limit: int, seed: int) -> "pd.DataFrame":
    """Sample so many utterances, the same fraction of each label, in the order of the protocol."""
    if not limit or len(table) <= limit:
        return table
    return table.groupby("Label").sample(frac=limit / len(table), random_state=seed).sort_index()


def format_rows(rows: "pd.DataFrame") -> str:
    """Format the conditions for a terminal."""
    import numpy as np
    import pandas as pd

    from antideepfake.augment.perturbations import PERTURBATIONS
    from antideepfake.evaluation.robustness import CLEAN
    from antideepfake.evaluation.tables import format_text

    lines = []
    for row in rows.itertuples():
        unit = "" if row.perturbation == CLEAN else f"{row.strength:g}  {PERTURBATIONS[row.perturbation].unit}"
        apart = ["", ""] if np.isnan(row.difference) else [f"{100 * row.difference:+.2f}", f"{row.p:.3f}"]
        lines.append(
            [row.perturbation, unit, f"{100 * row.eer:.2f}", f"{100 * row.low:.2f} - {100 * row.high:.2f}", *apart]
        )
    heads = ["perturbation", "strength", "EER %", "95 % interval", "difference", "p"]
    return format_text(pd.DataFrame(lines, columns=heads))


def judge_silence(rows: "pd.DataFrame") -> str:
    """Say whether the detector relies on non-speech segments; empty where that was not measured."""
    alone = rows[rows["perturbation"] == NO_SPEECH]
    if alone.empty:
        return ""
    eer, high = 100 * alone["eer"].iloc[0], alone["high"].iloc[0]
    if high < CHANCE:
        return f"Warning: the detector relies on non-speech segments (EER with speech removed: {eer:.1f} %).\n"
    return f"The detector does not rely on non-speech segments (EER with speech removed: {eer:.1f} %).\n"
