"""Prepare a corpus: write its protocol.

Runs recipes/CORPUS/<corpus>_prepare.py with the options that follow CORPUS;
'antideepfake prepare CORPUS --help' describes the corpus, where to get it, and its options.
"""

import argparse
import os
import re
import sys
from importlib import import_module
from pathlib import Path

from antideepfake.resources import find_resource

EXAMPLE = "prepare MiniCorpus --data_folder data --output data/MiniCorpus.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    names = sorted(list_corpora(), key=str.lower)
    parser.add_argument("corpus", choices=names, metavar="CORPUS", help=", ".join(names))
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of the preparation")


def run(args: argparse.Namespace) -> int:
    """Run the ``main`` of the corpus's program."""
    program = list_corpora()[args.corpus]
    sys.path.insert(0, str(program.parent))  # as Python does for a program, which may have modules beside it
    return import_module(program.stem).main(args.options, f"antideepfake prepare {args.corpus}")


def list_corpora() -> dict[str, Path]:
    """Give the preparation program of each corpus.

    Returns
    -------
    dict
        Name of the corpus -> path.

    Example
    -------
    >>> list_corpora()["In-the-Wild"].name
    'in_the_wild_prepare.py'
    """
    programs = {}
    for entry in os.scandir(find_resource("recipes")):
        path = Path(entry.path, re.sub("[^a-z0-9]", "_", entry.name.lower()) + "_prepare.py")
        if path.is_file():
            programs[entry.name] = path
    return programs
