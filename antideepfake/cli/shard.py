"""Pack the audio of a protocol into tar shards, for file systems on which many small files are slow.

Writes 000000.tar and so on to the folder --output, an index of each, and a protocol with the name of PROTOCOL that
reads from them. Pass that one instead of PROTOCOL to training, 'antideepfake score' and every other command. Files are
copied as they are; those that cannot be read are left out and listed. Any number of runs of this command, on several
computers, may work at the same time: the last one to end writes the protocol. Run again after an interruption, it keeps
the finished shards.
"""

import argparse
import sys
from pathlib import Path

from antideepfake.cli import options

SHARD_MB = 1000
EXAMPLE = "shard data/MiniCorpus.csv --data_folder data --output data/MiniCorpus-shards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("protocol", help="protocol of the files to pack")
    options.add_output(parser, "folder for the shards, inside the data folder")
    options.add_data_folder(parser)
    options.add_split(parser)
    parser.add_argument(
        "--shard_mb",
        type=options.positive_number,
        default=SHARD_MB,
        help=f"approximate size of a shard in megabytes (default: {SHARD_MB})",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="write nothing; compare the shards with the digests in their index",
    )
    options.add_num_workers(parser)
    options.add_scheduler(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Pack, or verify, and print what became of the files."""
    from antideepfake.cli.preparation import print_report
    from antideepfake.corpora.shards import write_shards

    if args.verify:
        return verify(args)
    report = write_shards(
        args.protocol,
        args.data_folder,
        args.output,
        args.split,
        args.shard_mb,
        args.num_workers,
        args.overwrite,
        args.quiet,
        args.scheduler,
    )
    if report is None:
        print("other runs are still writing shards; the last one to end writes the protocol", file=sys.stderr)
        return 0
    protocol = Path(args.output, Path(args.protocol).name)
    print(f"protocol: {protocol}", file=sys.stderr)
    return print_report(report, protocol, form=args.format)


def verify(args: argparse.Namespace) -> int:
    """Verify finished shards and print what was found."""
    import pandas as pd

    from antideepfake.corpora.shards import verify_shards

    found = verify_shards(args.protocol, args.output, args.num_workers, args.quiet, args.scheduler)
    for fault in found.faults:
        print(fault, file=sys.stderr)
    counts = {"shards": found.shards, "members": found.members, "faults": len(found.faults)}
    options.print_table(pd.DataFrame([counts]), args.format)
    return 1 if found.faults else 0
