#!/usr/bin/env python
"""Measure the time and memory of this package on this machine, beside a plain way to do the same.

Each measurement runs two commands in turn, in processes of their own: a plain one, with general libraries, and one of
this package. The program prints the medians, writes them to benchmark.json in --output, and plots how time and memory
grow with the work in benchmark.png. Ratios are relative to the plain command: below 1, this package takes less.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from benchmarks.arithmetic import Speed, measure_arithmetic
from benchmarks.inputs import Inputs
from benchmarks.measure import Result, measure

from antideepfake.cli import options
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, atomic_path

SUBJECTS = ("starting", "evaluation", "merging", "preparation", "loading", "scoring", "training", "page", "scale")
ON_REQUEST = "scale"  # takes an hour
FRONT_ENDS = Path(__file__).parents[1] / "hparams" / "front_ends"
QUICK = 0.05
MARKERS = "os^v"  # in the plot, by the number of cores
HEADING = (
    f"{'what':<36}{'work':>15}{'cores':>6}{'plain, s':>10}{'own, s':>9}{'ratio':>7}{'CPU ratio':>10}"
    f"{'plain, MB':>11}{'own, MB':>9}{'change':>9}"
)
EXAMPLE = "python tools/benchmark.py evaluation merging --scale 0.01 0.1 1 --cores 1 2"


def read_processor() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def format_result(item: Result) -> str:
    """Format a row of the table."""
    return (
        f"{item.subject + ': ' + item.name:<36}{item.work:>8.7g} {item.unit:<6}{item.cores:>6}"
        f"{item.plain.wall:>10.2f}{item.own.wall:>9.2f}{item.ratio:>7.2f}{item.processor_ratio:>10.2f}"
        f"{item.plain.memory / 1e6:>11.0f}{item.own.memory / 1e6:>9.0f}"
        + (f"{item.difference:>9.1e}" if item.difference is not None else "")
    )


def format_speeds(speeds: Sequence[Speed]) -> str:
    """Format the floating-point operations as a table."""
    lines = [
        f"{'one thread':<24}{'precision':<10}{'s of audio per s':>17}{'GFLOP per s of audio':>22}{'GFLOP/s':>9}"
        f"{'peak':>7}{'share':>7}"
    ]
    for item in speeds:
        lines.append(
            f"{item.route:<24}{item.precision:<10}{item.seconds:>17.1f}{item.operations:>22.1f}{item.speed:>9.1f}"
            f"{item.peak:>7.1f}{item.speed / item.peak:>7.0%}"
        )
    return "\n".join(lines)


def write_results(path: Path, machine: dict[str, Any], results: Sequence[Result], speeds: Sequence[Speed]) -> None:
    """Write all numbers as JSON."""
    rows = [
        item._asdict() | {"plain": item.plain._asdict(), "own": item.own._asdict(), "ratio": item.ratio}
        for item in results
    ]
    with atomic_open(path) as file:
        json.dump(machine | {"results": rows, "arithmetic": [item._asdict() for item in speeds]}, file, indent=1)


def plot_growth(results: Sequence[Result], path: Path) -> None:
    """Plot wall time, processor time and memory by work, in a row for each subject and unit of work."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    lines: dict[tuple[str, str], dict[tuple[str, int], list[Result]]] = {}
    for item in sorted(results, key=lambda item: item.work):
        lines.setdefault((item.subject, item.unit), {}).setdefault((item.name, item.cores), []).append(item)
    figure, axes = pyplot.subplots(len(lines), 3, figsize=(15, 3.2 * len(lines)), squeeze=False)
    cores_of = sorted({item.cores for item in results})
    for row, ((subject, unit), tasks) in zip(axes, lines.items(), strict=True):
        names = list(dict.fromkeys(name for name, _ in tasks))
        for (name, cores), points in tasks.items():
            work = [item.work for item in points]
            look = {"color": f"C{names.index(name)}", "marker": MARKERS[cores_of.index(cores) % len(MARKERS)]}
            for panel, field, scale in zip(row, ("wall", "processor", "memory"), (1, 1, 1e6), strict=True):
                for side, style in (("plain", "--"), ("own", "-")):
                    values = [getattr(getattr(item, side), field) / scale for item in points]
                    panel.plot(work, values, style, **look, markersize=4, label=name if side == "own" else None)
        for panel, title in zip(row, ("time, s", "processor time, s", "peak memory, MB"), strict=True):
            panel.set(xscale="log", yscale="log", xlabel=f"work, {unit}", title=f"{subject}: {title}")
            panel.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
            panel.yaxis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(1.5, 0.5)))
            panel.grid(alpha=0.3)
        handles = dict(zip(*reversed(row[-1].get_legend_handles_labels()), strict=True))
        for cores in cores_of if len(cores_of) > 1 else ():
            marker = MARKERS[cores_of.index(cores) % len(MARKERS)]
            handles[f"{cores} core{'s' * (cores > 1)}"] = pyplot.Line2D(
                [], [], color="gray", marker=marker, linewidth=0
            )
        title = "dashed: the plain way"
        row[-1].legend(
            handles.values(), handles, title=title, loc="upper left", bbox_to_anchor=(1, 1), fontsize="small"
        )
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)


def main() -> int:
    """Parse the command line, measure, print, write, plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=f"example:\n  {EXAMPLE}"
    )
    names = (*SUBJECTS, "arithmetic")
    parser.add_argument(
        "subjects", nargs="*", metavar="subject", help=f"{', '.join(names)} (default: all but {ON_REQUEST})"
    )
    parser.add_argument(
        "--scale", nargs="+", type=options.seconds, default=[1.0], help="work relative to the default, such as 0.1 1 10"
    )
    parser.add_argument(
        "--cores", nargs="+", type=options.positive_number, default=[1], help="threads and workers (default: 1)"
    )
    parser.add_argument("--rounds", type=options.positive_number, default=3, help="report medians of so many runs")
    parser.add_argument("--quick", action="store_true", help=f"one round at the scale {QUICK}: about two minutes")
    parser.add_argument(
        "--front_end", default="w2v_small", help="of the detector: name in hparams/front_ends, or YAML file"
    )
    options.add_output(parser, "folder for benchmark.json and benchmark.png", "results/benchmark")
    options.add_quiet(parser)
    args = parser.parse_args()
    if unknown := set(args.subjects) - set(names):
        raise InputError(f"subject '{unknown.pop()}' is unknown; use {', '.join(names)}")
    front_end = Path(args.front_end)
    if front_end.suffix != ".yaml":
        front_end = FRONT_ENDS / f"{args.front_end}.yaml"
    if not front_end.is_file():
        raise InputError(f"{front_end}: no such file; --front_end takes a name in hparams/front_ends or a YAML file")
    written = Path(args.output, "benchmark.json")
    options.refuse_existing(written, args.overwrite)

    subjects = args.subjects or [name for name in names if name != ON_REQUEST]
    scales, rounds = ([QUICK], 1) if args.quick else (args.scale, args.rounds)
    machine = {
        "processor": read_processor(),
        "cores": os.cpu_count(),
        "torch": metadata.version("torch"),
        "start": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "load": os.getloadavg()[0],
        "rounds": rounds,
        "front_end": args.front_end,
    }
    results: list[Result] = []
    speeds: list[Speed] = []
    print(HEADING, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for subject in filter(SUBJECTS.__contains__, subjects):
            module = import_module(f"benchmarks.{subject}")
            for cores in args.cores:
                for scale in scales:
                    inputs = Inputs(Path(scratch), front_end.resolve(), scale, cores)
                    measurements = list(module.list_measurements(inputs))
                    for result in measure(subject, measurements, inputs.folder, cores, rounds, args.quiet):
                        results.append(result)
                        print(format_result(result), flush=True)
                    machine["load"] = max(run.load for item in results for run in (item.plain, item.own))
                    write_results(written, machine, results, speeds)  # now, since the next subject takes minutes
        if "arithmetic" in subjects:
            speeds = measure_arithmetic(Inputs(Path(scratch), front_end.resolve(), scales[-1], 1), rounds)
            print(format_speeds(speeds))
            write_results(written, machine, results, speeds)
    print(f"{machine['processor']}, {machine['cores']} cores, load up to {machine['load']:.1f}; ", end="")
    print(f"{machine['start']}; torch {machine['torch']}; medians of {rounds} rounds")
    if results:
        plot_growth(results, Path(args.output, "benchmark.png"))
    return 0


if __name__ == "__main__":
    run_program(main)
