"""Score files in the formats of other evaluations: file names and scores, some with attacks and labels."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from antideepfake.corpora.walk import RECORDING_SUFFIXES
from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.protocol.table import text_encoding

ASVSPOOF5_HEADER = ["filename", "cm-score"]
FORMS = ("asvspoof5", "speech_df_arena", "anti_spoofing_arena")  # formats that write_submission writes
HEADER_COLUMNS = {"filename": "Name", "cm-score": "Score"}  # ASVspoof 5; other columns of track 2 are ignored
LABEL_WORDS = dict.fromkeys(("bonafide", "bona-fide", "genuine", "real"), "real")
LABEL_WORDS |= dict.fromkeys(("spoof", "spoofed", "fake"), "fake")
READABLE = (
    "supported formats: 'name score'; 'name attack key score' (ASVspoof 2019, AASIST); 'score key' or "
    "'key score'; a header with filename and cm-score (ASVspoof 5, tracks 1 and 2); or a score file with "
    "ID,Score,Label. The key is bonafide or spoof; spaces, tabs or commas separate the columns"
)


def write_submission(scores: pd.DataFrame, path: str | os.PathLike, form: str) -> None:
    """Write scores in the format of an evaluation.

    Arguments
    ---------
    scores : pandas.DataFrame
        Scores, as :func:`antideepfake.scoring.read_scores` returns them. The name of an utterance is its file name from
        Path, or its ID if the path is unknown.
    path : str or Path
        The file to write.
    form : str
        ``asvspoof5``: tab-separated, with the header ``filename cm-score`` and names without suffix.
        ``speech_df_arena``: name with suffix, a space, score. ``anti_spoofing_arena``: name without suffix, a space,
        score with six decimals (its ``scores.txt``).

    Raises
    ------
    InputError
        If the format is unknown, two utterances have the same name, or a name contains white space.

    Example
    -------
    >>> scores = pd.DataFrame({"ID": ["ASV5-A09-E_1"], "Score": [1.5], "Path": ["$ROOT/ASVspoof5/flac/E_1.flac"]})
    >>> path = getfixture("tmp_path") / "scores.tsv"
    >>> write_submission(scores, path, "asvspoof5")
    >>> path.read_text().splitlines()
    ['filename\\tcm-score', 'E_1\\t1.5']
    """
    if form not in FORMS:
        raise InputError(f"format '{form}' is unknown; choose one of {', '.join(FORMS)}")
    names = list(file_names(scores, keep_suffix=form == "speech_df_arena"))
    repeated = pd.Series(names).duplicated()
    if repeated.any():
        name = names[int(np.argmax(repeated))]
        raise InputError(f"two utterances have the name '{name}', but this format needs unique names; rename the files")
    broken = [name for name in names if any(character.isspace() for character in name)]
    if broken:
        raise InputError(
            f"'{broken[0]}': the name contains white space, which this format does not allow; rename the file"
        )
    with atomic_open(path, newline="") as file:
        writer = csv.writer(file, delimiter="\t" if form == "asvspoof5" else " ", lineterminator="\n")
        if form == "asvspoof5":
            writer.writerow(ASVSPOOF5_HEADER)
        for name, score in zip(names, scores["Score"], strict=True):
            writer.writerow([name, f"{score:.6f}" if form == "anti_spoofing_arena" else f"{score!r}"])


def read_submission(path: str | os.PathLike) -> pd.DataFrame:
    """Read scores in one of the common formats, which ``READABLE`` lists.

    Arguments
    ---------
    path : str or Path
        A UTF-8 or UTF-16 file.

    Returns
    -------
    pandas.DataFrame
        Score and, if the format has them, Name (as in the file), Label and Attack.

    Raises
    ------
    InputError
        If a line has another format; the message names the line and lists the formats.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.txt"
    >>> _ = path.write_text("E_1.flac 1.5\\nE_2.flac -2\\n")
    >>> read_submission(path).values.tolist()
    [['E_1.flac', 1.5], ['E_2.flac', -2.0]]
    >>> _ = path.write_text("E_1 - bonafide 1.5\\nE_2 A07 spoof -2\\n")
    >>> read_submission(path).columns.tolist()
    ['Name', 'Attack', 'Label', 'Score']
    """
    rows: list[dict[str, str | float]] = []
    columns: tuple[str, ...] = ()
    try:
        with open(path, encoding=text_encoding(path)) as file:
            for number, line in enumerate(file, start=1):
                words = _split(line)
                if not any(words):
                    continue
                if not columns and set(HEADER_COLUMNS) <= set(words):
                    columns = tuple(HEADER_COLUMNS.get(word, "") for word in words)
                    continue
                columns = columns or _guess_columns(words)
                try:
                    rows.append(_parse(dict(zip(columns, words, strict=True))))
                except (ValueError, KeyError):
                    text = line.strip() if len(line) <= 80 else f"{line[:77].strip()}..."
                    raise InputError(f"{path}:{number}: '{text}'; {READABLE}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: neither UTF-8 nor UTF-16 text; {READABLE}") from None
    if not rows:
        raise InputError(f"{path}: contains no scores; {READABLE}")
    return pd.DataFrame(rows)


def _split(line: str) -> list[str]:
    """Split a line at tabs, or else at commas, or else at spaces."""
    line = line.strip()
    mark = next((mark for mark in "\t," if mark in line), None)
    return [word.strip().strip('"') for word in line.split(mark)]


def _guess_columns(words: list[str]) -> tuple[str, ...]:
    """Guess the columns of a format without a header from its first line."""
    if len(words) == 2 and words[0].lower() in LABEL_WORDS:
        return "Label", "Score"
    if len(words) == 2 and words[1].lower() in LABEL_WORDS:
        return "Score", "Label"
    return {2: ("Name", "Score"), 4: ("Name", "Attack", "Label", "Score")}.get(len(words), ())


def _parse(values: dict[str, str]) -> dict[str, str | float]:
    parsed: dict[str, str | float] = {name: value for name, value in values.items() if name}
    parsed["Score"] = float(values["Score"])
    if "Label" in values:
        parsed["Label"] = LABEL_WORDS[values["Label"].lower()]
    return parsed


def find_utterances(names: Sequence[str], protocol: pd.DataFrame, source: str | os.PathLike) -> NDArray[np.intp]:
    """Find the utterances of a protocol by the names in a submission.

    Arguments
    ---------
    names : sequence of str
        File names with enough of the path to be unique, with or without the suffix of an audio file.
    protocol : pandas.DataFrame
        Table with ID and, if known, Path.
    source : str or Path
        The submission, for the error message.

    Returns
    -------
    array of int
        Row of each name in the protocol, or -1 if it has no such file; shape [names].

    Raises
    ------
    InputError
        If a name matches several utterances.

    Example
    -------
    >>> protocol = pd.DataFrame({"ID": ["a", "b"], "Path": ["$ROOT/real/1.wav", "$ROOT/fake/1.wav"]})
    >>> find_utterances(["fake/1.wav", "real/1", "2"], protocol, "scores.txt").tolist()
    [1, 0, -1]
    """
    paths = [_parts(path) for path in _paths(protocol)]
    longest = max(map(len, paths), default=1)
    sought = [_parts(name)[-longest:] for name in names]
    rows = np.full(len(sought), -1)
    for length in sorted({len(parts) for parts in sought}):
        found: dict[tuple[str, ...], int] = {}
        second: dict[tuple[str, ...], int] = {}
        for row, parts in enumerate(paths):
            if found.setdefault(parts[-length:], row) != row:
                second[parts[-length:]] = row
        for position, parts in enumerate(sought):
            if len(parts) != length:
                continue
            if parts in second:
                both = " and ".join(f"'{protocol['ID'].iloc[at[parts]]}'" for at in (found, second))
                example = "/".join(paths[found[parts]][-length - 1 :])
                raise InputError(
                    f"{source}: the name '{names[position]}' matches several utterances, such as {both}; "
                    f"write more of the path, as in '{example}'"
                )
            rows[position] = found.get(parts, -1)
    return rows


def _parts(path: str) -> tuple[str, ...]:
    """Return the components of a path, without ``$ROOT`` and the suffix of an audio file."""
    return tuple(part for part in strip_suffix(path.replace("\\", "/")).split("/") if part not in ("", ".", "$ROOT"))


def strip_suffix(name: str) -> str:
    """Remove the suffix of an audio file; other dots are part of the name.

    Example
    -------
    >>> strip_suffix("spk0.utt0.wav"), strip_suffix("spk0.utt0")
    ('spk0.utt0', 'spk0.utt0')
    """
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in RECORDING_SUFFIXES else name


def _paths(table: pd.DataFrame) -> Iterator[str]:
    """Yield the path of each utterance, or its ID if the path is unknown."""
    paths = table["Path"] if "Path" in table else ["-"] * len(table)
    for identifier, path in zip(table["ID"], paths, strict=True):
        yield identifier if path in ("", "-") else path


def file_names(table: pd.DataFrame, keep_suffix: bool = False) -> Iterator[str]:
    """Yield the file name of each utterance, or its ID if the path is unknown.

    Example
    -------
    >>> list(file_names(pd.DataFrame({"ID": ["a", "b"], "Path": ["$ROOT/x/1.wav", "-"]})))
    ['1', 'b']
    """
    for path in _paths(table):
        name = PurePosixPath(path).name
        yield name if keep_suffix else strip_suffix(name)
