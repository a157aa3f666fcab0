#!/usr/bin/env python
"""Check that nothing trivial tells a corpus's classes apart.

For duration, level, bandwidth, noise floor, leading silence, peak and DC, prints how well each alone separates real
from fake, as the area under the ROC curve (AUC): 0.5 says nothing, 1 and 0 say all. Fails where one lies above 0.65 or
below 0.35: a detector trained on such a corpus learns that instead of speech.
"""

import argparse

from antideepfake.audit.shortcuts import find_shortcuts, format_shortcuts, measure_shortcuts
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_protocol


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/check_shortcuts.py data/MiniCorpus.csv --data_folder data",
    )
    parser.add_argument("protocol", help="the corpus's protocol (.csv)")
    parser.add_argument("--data_folder", required=True, help="what $ROOT stands for in the protocol")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()
    areas = measure_shortcuts(read_protocol(args.protocol), args.data_folder, args.quiet)
    print(format_shortcuts(areas))
    shortcuts = find_shortcuts(areas)
    if shortcuts:
        raise InputError(
            f"{args.protocol}: {', '.join(shortcuts)} alone tells the classes apart; pass both through the same channel"
        )
    print("no shortcut: none lies above 0.65 or below 0.35 over the whole corpus")
    return 0


if __name__ == "__main__":
    run_program(main)
