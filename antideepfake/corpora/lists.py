"""Read the lists that come with a corpus."""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from antideepfake.errors import InputError


def read_list(
    path: str | os.PathLike, columns: str, describe: Callable[..., Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Describe the utterances of a list without a header, whose columns are separated by white space.

    Arguments
    ---------
    path : str or Path
        A text file in UTF-8 with one utterance a line. Blank lines and white space at the end of a line are ignored.
    columns : str
        Names of the columns, ``-`` for an unused one: ``speaker key - attack label``. Further columns are ignored,
        unless a last name with an asterisk, ``*segments``, stands for the list of their texts.
    describe : callable
        Takes the texts of a line as keyword arguments; returns ID, Label, Path and other known columns. May raise an
        InputError that says what is wrong with the line.

    Yields
    ------
    dict
        What ``describe`` returns, in the order of the list. No text is read as a number: 007 keeps its zeros.

    Raises
    ------
    InputError
        When the file is missing, or a line has too few columns or is refused.

    Example
    -------
    >>> path = getfixture("tmp_path") / "list.txt"
    >>> _ = path.write_text("ann 007 - bonafide  \\n")
    >>> list(read_list(path, "speaker key - label", lambda speaker, key, label: {"ID": key, "Speaker": speaker}))
    [{'ID': '007', 'Speaker': 'ann'}]
    """
    names = columns.split()
    rest = names.pop().removeprefix("*") if names[-1].startswith("*") else "-"
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            texts = line.split()
            if not texts:
                continue
            if len(texts) < len(names):
                raise InputError(f"{path}:{number}: {len(texts)} columns; the corpus's list has at least {len(names)}")
            # unused columns share the name -
            fields: dict[str, Any] = {**dict(zip(names, texts, strict=False)), rest: texts[len(names) :]}
            fields.pop("-", None)
            yield _describe(describe, fields, path, number)


def read_csv(
    path: str | os.PathLike, columns: Mapping[str, str | int], describe: Callable[..., Mapping[str, str]]
) -> Iterator[Mapping[str, str]]:
    """Describe the utterances of a CSV list with a header.

    Arguments
    ---------
    path : str or Path
        A CSV file in UTF-8, with or without a byte-order mark.
    columns : dict
        Argument of ``describe`` -> name of the column in the header, or its index, from 0.
    describe : callable
        As of :func:`read_list`.

    Yields
    ------
    dict
        What ``describe`` returns, in the order of the list.

    Raises
    ------
    InputError
        When the file or a column is missing, or a line has too few columns or is refused.

    Example
    -------
    >>> path = getfixture("tmp_path") / "meta.csv"
    >>> _ = path.write_text("file,speaker,label\\n0.wav,Alec Guinness,spoof\\n")
    >>> list(read_csv(path, {"name": "file"}, lambda name: {"Path": name}))
    [{'Path': '0.wav'}]
    """
    with _open(path) as file:
        lines = csv.reader(file)
        header = [name.strip() for name in next(lines, [])]
        missing = [name for name in columns.values() if isinstance(name, str) and name not in header]
        if missing:
            raise InputError(f"{path}:1: no column {', '.join(map(repr, missing))}; is this the corpus's list?")
        indices = {name: header.index(at) if isinstance(at, str) else at for name, at in columns.items()}
        for texts in _read_rows(lines, path):
            if not any(texts):
                continue
            if len(texts) <= max(indices.values()):
                raise InputError(f"{path}:{lines.line_num}: {len(texts)} columns; the header has {len(header)}")
            fields = {name: texts[index].strip() for name, index in indices.items()}
            yield _describe(describe, fields, path, lines.line_num)


def translate(word: str, meanings: Mapping[str, str]) -> str:
    """Translate a corpus's word, such as its name for a label.

    Arguments
    ---------
    word : str
        The corpus's word.
    meanings : dict
        The corpus's word -> ours.

    Returns
    -------
    str
        Our word.

    Raises
    ------
    InputError
        When the word is unknown.

    Example
    -------
    >>> translate("bonafide", {"bonafide": "real", "spoof": "fake"})
    'real'
    """
    if word not in meanings:
        raise InputError(f"'{word}' is none of {', '.join(meanings)}")
    return meanings[word]


def first_file(paths: Sequence[Path]) -> Path:
    """Find the list of a corpus among the paths that its releases use.

    Arguments
    ---------
    paths : sequence of Path
        The most likely first.

    Returns
    -------
    Path
        The first that exists; if none does, the first one, which the error message then names.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> (root / "old.txt").touch()
    >>> first_file([root / "new.txt", root / "old.txt"]).name
    'old.txt'
    """
    return next((path for path in paths if path.is_file()), paths[0])


def _read_rows(lines: Any, path: str | os.PathLike) -> Iterator[list[str]]:
    try:
        yield from lines
    except csv.Error as error:
        raise InputError(f"{path}:{lines.line_num}: {error}") from None


def _open(path: str | os.PathLike) -> Any:
    try:
        # surrogateescape: file names need not be UTF-8
        return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        reason = "no such file; it comes with the corpus" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"{path}: {reason}") from None


def _describe(
    describe: Callable[..., Mapping[str, Any]], fields: dict[str, Any], path: str | os.PathLike, number: int
) -> Mapping[str, Any]:
    try:
        return describe(**fields)
    except InputError as error:
        raise InputError(f"{path}:{number}: {error}") from None
