"""The preparation of a corpus: from its folder to its protocol."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antideepfake.errors import InputError

if TYPE_CHECKING:
    from antideepfake.corpora.build import BuildReport


def prepare_corpus(
    list_utterances: Callable[..., Iterable[Mapping[str, Any]]],
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    corpus_folder: str | os.PathLike,
    num_workers: int = 0,
    overwrite: bool = False,
    quiet: bool = False,
    scheduler: str | None = None,
    **options: Any,
) -> "BuildReport":
    """Write the protocol of a corpus.

    Arguments
    ---------
    list_utterances : callable
        Takes the path of the corpus's folder and returns its utterances in the form that
        :func:`antideepfake.corpora.build.build_protocol` expects, with paths relative to that folder. Called twice.
    data_folder : str or Path
        Contains the corpus's folder; what ``$ROOT`` stands for.
    output : str or Path
        The protocol. If it exists, it is kept and its report is read. ``<output>.report.json`` counts and lists the
        files that were left out.
    corpus_folder : str or Path
        The corpus's folder, relative to ``data_folder`` or absolute.
    num_workers : int
        Headers to read at the same time; 0: one after the other.
    overwrite : bool
        Replace an existing protocol.
    quiet : bool
        Show no progress.
    scheduler : str, optional
        Address of a Dask scheduler whose workers read the headers.
    **options
        The corpus's own options, for ``list_utterances``.

    Returns
    -------
    BuildReport
        What was written and what was left out.

    Raises
    ------
    InputError
        When the corpus is missing, its lists have another form, or none of its files can be read.

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
    # takes a second to import, which --help of a recipe can do without
    from antideepfake.corpora.build import build_protocol, read_report

    if os.path.exists(output) and not overwrite:
        return read_report(output)
    corpus = Path(data_folder, corpus_folder).absolute()
    if not corpus.is_dir():
        raise InputError(f"{corpus}: no such folder; if the corpus's folder has another name, pass --corpus_folder")
    utterances = _Utterances(lambda: list_utterances(corpus, **options), corpus)
    return build_protocol(utterances, data_folder, output, num_workers, quiet, scheduler=scheduler)


class _Utterances:
    """The utterances of a corpus with absolute paths, which can be iterated more than once."""

    def __init__(self, list_utterances: Callable[[], Iterable[Mapping[str, Any]]], corpus: Path):
        self.list_utterances = list_utterances
        self.corpus = os.fspath(corpus)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for utterance in self.list_utterances():
            yield {**utterance, "Path": os.path.join(self.corpus, utterance["Path"])}
