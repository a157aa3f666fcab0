"""What the recipes of all corpora share: the steps of a preparation, its command line, what it says at its end.

The library parses no command line: :func:`prepare_parser` makes the parser that the programs have in common, and each
program adds its own options and parses. It is here and not beside the recipes because a recipe's folder is the only one
that Python searches when its program is run.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from antideepfake.corpora.build import BuildReport, build_protocol, read_report
from antideepfake.errors import InputError
from antideepfake.protocol.table import format_totals


def prepare_corpus(
    list_utterances: Callable[..., Iterable[Mapping[str, str]]],
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    corpus_folder: str | os.PathLike,
    num_workers: int = 2,
    overwrite: bool = False,
    quiet: bool = False,
    **options: str,
) -> BuildReport:
    """Write the protocol of a corpus.

    Arguments
    ---------
    list_utterances : callable
        Takes the corpus's folder and gives its utterances as :func:`antideepfake.corpora.build_protocol` wants them,
        with paths relative to that folder. It is called twice.
    data_folder : str or Path
        Holds the corpus's folder; what ``$ROOT`` will stand for.
    output : str or Path
        The protocol; one that is there already is kept. ``<output>.report.json`` counts and lists what was left out.
    corpus_folder : str or Path
        The corpus's folder below ``data_folder``, or anywhere else.
    num_workers : int
        Headers read at the same time.
    overwrite : bool
        Make the protocol anew.
    quiet : bool
        Show no progress.
    **options
        Passed to ``list_utterances``.

    Returns
    -------
    BuildReport
        What was written and what was left out.

    Raises
    ------
    InputError
        When the corpus is not there, its lists are not its own, or nothing of it can be read.

    Example
    -------
    >>> import soundfile
    >>> root = getfixture("tmp_path")
    >>> (root / "Corpus").mkdir()
    >>> soundfile.write(root / "Corpus" / "a.flac", [0.1] * 8000, 16000)
    >>> utterances = [{"ID": "a", "Label": "real", "Path": "a.flac"}]
    >>> prepare_corpus(lambda corpus: utterances, root, root / "p.csv", "Corpus", quiet=True).counts
    {'-': {'real': [1, 0.5]}}
    """
    if os.path.exists(output) and not overwrite:
        return read_report(output)
    corpus = Path(data_folder, corpus_folder).absolute()
    if not corpus.is_dir():
        raise InputError(f"{corpus}: no such folder; --corpus_folder names the corpus's folder if it is another")
    utterances = _Utterances(lambda: list_utterances(corpus, **options), corpus)
    return build_protocol(utterances, data_folder, output, num_workers, quiet)


class _Utterances:
    """The utterances of a corpus, which can be gone through again and again, with whole paths."""

    def __init__(self, list_utterances: Callable[[], Iterable[Mapping[str, str]]], corpus: Path):
        self.list_utterances = list_utterances
        self.corpus = os.fspath(corpus)

    def __iter__(self) -> Iterator[dict[str, str]]:
        for utterance in self.list_utterances():
            yield {**utterance, "Path": os.path.join(self.corpus, utterance["Path"])}


def prepare_parser(description: str | None) -> argparse.ArgumentParser:
    """Make the parser of the options that all preparations have.

    Arguments
    ---------
    description : str
        What ``--help`` says first: the recipe's own docstring.

    Returns
    -------
    argparse.ArgumentParser
        Its arguments are named as those of :func:`prepare_corpus`. Those that were not given are not there, so that the
        recipe's defaults hold.

    Example
    -------
    >>> vars(prepare_parser("In-the-Wild").parse_args(["--data_folder", "data", "--output", "p.csv"]))
    {'data_folder': 'data', 'output': 'p.csv'}
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        epilog="example:\n  python %(prog)s --data_folder data --output protocol.csv",
    )
    parser.add_argument("--data_folder", required=True, help="holds the corpus's folder; $ROOT in the protocol")
    parser.add_argument("--output", required=True, help="the protocol to write")
    parser.add_argument("--num_workers", type=int, help="headers read at the same time (default: 2)")
    parser.add_argument("--corpus_folder", help="the corpus's folder below data_folder, when it has another name")
    parser.add_argument("--overwrite", action="store_true", help="make the protocol anew")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def tell_report(
    report: BuildReport, output: str | os.PathLike, published: Mapping[str, Mapping[str, int]] | None = None
) -> int:
    """Say what became of a corpus: counts and hours on standard output, what is amiss on standard error.

    Arguments
    ---------
    report : BuildReport
        Of the preparation.
    output : str or Path
        The protocol.
    published : dict, optional
        Split -> label -> utterances, as the corpus's authors count them; the label ``all`` is both. What is not given
        is not compared.

    Returns
    -------
    int
        Exit status: 1 when something was left out, else 0.

    Example
    -------
    >>> report = BuildReport(1, counts={"test": {"real": [1, 1800.0]}})
    >>> tell_report(report, "p.csv", {"test": {"real": 1}})
    split           real               fake
    test              1    0.50 h        0    0.00 h
    all published counts agree
    0
    """
    print(format_totals(report.counts))
    differences = [
        f"{label} utterances of split {split}: {wanted} published, {found} here"
        for split in published or {}
        for label, wanted in (published or {})[split].items()
        if (found := _count(report.counts.get(split, {}), label)) != wanted
    ]
    if published and not differences:
        print("all published counts agree")
    for difference in differences:
        print(difference, file=sys.stderr)
    if report.unlisted:
        print(f"{len(report.unlisted)} audio files beside them are not in the corpus's list", file=sys.stderr)
    if report.left_out:
        print(f"left out: {len(report.left_out)} files", file=sys.stderr)
    if report.unlisted or report.left_out:
        print(f"the list is in {os.fspath(output)}.report.json", file=sys.stderr)
    return 1 if report.left_out else 0


def _count(counts: Mapping[str, Sequence[float]], label: str) -> int:
    return sum(int(count[0]) for name, count in counts.items() if label in (name, "all"))
