"""List the published detectors.

Prints id, front end, parameters, training corpora and license.
"""

import argparse
import textwrap

from antideepfake.cli import options

EXAMPLE = "models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    options.add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    import pandas as pd

    from antideepfake.model_folder.published import read_published_detectors

    detectors = list(read_published_detectors().values())
    is_table = args.format == "table"
    rows = [
        {
            "id": detector.id,
            "front_end": detector.front_end,
            "parameters": f"{detector.parameters:g} M" if is_table else round(detector.parameters * 10**6),
            "corpora": f"{len(detector.corpora)}"
            if is_table and len(detector.corpora) > 1
            else " ".join(detector.corpora),
            "license": detector.license,
        }
        for detector in detectors
    ]
    options.print_table(pd.DataFrame(rows), args.format)
    if is_table:
        union = detectors[0].corpora
        print(textwrap.fill(f"{len(union)} corpora: {', '.join(union)}", 100, break_on_hyphens=False))
        print("'antideepfake convert ID --output FOLDER' makes a model folder of one")
        print("one without an owner is a FILE of its authors: 'antideepfake convert FILE --published ID ...'")
    return 0
