#!/usr/bin/env python
"""Measure how fast the data loader of training reads from files and from tar shards.

The program writes clips of noise with the rhythm of speech to a temporary folder, as 16 kHz FLAC, packs them with
'antideepfake shard' and reads two epochs of each, in rounds that alternate. Before the first epoch, the system is told
to forget the contents of the files, so that they come from the disk; in the second, they come from the cache. Set the
environment variable TMPDIR to a folder of the file system to measure; on a shared one, run the program on several nodes
at the same time.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median

from benchmark_training import make_loader, time_loader, write_clips
from tqdm import tqdm

from antideepfake.cli.program import run_program
from antideepfake.corpora.build import build_protocol
from antideepfake.corpora.shards import write_shards
from antideepfake.protocol.table import read_protocol


def forget(folder: Path) -> None:
    """Remove the contents of the files below a folder from the cache of the system."""
    for path in folder.rglob("*.*"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())  # what is not written yet cannot be removed
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/benchmark_loading.py --clips 1000 --num_workers 0 2",
    )
    parser.add_argument("--clips", type=int, default=4000, help="number of clips (default: 4000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a clip in seconds (default: 4)")
    parser.add_argument("--batch_seconds", type=float, default=100.0, help="audio per batch in seconds (default: 100)")
    parser.add_argument("--shard_mb", type=int, default=50, help="size of a shard in megabytes (default: 50)")
    parser.add_argument("--num_workers", type=int, nargs="+", default=[0, 1, 2], help="loader workers (default: 0 1 2)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed (default: 3)")
    parser.add_argument("--quiet", action="store_true", help="hide progress bars")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folder, clips, shards = Path(scratch), Path(scratch, "clips.csv"), Path(scratch, "shards")
        table = write_clips(folder, args.clips, args.seconds)
        rows = table.assign(Path=table["Path"].str.removeprefix("$ROOT/")).to_dict("records")
        build_protocol(rows, folder, clips, quiet=True)
        write_shards(clips, folder, shards, shard_mb=args.shard_mb, quiet=True)
        protocols = {"files": read_protocol(clips), "shards": read_protocol(shards / clips.name)}
        columns = [(name, source) for name in protocols for source in ("disk", "cache")]
        print(f"{args.clips} clips of {args.seconds:g} s; seconds of audio per second")
        print(f"{'workers':>8}" + "".join(f"{name}, {source}".rjust(16) for name, source in columns))
        for workers in args.num_workers:
            speeds: dict[tuple[str, str], list[float]] = {column: [] for column in columns}
            for _ in tqdm(range(args.rounds), desc=f"{workers} workers", unit="round", disable=args.quiet):
                for name, source in columns:
                    if source == "disk":
                        forget(folder)
                    loader = make_loader(protocols[name], folder, None, args.batch_seconds, workers)
                    speeds[name, source].append(time_loader(loader, args.clips * args.seconds))
            print(f"{workers:>8}" + "".join(f"{median(values):>16.0f}" for values in speeds.values()), flush=True)
    return 0


if __name__ == "__main__":
    run_program(main)
