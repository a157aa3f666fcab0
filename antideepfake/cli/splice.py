"""Make partially fake utterances: spans of real speech replaced by fake speech.

Writes a test set to measure where a detector finds fake speech (see 'antideepfake localize'). Every utterance of
PROTOCOL is written once as a whole, and every real one once more with one to three spans of 0.2 to 2 s of a fake
utterance: of the same split, and of the same speaker and language if there is one. Spans begin and end where both are
quiet, have the level of the speech that they replace, and are cross-faded over 10 ms. All audio is FLAC with 16 kHz.
The file of segments beside the protocol (Partial.segments.csv for Partial.csv) says where each utterance is fake. Run
again after an interruption, it continues where it stopped.
"""

import argparse

from antideepfake.cli import options

EXAMPLE = (
    "splice data/MiniCorpus.csv --data_folder data --output_folder data/MiniCorpus-Spliced "
    "--output data/MiniCorpus-Spliced.csv"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("protocol", help="protocol of the sources, real and fake")
    parser.add_argument("--output_folder", required=True, help="folder for the audio; its name begins the IDs")
    options.add_output(parser, "protocol to write; its segments are beside it")
    options.add_data_folder(parser)
    options.add_split(parser)
    options.add_seed(parser, "partners and spans")
    options.add_num_workers(parser)
    options.add_scheduler(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Splice and print what became of the files."""
    if args.output != args.protocol:
        options.refuse_existing(args.output, args.overwrite)

    from antideepfake.augment.splice import splice_journal, splice_protocol
    from antideepfake.cli.preparation import print_report

    if not splice_journal(args.output).exists():  # otherwise an interrupted run continues
        options.refuse_existing(args.output_folder, args.overwrite, "--output_folder")
    report = splice_protocol(
        args.protocol,
        args.data_folder,
        args.output_folder,
        args.output,
        split=args.split,
        num_workers=args.num_workers,
        seed=args.seed,
        quiet=args.quiet,
        scheduler=args.scheduler,
    )
    return print_report(report, args.output, form=args.format)
