"""Evaluate timelines: how well do they say where utterances are fake?

TIMELINE is a file that 'antideepfake score PROTOCOL --timeline_output' wrote: .json, with the score of every step, or
.csv, with segments. The truth is the file of segments beside PROTOCOL, <protocol>.segments.csv, with the columns ID,
Start, End and Label. Prints the equal error rate of segments of several lengths (a segment is fake if any part of it
is) and the range-based one, which counts time, with 95 % intervals by a bootstrap over utterances; then precision,
recall and F1 of fake time at the model's threshold. --output takes localization.csv and localization.png, a plot of
some partially fake utterances.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 6  # utterances in the plot
RESOLUTIONS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
RATES = {"precision": "precision", "recall": "recall", "F1": "f1"}
EXAMPLE = (
    "splice data/MiniCorpus.csv --data_folder data --split test --output_folder data/Partial "
    "--output data/Partial.csv\n"
    "score recipes/MiniCorpus/results/small/model data/Partial.csv --data_folder data --output partial_scores.csv "
    "--timeline_output timeline.json\n"
    "localize timeline.json data/Partial.csv --output localization"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("timeline", help="timelines of 'antideepfake score', .json or .csv")
    parser.add_argument("protocol", help="protocol that was scored")
    parser.add_argument("--segments", help="true segments (default: <protocol>.segments.csv)")
    parser.add_argument(
        "--resolutions",
        type=options.seconds,
        nargs="+",
        default=RESOLUTIONS,
        help="lengths of segments in seconds (default: 0.02 0.04 0.08 0.16 0.32 0.64)",
    )
    parser.add_argument(
        "--threshold", type=float, help="a score at or above it means real (default: the model's, if the file has it)"
    )
    options.add_output(parser, "folder for localization.csv and localization.png", required=False)
    options.add_seed(parser, "the intervals and of the utterances in the plot")
    options.add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print and write."""
    outputs = [Path(args.output, f"localization.{form}") for form in ("csv", "png")] if args.output else []
    for path in outputs:
        options.refuse_existing(path, args.overwrite)

    import numpy as np

    from antideepfake.evaluation.localization import evaluate_localization, rate_decisions
    from antideepfake.protocol.segments import read_segments, segments_path
    from antideepfake.protocol.table import read_protocol
    from antideepfake.scoring.timeline_file import read_timelines

    protocol = read_protocol(args.protocol)
    spans = read_segments(args.segments or segments_path(args.protocol), protocol)
    timelines = read_timelines(args.timeline)
    rng = np.random.default_rng(args.seed)
    table = evaluate_localization(timelines, spans, rng, args.resolutions)
    rates = rate_decisions(timelines, spans, args.threshold)
    if args.format == "json":
        import json

        rows = json.loads(table.to_json(orient="records", double_precision=15))
        known = {name: None if np.isnan(rate) else rate for name, rate in rates.items()}
        print(json.dumps({"utterances": len(timelines), "eer": rows, "fake_time": known}, indent=1))
    elif args.format == "csv":
        options.print_table(table, "csv")
    else:
        print_result(len(timelines), table, rates)
    if not rates:
        print(f"{args.timeline}: contains no threshold; --threshold gives precision and recall", file=sys.stderr)
    if args.output:
        from antideepfake.evaluation.plots import plot_localization, save_plot
        from antideepfake.files import atomic_path

        with atomic_path(outputs[0]) as temporary:
            table.to_csv(temporary, index=False)
        durations = {name: timeline.edges[-1] - timeline.edges[0] for name, timeline in timelines.items()}
        partial = [name for name in timelines if 0 < np.diff(spans[name]).sum() < 0.99 * durations[name]]
        names = partial or list(timelines)
        chosen = [names[index] for index in np.sort(rng.permutation(len(names))[:SHOWN])]
        save_plot(plot_localization({name: timelines[name] for name in chosen}, spans, args.threshold), outputs[1])
    return 0


def print_result(count: int, table: "pd.DataFrame", rates: dict[str, float]) -> None:
    """Print the error rates, and the rates of fake time, for people."""
    import pandas as pd

    from antideepfake.evaluation.tables import format_text

    lines = []
    for row in table.itertuples():
        is_range = row.resolution != row.resolution
        unit = " s" if is_range else ""
        lines.append(
            {
                "segments": "range-based" if is_range else f"{1000 * row.resolution:g} ms",
                "real": f"{row.real:.0f}{unit}",
                "fake": f"{row.fake:.0f}{unit}",
                "EER %": f"{100 * row.eer:.2f}",
                "95 % interval": f"{100 * row.low:.2f} - {100 * row.high:.2f}",
            }
        )
    print(f"{count} utterances")
    print(format_text(pd.DataFrame(lines)))
    if rates:
        shown = ", ".join(f"{name} {100 * rates[key]:.1f} %" for name, key in RATES.items())
        print(f"fake time at the threshold: {shown}")
