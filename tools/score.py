#!/usr/bin/env python
"""Score recordings: how likely is each to be real speech?

MODEL is a model folder or the hub id of one. INPUT is an audio file, a folder (searched at any depth) or a protocol
(.csv, .arrow); there may be several. Prints a table and writes the score file; run again after an interruption, it goes
on where it stopped.

Under torchrun, several processes share the work, with --device cuda on a GPU each. An interrupted run may go on with
more of them or fewer.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from glob import escape
from math import isfinite
from pathlib import Path

import pandas as pd
from torch import distributed

from antideepfake.cli.program import paint, run_program
from antideepfake.corpora.walk import find_audio
from antideepfake.errors import InputError
from antideepfake.files import lock_output
from antideepfake.inference.detector import load_detector
from antideepfake.protocol.table import read_protocol
from antideepfake.scoring.score_file import iterate_scores
from antideepfake.scoring.scorer import score_protocol

COLORS = {"real": "green", "fake": "red", "unsure": "yellow"}
LINES = 40  # of the table; the score file has all
PROTOCOLS = (".csv", ".arrow")  # suffixes


def take_split(path: str | Path, split: str) -> pd.DataFrame:
    """Read the rows of one split of a protocol, or all."""
    protocol = read_protocol(path)
    if not split:
        return protocol
    if not (protocol["Proportion"] == split).any():
        raise InputError(f"{path}: nothing in the split {split}; see the column Proportion")
    return protocol[protocol["Proportion"] == split]


def find_inputs(inputs: list[str], split: str) -> pd.DataFrame:
    """Gather files, folders and protocols, or a split of these, into one table with at least ID, Label and Path."""
    if len(inputs) == 1 and Path(inputs[0]).suffix.lower() in PROTOCOLS:
        # as it is: it may have ten million rows, and was checked
        return take_split(inputs[0], split)
    tables = []
    for name in inputs:
        if not name:
            raise InputError("an input is an empty text; name a file, a folder or a protocol")
        path = Path(name)
        if path.suffix.lower() in PROTOCOLS:
            tables.append(take_split(path, split).astype(str))
            continue
        if _is_missing(path):
            raise InputError(f"{path}: no such file or folder")
        names = [file.as_posix() for file in (find_audio(path) if os.path.isdir(path) else [path])]
        rows = {"ID": names, "Label": "", "Path": [os.path.abspath(name) for name in names]}
        tables.append(pd.DataFrame(rows, dtype=object))  # pandas' strings cannot hold a name that is not UTF-8
    table = pd.concat(tables, ignore_index=True).fillna("-")
    if table["ID"].duplicated().any():
        repeated = table.loc[table["ID"].duplicated(), "ID"].iloc[0]
        raise InputError(f"'{repeated}' is given twice; name every file once")
    if (broken := table["ID"].str.contains("[\r\n]")).any():
        raise InputError(f"{table.loc[broken, 'ID'].iloc[0]!r}: a line end in a name; rename the file")
    return table


def _is_missing(path: Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # a name that is too long, and the like: skipped with its reason
        return False
    return False


def format_scores(scores: Iterable[tuple[str, float, bool]], threshold: float) -> str:
    """Lay out names and scores for a terminal: decision, score, file."""
    lines = [f"{'decision':<10}{'score':>8}  file"]
    counts: Counter[str] = Counter()
    for name, score, is_ood in scores:
        decision = "unsure" if is_ood else "real" if score >= threshold else "fake"
        counts[decision] += 1
        if counts.total() <= LINES:
            word = paint(f"{decision:<10}", COLORS[decision], sys.stdout)
            lines.append(f"{word}{score:>8.2f}  {name if len(name) <= 78 else '...' + name[-75:]}")
    if counts.total() > LINES:
        lines.append(f"... and {counts.total() - LINES} more")
    unsure = f", {counts['unsure']} unsure (far from what the model knows)" if counts["unsure"] else ""
    lines.append(
        f"{counts.total()} scored: {counts['real']} real, {counts['fake']} fake{unsure} "
        f"(score at or above {threshold:.2f}: real)"
    )
    return "\n".join(lines)


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that would fail, or harm another file, after hours of work."""
    if args.num_workers < 0:
        raise InputError(f"--num_workers is {args.num_workers}; it must be 0 or more")
    if not (isfinite(args.batch_seconds) and args.batch_seconds > 0):
        raise InputError(f"--batch_seconds is {args.batch_seconds}; it must be a number of seconds above 0")
    if not args.output or args.output.endswith(os.sep) or os.path.isdir(args.output):
        raise InputError(f"--output is '{args.output}'; it must name a file, not a folder")
    protected = {os.path.realpath(path) for path in (args.model, *args.inputs)}
    for name, path in (("output", args.output), ("embeddings", args.embeddings)):
        if path and os.path.realpath(path) in protected:
            raise InputError(f"--{name} is {path}, which another argument names too; choose another file")
        protected.add(os.path.realpath(path or args.output))


def refuse_existing(args: argparse.Namespace) -> None:
    """Refuse to replace what an earlier run wrote, unless asked; what a killed one left is gone on with."""
    if args.overwrite:
        return
    if os.path.exists(args.output):
        raise InputError(f"{args.output}: already exists; choose another --output or pass --overwrite")
    if args.embeddings and os.path.exists(args.embeddings):
        path = Path(args.embeddings)
        if not list(path.parent.glob(f"{escape(path.name)}.*.part")):  # which go after the score file has come
            raise InputError(f"{path}: already exists; choose another file for --embeddings or pass --overwrite")


@contextmanager
def join_processes() -> Iterator[tuple[int, int]]:
    """Give the rank of this process and how many there are: those that torchrun started, or one alone."""
    try:
        rank, world_size = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    except ValueError:
        raise InputError(
            "RANK and WORLD_SIZE must be whole numbers; torchrun sets them, otherwise unset them"
        ) from None
    if world_size == 1:
        yield 0, 1
        return
    # The first to have scored its share waits for the last, and all of them for the first to begin.
    distributed.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        yield rank, world_size
    finally:
        distributed.destroy_process_group()


def main() -> int:
    """Parse the command line, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/score.py recipes/MiniCorpus/results/small/model recording.wav",
    )
    parser.add_argument("model", help="model folder or hub id")
    parser.add_argument("inputs", nargs="+", metavar="input", help="audio file, folder or protocol")
    parser.add_argument("--output", default="scores.csv", help="score file to write (default: scores.csv)")
    parser.add_argument("--embeddings", help="file (.parquet) that takes what the classifier saw, for tools/drift.py")
    parser.add_argument("--data_folder", default=".", help="what $ROOT stands for in a protocol (default: .)")
    parser.add_argument("--split", default="", help="rows of a protocol to take, by Proportion (default: all)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.add_argument("--precision", default="fp32", help="fp32 or bf16 (default: fp32)")
    parser.add_argument(
        "--batch_seconds", type=float, default=16.0, help="audio in a batch, in seconds (default: 16; GPU: 100)"
    )
    parser.add_argument("--num_workers", type=int, default=0, help="processes that read files (default: 0, this one)")
    parser.add_argument("--overwrite", action="store_true", help="replace a score file that is there")
    parser.add_argument(
        "--trust_code", action="store_true", help="load a model folder whose hyperparams.yaml can run code"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()

    check_options(args)
    table = find_inputs(args.inputs, args.split)
    device = args.device
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    detector = load_detector(args.model, device, args.precision, args.trust_code)
    with join_processes() as (rank, world_size), ExitStack() as locks:
        if rank == 0:
            for path in filter(None, (args.output, args.embeddings)):
                locks.enter_context(lock_output(path))
            refuse_existing(args)
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
            [name for name in args.inputs if Path(name).suffix.lower() in PROTOCOLS],
        )
    if rank > 0:
        return 0
    print(format_scores(iterate_scores(args.output), detector.hparams.metadata.threshold))
    print(f"score file: {args.output}")
    for result in skipped[:LINES]:
        print(f"skipped {result.error}", file=sys.stderr)
    if skipped:
        print(f"{len(skipped)} files skipped; the list is {args.output}.skipped.csv", file=sys.stderr)
    return 1 if skipped else 0


if __name__ == "__main__":
    run_program(main)
