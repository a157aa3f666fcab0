"""Check whether a trivial property separates the classes of a corpus.

For duration, level, bandwidth, noise floor, leading and trailing silence, peak and DC, prints how well each alone
separates real from fake, as the area under the ROC curve (AUC): 0.5 is uninformative, 0 and 1 separate perfectly. Exits
with status 1 where one lies above 0.65 or below 0.35: a detector trained on such a corpus learns that property instead
of speech.
"""

import argparse
import sys

from antideepfake.cli import options

EXAMPLE = "check shortcuts data/MiniCorpus.csv --data_folder data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("protocol", help="protocol of the corpus")
    options.add_data_folder(parser)
    options.add_num_workers(parser)
    options.add_scheduler(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from antideepfake.audit.shortcuts import find_shortcuts, format_shortcuts, measure_shortcuts
    from antideepfake.protocol.table import read_protocol

    protocol = read_protocol(args.protocol)
    areas = measure_shortcuts(protocol, args.data_folder, args.quiet, args.num_workers, args.scheduler)
    shortcuts = find_shortcuts(areas)
    if args.format == "table":
        print(format_shortcuts(areas))
    else:
        table = areas.rename_axis("property").reset_index()
        options.print_table(table.assign(shortcut=table["property"].isin(shortcuts)), args.format)
    if shortcuts:
        print(
            f"{args.protocol}: {', '.join(shortcuts)} alone separates the classes; "
            "pass real and fake speech through the same channel",
            file=sys.stderr,
        )
        return 1
    if args.format == "table":
        print("no shortcut: no AUC above 0.65 or below 0.35 over the whole corpus")
    return 0
