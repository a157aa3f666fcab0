"""The command ``antideepfake``: builds the parser from the modules of the verbs and runs the chosen one."""

import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from antideepfake import __version__
from antideepfake.cli.options import Parser
from antideepfake.cli.program import run_program

# In the order of ``--help``. "check leakage" is the module antideepfake.cli.check_leakage, and so on.
VERBS = (
    "score",
    "serve",
    "evaluate",
    "localize",
    "calibrate",
    "refit",
    "fuse",
    "export-scores",
    "drift",
    "fit-ood",
    "robustness",
    "trace",
    "explain",
    "models",
    "convert",
    "info",
    "prepare",
    "merge",
    "vocode",
    "splice",
    "shard",
    "check leakage",
    "check shortcuts",
)
GROUPS = {"check": "Check data for leakage and shortcuts."}


def make_parser() -> Parser:
    """Make the parser of all verbs.

    Returns
    -------
    Parser
        Its result has ``run``, the function of the chosen verb.

    Example
    -------
    >>> make_parser().parse_args(["check", "shortcuts", "p.csv", "--quiet"]).quiet
    True
    """
    parser = Parser(
        prog="antideepfake",
        description="Detect generated speech: prepare data, score recordings, evaluate and calibrate detectors.",
        epilog="'antideepfake VERB --help' describes a verb and ends with an example.",
    )
    parser.add_argument("--version", action="version", version=f"antideepfake {__version__}")
    groups = {"": parser.add_subparsers(metavar="VERB", required=True)}
    for verb in VERBS:
        group, _, name = verb.rpartition(" ")
        if group not in groups:
            checks = groups[""].add_parser(group, help=GROUPS[group], description=GROUPS[group])
            groups[group] = checks.add_subparsers(metavar="CHECK", required=True)
        module = import_module("antideepfake.cli." + verb.replace(" ", "_").replace("-", "_"))
        description = module.__doc__ or ""
        verb_parser = groups[group].add_parser(
            name,
            help=description.splitlines()[0],
            description=description,
            epilog="example:\n" + "\n".join(f"  antideepfake {line}" for line in module.EXAMPLE.splitlines()),
            formatter_class=RawDescriptionHelpFormatter,
        )
        module.add_arguments(verb_parser)
        verb_parser.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse a command line and run its verb.

    Arguments
    ---------
    arguments : sequence of str, optional
        Without the name of the command; by default those of this process.

    Raises
    ------
    SystemExit
        Always, with the status that :func:`antideepfake.cli.program.run_program` describes.

    Example
    -------
    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    if arguments is None:
        sys.argv[0] = "antideepfake"  # reports quote the command, however it was started
    parser = make_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
        import argcomplete

        argcomplete.autocomplete(parser)
    args = parser.parse_args(arguments)
    run_program(partial(args.run, args))
