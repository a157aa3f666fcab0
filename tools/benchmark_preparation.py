#!/usr/bin/env python
"""Measure the speed and memory of corpus preparation on this machine, and check that a killed run can be resumed.

The program writes many small FLAC files, with the layout of Multilingual LibriSpeech, to a temporary folder; they are
then in the disk cache. It reads all headers in one thread, and prepares a tenth of the files and then all of them with
the program of the recipe. Finally it kills that program halfway, runs it again, and compares the protocol with that of
the uninterrupted run. Exit status: 1 if the protocols differ. The files have 10 kB each; set the environment variable
TMPDIR to write them to another folder.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

from antideepfake.audio.probe import probe
from antideepfake.cli.program import run_program
from antideepfake.corpora.walk import walk_audio
from antideepfake.errors import InputError
from antideepfake.files import sha256

PROGRAM = Path(__file__).parents[1] / "recipes" / "MLS" / "mls_prepare.py"
SAMPLE_RATE, SECONDS = 16000, 0.5
IN_FOLDER = 100  # files per folder
ROUNDS = 3  # rounds of reading the headers; the median is reported
FEWEST = 1000  # minimum number of files; a run with fewer ends before it can be killed


class Run(NamedTuple):
    """A run of the program: wall time and processor time in seconds, peak memory in bytes, exit status."""

    wall: float
    processor: float
    memory: int
    status: int


def write_corpus(corpus: Path, start: int, stop: int, quiet: bool) -> None:
    """Write copies of the same clip with the numbers from ``start`` up to ``stop``."""
    rng = np.random.default_rng(1234)
    clip = io.BytesIO()
    soundfile.write(clip, 0.1 * rng.standard_normal(int(SAMPLE_RATE * SECONDS)), SAMPLE_RATE, format="FLAC")
    for number in tqdm(range(start, stop), desc="writing files", unit="file", disable=quiet):
        speaker, book = number // (10 * IN_FOLDER), number // IN_FOLDER
        folder = corpus / "mls_english" / "train" / "audio" / str(speaker) / str(book)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{speaker}_{book}_{number:08}.flac").write_bytes(clip.getbuffer())


def read_headers(corpus: Path, quiet: bool) -> tuple[float, float]:
    """Read the headers of all files in this thread; return the median wall and processor time in seconds."""
    paths = list(walk_audio(corpus))
    times = []
    for _ in tqdm(range(ROUNDS), desc="reading headers", unit="round", disable=quiet):
        wall, processor = time.perf_counter(), time.process_time()
        for path in paths:
            probe(path)
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return median(wall for wall, _ in times), median(processor for _, processor in times)


def prepare(folder: Path, output: Path, stop: Callable[[], bool] = lambda: False) -> Run:
    """Run the recipe's program in a separate process with one worker; kill it as soon as ``stop`` returns True."""
    options = ["--data_folder", str(folder), "--output", str(output), "--num_workers", "1", "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, PROGRAM, *options], stdout=subprocess.DEVNULL)
    while not stop() and process.returncode is None:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            process.returncode = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(0.001)
    if process.returncode is None:
        process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode > 0:
        raise InputError(f"{PROGRAM} ended with status {process.returncode}; see its message above")
    return Run(wall, usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss, process.returncode)


def count_lines(path: Path) -> int:
    """Count the lines of a file; 0 if it does not exist yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def format_row(step: str, files: int, wall: float, processor: float, memory: int | None = None) -> str:
    """Format a row of the table."""
    row = f"{step:42}{files:9}{wall:9.1f}{files / wall:9.0f}{processor:9.1f}{files / processor:9.0f}"
    return row + (f"{memory / 1e6:9.0f}" if memory else "")


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/benchmark_preparation.py --files 10000",
    )
    parser.add_argument("--files", type=int, default=100_000, help="number of files (default: 100000)")
    parser.add_argument("--quiet", action="store_true", help="hide progress bars")
    args = parser.parse_args()
    if args.files < FEWEST:
        raise InputError(f"--files {args.files}: use at least {FEWEST}, or the run ends before it can be killed")

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        whole, killed, journal = folder / "whole.csv", folder / "killed.csv", folder / "killed.csv.journal"
        tenth = args.files // 10
        print(f"{'':42}{'files':>9}{'s':>9}{'files/s':>9}{'CPU s':>9}{'/CPU s':>9}{'peak MB':>9}")

        write_corpus(folder / "MLS", 0, tenth, args.quiet)
        run = prepare(folder, folder / "tenth.csv")
        print(format_row("preparation of a tenth", tenth, *run[:3]))
        write_corpus(folder / "MLS", tenth, args.files, args.quiet)
        print(format_row("headers alone, one thread", args.files, *read_headers(folder / "MLS", args.quiet)))
        run = prepare(folder, whole)
        print(format_row("preparation", args.files, *run[:3]))

        run = prepare(folder, killed, stop=lambda: count_lines(journal) >= args.files // 2)
        recorded = count_lines(journal)
        print(format_row(f"killed (status {run.status})", recorded, *run[:3]))
        if killed.exists() or not recorded:
            raise InputError(f"--files {args.files}: the program ended before it could be killed; use more files")
        run = prepare(folder, killed)
        print(format_row("the same command again", args.files, *run[:3]))
        is_same = sha256([whole]) == sha256([killed])
    print(f"protocol of the resumed run: {'identical' if is_same else 'DIFFERENT'}")
    return 0 if is_same else 1


if __name__ == "__main__":
    run_program(main)
