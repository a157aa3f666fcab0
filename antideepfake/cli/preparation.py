"""The command line of the recipes that prepare corpora: their options, and what they print at the end."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from antideepfake.cli import options

if TYPE_CHECKING:
    from antideepfake.corpora.build import BuildReport


def run_preparation(
    prepare: Callable[..., "BuildReport"],
    description: str | None,
    argv: Sequence[str] | None = None,
    prog: str | None = None,
    *,
    published: Mapping[str, Mapping[str, int]] | None = None,
    protocol_file: str | None = None,
) -> int:
    """Parse the command line of a recipe, prepare the corpus, print what was written and what was left out.

    Arguments
    ---------
    prepare : callable
        The recipe's ``prepare_<corpus>``. Its arguments are named as the options.
    description, prog : str
        As of :func:`make_parser`.
    argv : sequence of str, optional
        The options; by default those of this process.
    published : dict, optional
        As of :func:`print_report`.
    protocol_file : str, optional
        Help text of an option ``--protocol_file``, for a corpus whose list need not be in its folder.

    Returns
    -------
    int
        As of :func:`print_report`.

    Raises
    ------
    InputError
        As of :func:`antideepfake.corpora.prepare.prepare_corpus`.

    Example
    -------
    >>> from antideepfake.corpora.build import BuildReport
    >>> def prepare_nothing(data_folder, output, num_workers):
    ...     return BuildReport(0)
    >>> run_preparation(prepare_nothing, "A corpus.", ["--data_folder", "data", "--output", "p.csv"])
    split           real               fake
    0
    """
    parser = make_parser(description, prog)
    if protocol_file:
        parser.add_argument("--protocol_file", help=protocol_file)
    args = vars(parser.parse_args(argv))
    form = args.pop("format")
    return print_report(prepare(**args), args["output"], published, form)


def make_parser(description: str | None, prog: str | None = None) -> options.Parser:
    """Make a parser with the options that all preparations share.

    Arguments
    ---------
    description : str
        What ``--help`` prints first: the recipe's docstring.
    prog : str, optional
        What the user typed before the options; by default the name of the script.

    Returns
    -------
    Parser
        Its result has ``format``, for :func:`print_report`, and the names of the arguments of
        :func:`antideepfake.corpora.prepare.prepare_corpus`. ``corpus_folder`` is absent unless it is given, so that
        the recipe's default applies.

    Example
    -------
    >>> args = make_parser("In-the-Wild").parse_args(["--data_folder", "data", "--output", "p.csv"])
    >>> args.output, args.num_workers, "corpus_folder" in args
    ('p.csv', 0, False)
    """
    parser = options.Parser(
        prog=prog,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        epilog=f"example:\n  {'' if prog else 'python '}%(prog)s --data_folder data --output protocol.csv",
    )
    parser.add_argument("--data_folder", required=True, help="contains the corpus's folder; $ROOT in the protocol")
    parser.add_argument("--output", required=True, help="the protocol to write")
    parser.add_argument("--corpus_folder", help="the corpus's folder in data_folder, if it has another name")
    options.add_num_workers(parser)
    options.add_scheduler(parser)
    options.add_overwrite(parser)
    options.add_format(parser)
    options.add_quiet(parser)
    return parser


def print_report(
    report: "BuildReport",
    output: str | os.PathLike,
    published: Mapping[str, Mapping[str, int]] | None = None,
    form: str = "table",
) -> int:
    """Print counts and hours on standard output, differences and omissions on standard error.

    Arguments
    ---------
    report : BuildReport
        Of the preparation.
    output : str or Path
        The protocol.
    published : dict, optional
        Split -> label -> number of utterances, as the corpus's authors count them; the label ``all`` is both. Other
        splits and labels are not compared.
    form : str
        As of :func:`antideepfake.cli.options.print_table`: for programs, a row for each split and label.

    Returns
    -------
    int
        Exit status: 1 when a file was left out, else 0.

    Example
    -------
    >>> from antideepfake.corpora.build import BuildReport
    >>> report = BuildReport(1, counts={"test": {"real": [1, 1800.0]}})
    >>> print_report(report, "p.csv", {"test": {"real": 1}})
    split           real               fake
    test              1    0.50 h        0    0.00 h
    all published counts agree
    0
    """
    import pandas as pd  # slow to import; --help does without

    from antideepfake.protocol.table import format_totals

    if form == "table":
        print(format_totals(report.counts))
    else:
        rows = [
            (split, label, int(utterances), seconds / 3600)
            for split, labels in report.counts.items()
            for label, (utterances, seconds) in labels.items()
        ]
        options.print_table(pd.DataFrame(rows, columns=["split", "label", "utterances", "hours"]), form)
    differences = [
        f"{label} utterances of split {split}: {wanted} published, {found} here"
        for split, counts in (published or {}).items()
        for label, wanted in counts.items()
        if (found := _count(report.counts.get(split, {}), label)) != wanted
    ]
    if published and not differences:
        print("all published counts agree", file=sys.stdout if form == "table" else sys.stderr)
    for difference in differences:
        print(difference, file=sys.stderr)
    if report.unlisted:
        print(f"{len(report.unlisted)} audio files in the same folders are not in the corpus's list", file=sys.stderr)
    if report.left_out:
        print(f"left out: {len(report.left_out)} files", file=sys.stderr)
    if report.unlisted or report.left_out:
        print(f"the list is in {os.fspath(output)}.report.json", file=sys.stderr)
    return 1 if report.left_out else 0


def _count(counts: Mapping[str, Sequence[float]], label: str) -> int:
    return sum(int(count[0]) for name, count in counts.items() if label in (name, "all"))
