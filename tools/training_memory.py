#!/usr/bin/env python
"""Compute how much memory training takes, for each front end.

For each front end of hparams/front_ends and several ways to train it, the program prints the size in gigabytes (10^9
bytes) of the detector's weights, the gradients, AdamW's moments and the activations of a batch, and the peak. The peak
is less than the sum, because activations are freed while gradients are computed. The program computes the sizes with
tensors that have shapes but no memory. On a GPU, the libraries need another half gigabyte or more.
"""

import argparse
from dataclasses import astuple, fields
from pathlib import Path

import torch

from antideepfake.cli.program import run_program
from antideepfake.training.hparams import build_front_end
from antideepfake.training.memory import WAYS, TrainingMemory, compute_memory, measure_memory

FRONT_ENDS = Path(__file__).parents[1] / "hparams" / "front_ends"
WITHOUT_WEIGHTS = ("log_filter_bank", "sinc_filter_bank")
NAMES = sorted(file.stem for file in FRONT_ENDS.glob("*.yaml") if file.stem not in WITHOUT_WEIGHTS)
GIGABYTE = 1e9


def main() -> int:
    """Parse the command line, compute, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/training_memory.py mms_300m xls_r_1b --clips 16 --seconds 10",
    )
    parser.add_argument("front_ends", nargs="*", metavar="front_end", help=f"(default: all of {', '.join(NAMES)})")
    parser.add_argument("--clips", type=int, default=10, help="clips per batch (default: 10)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a clip in seconds (default: 4)")
    parser.add_argument(
        "--measure",
        type=float,
        metavar="GB",
        default=0.0,
        help="also run a step on the CPU and measure its peak memory, if it is computed to be below GB (takes minutes)",
    )
    args = parser.parse_args()

    print(f"{args.clips} clips of {args.seconds:g} s; gigabytes; torch {torch.__version__}")
    columns = [field.name for field in fields(TrainingMemory)] + ["measured"] * (args.measure > 0)
    print(f"{'front end':<14}{'what is trained':<19}" + "".join(f"{column:>{len(column) + 2}}" for column in columns))
    for name in args.front_ends or NAMES:
        file = FRONT_ENDS / f"{name}.yaml"
        for way, (precision, changes) in WAYS.items():
            with torch.device("meta"):
                front_end = build_front_end(file)
            for change in changes:
                change(front_end)
            memory = compute_memory(front_end, args.clips, args.seconds, precision)
            sizes = list(astuple(memory))
            if memory.peak < args.measure * GIGABYTE:
                sizes.append(measure_memory(file, way, args.clips, args.seconds))
            row = zip(columns, sizes, strict=False)
            print(f"{name:<14}{way:<19}", end="")
            print("".join(f"{size / GIGABYTE:>{len(column) + 2}.2f}" for column, size in row), flush=True)
    return 0


if __name__ == "__main__":
    run_program(main)
