"""Score recordings: how likely is each bona fide?

MODEL is a model folder or its id on the Hugging Face Hub. INPUT is an audio file, a folder (searched at any depth) or a
protocol (.csv, .arrow). Prints a table and writes the score file; run again after an interruption, it continues where
it stopped.

Under torchrun, several processes share the work, each on a GPU of its own:
  torchrun --nproc_per_node=4 -m antideepfake score MODEL INPUT --device cuda
An interrupted run may continue with another number of processes.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from glob import escape
from pathlib import Path

from antideepfake.cli import options
from antideepfake.cli.program import paint
from antideepfake.errors import InputError

COLORS = {"real": "green", "fake": "red", "unsure": "yellow"}
LINES = 40  # of the table; the score file has all
EXAMPLE = "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder or Hub id")
    parser.add_argument("inputs", nargs="+", metavar="input", help="audio file, folder or protocol")
    options.add_output(parser, "score file to write", default="scores.csv")
    parser.add_argument("--embeddings", help="file (.parquet) for the embeddings, which drift and fit-ood read")
    options.add_data_folder(parser)
    options.add_split(parser)
    options.add_scoring(parser)
    options.add_num_workers(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    check_paths(args)
    check_existing(args)

    from antideepfake.distributed import join_processes
    from antideepfake.files import lock_output
    from antideepfake.inference.detector import load_detector
    from antideepfake.scoring.inputs import find_inputs, is_protocol
    from antideepfake.scoring.score_file import iterate_scores
    from antideepfake.scoring.scorer import score_protocol

    table = find_inputs(args.inputs, args.split)
    device = options.choose_device(args.device, args.quiet)
    detector = load_detector(args.model, device, args.precision, args.trust_code)
    with join_processes() as (rank, world_size), ExitStack() as locks:
        if rank == 0:
            for path in filter(None, (args.output, args.embeddings)):
                locks.enter_context(lock_output(path))
            check_existing(args)  # again: another run may have finished while the detector was loaded
        skipped = score_protocol(
            detector,
            table,
            args.data_folder,
            args.output,
            args.batch_seconds,
            args.num_workers,
            args.quiet,
            rank,
            world_size,
            args.embeddings,
            [name for name in args.inputs if is_protocol(name)],
        )
    if rank > 0:
        return 0
    print_scores(iterate_scores(args.output), detector.hparams.metadata.threshold, args.format)
    print(f"score file: {args.output}", file=sys.stderr if args.format != "table" else sys.stdout)
    for result in skipped[:LINES]:
        print(f"skipped {result.error}", file=sys.stderr)
    if skipped:
        print(f"{len(skipped)} files skipped; the list is {args.output}.skipped.csv", file=sys.stderr)
    return 1 if skipped else 0


def check_paths(args: argparse.Namespace) -> None:
    """Refuse paths that would fail, or harm another file, after hours of work."""
    if not args.output or args.output.endswith(os.sep) or os.path.isdir(args.output):
        raise InputError(f"--output is '{args.output}'; it must name a file, not a folder")
    protected = {os.path.realpath(path) for path in (args.model, *args.inputs)}
    for name, path in (("output", args.output), ("embeddings", args.embeddings)):
        if path and os.path.realpath(path) in protected:
            raise InputError(f"--{name} is {path}, which another argument names too; choose another file")
        protected.add(os.path.realpath(path or args.output))


def check_existing(args: argparse.Namespace) -> None:
    """Refuse to replace what an earlier run finished; what an interrupted run left is continued."""
    options.refuse_existing(args.output, args.overwrite)
    if args.embeddings:
        path = Path(args.embeddings)
        if not list(path.parent.glob(f"{escape(path.name)}.*.part")):  # removed once the score file is complete
            options.refuse_existing(path, args.overwrite, "--embeddings")


def print_scores(scores: Iterable[tuple[str, float, bool]], threshold: float, form: str) -> None:
    """Print all scores for programs, or the first ones and their counts for people."""
    import csv
    import json

    from antideepfake.model_folder import decide

    decisions = ((name, score, decide(score, threshold, is_ood)) for name, score, is_ood in scores)
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["file", "score", "decision"])
        writer.writerows(decisions)
    elif form == "json":  # an object a line, however many there are
        separator = "[\n"
        for name, score, decision in decisions:
            print(separator, json.dumps({"file": name, "score": score, "decision": decision}), sep="", end="")
            separator = ",\n"
        print("[]" if separator == "[\n" else "\n]")
    else:
        print(format_scores(decisions, threshold))


def format_scores(decisions: Iterable[tuple[str, float, str]], threshold: float) -> str:
    """Format decisions, scores and files for a terminal."""
    lines = [f"{'decision':<10}{'score':>8}  file"]
    counts: Counter[str] = Counter()
    for name, score, decision in decisions:
        counts[decision] += 1
        if counts.total() <= LINES:
            word = paint(f"{decision:<10}", COLORS[decision], sys.stdout)
            lines.append(f"{word}{score:>8.2f}  {name if len(name) <= 78 else '...' + name[-75:]}")
    if counts.total() > LINES:
        lines.append(f"... and {counts.total() - LINES} more")
    unsure = f", {counts['unsure']} unsure (out of distribution)" if counts["unsure"] else ""
    lines.append(
        f"{counts.total()} scored: {counts['real']} real, {counts['fake']} fake{unsure} "
        f"(score at or above {threshold:.2f}: real)"
    )
    return "\n".join(lines)
