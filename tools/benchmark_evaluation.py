#!/usr/bin/env python
"""Measure how long an evaluation takes: reading the score file, all metrics, and their confidence intervals."""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from antideepfake.cli.program import run_program
from antideepfake.evaluation.evaluator import Evaluator
from antideepfake.scoring.score_file import read_scores


def write_scores(path: Path, count: int, rng: np.random.Generator) -> None:
    """Write a score file with ``count`` scores, 10 % of them of bona fide utterances, about as in ASVspoof 2021 DF."""
    is_real = rng.random(count) < 0.1
    logits = np.round(rng.normal(0, 1.5, count) + 3 * is_real, 6)
    with open(path, "w") as file:
        file.write("ID,Score,Label\n")
        for number, (logit, label) in enumerate(zip(logits.tolist(), is_real.tolist(), strict=True)):
            file.write(f'DF_E_{number},"[{-logit / 2}, {logit / 2}]",{int(label)}\n')


def measure(path: Path) -> tuple[float, float, float]:
    """Return the seconds for reading, for the metrics without intervals, and for reading and metrics with intervals."""
    start = time.perf_counter()
    scores = read_scores(path)
    read = time.perf_counter()
    Evaluator(n_resamples=1).evaluate(scores, path.name)
    metrics = time.perf_counter()
    Evaluator().evaluate(scores, path.name)
    intervals = time.perf_counter() - metrics
    return read - start, metrics - read, read - start + intervals


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/benchmark_evaluation.py --scores 10000 600000",
    )
    counts = [10_000, 100_000, 600_000, 1_000_000, 10_000_000]
    parser.add_argument(
        "--scores", nargs="+", type=int, default=counts, help="numbers of scores (default: 10^4 to 10^7)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="report the median of this many rounds (default: 3)")
    args = parser.parse_args()
    print(f"{'scores':>10}{'reading':>10}{'metrics':>10}{'all, with intervals':>22}   (seconds)")
    with tempfile.TemporaryDirectory() as folder:
        for count in args.scores:
            path = Path(folder, f"{count}.csv")
            write_scores(path, count, np.random.default_rng(1))
            rounds = [measure(path) for _ in range(args.rounds)]
            read, metrics, total = (median(times) for times in zip(*rounds, strict=True))
            print(f"{count:>10}{read:>10.2f}{metrics:>10.2f}{total:>22.2f}", flush=True)
            path.unlink()
    return 0


if __name__ == "__main__":
    run_program(main)
