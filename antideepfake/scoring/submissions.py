"""The forms in which evaluations take scores: an utterance's file name and its score, a line each."""

import csv
import os
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from antideepfake.errors import InputError
from antideepfake.files import atomic_open

ASVSPOOF5_HEADER = ["filename", "cm-score"]
FORMS = ("asvspoof5", "speech_df_arena", "anti_spoofing_arena")


def write_submission(scores: pd.DataFrame, path: str | os.PathLike, form: str) -> None:
    """Write scores as an evaluation wants them.

    Arguments
    ---------
    scores : pandas.DataFrame
        As :func:`antideepfake.scoring.read_scores` gives. The name of an utterance is that of its file, from Path;
        where that is unknown, its ID.
    path : str or Path
        The file to write.
    form : str
        ``asvspoof5``: tab-separated, with the header ``filename cm-score``, names without suffix. ``speech_df_arena``:
        name with suffix, a space, score. ``anti_spoofing_arena``: name without suffix, a space, score with six digits
        after the point (its ``scores.txt``).

    Raises
    ------
    InputError
        When the form is unknown, two utterances have one name, or a name has a space that the form cannot hold.

    Example
    -------
    >>> scores = pd.DataFrame({"ID": ["ASV5-A09-E_1"], "Score": [1.5], "Path": ["$ROOT/ASVspoof5/flac/E_1.flac"]})
    >>> path = getfixture("tmp_path") / "scores.tsv"
    >>> write_submission(scores, path, "asvspoof5")
    >>> path.read_text().splitlines()
    ['filename\\tcm-score', 'E_1\\t1.5']
    """
    if form not in FORMS:
        raise InputError(f"the form '{form}' is unknown; it is one of {', '.join(FORMS)}")
    names = list(file_names(scores, keep_suffix=form == "speech_df_arena"))
    repeated = pd.Series(names).duplicated()
    if repeated.any():
        name = names[int(np.argmax(repeated))]
        raise InputError(f"two utterances have the name '{name}'; this form cannot tell them apart")
    broken = [name for name in names if any(character.isspace() for character in name)]
    if broken:
        raise InputError(f"'{broken[0]}': a space in the name, which this form cannot hold; rename the file")
    with atomic_open(path, newline="") as file:
        writer = csv.writer(file, delimiter="\t" if form == "asvspoof5" else " ", lineterminator="\n")
        if form == "asvspoof5":
            writer.writerow(ASVSPOOF5_HEADER)
        for name, score in zip(names, scores["Score"], strict=True):
            writer.writerow([name, f"{score:.6f}" if form == "anti_spoofing_arena" else f"{score!r}"])


def read_submission(path: str | os.PathLike) -> pd.DataFrame:
    """Read scores in any of these forms.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    pandas.DataFrame
        Name (without suffix) and Score.

    Raises
    ------
    InputError
        When a line is not a name and a number; names the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.txt"
    >>> _ = path.write_text("E_1.flac 1.5\\nE_2.flac -2\\n")
    >>> read_submission(path).values.tolist()
    [['E_1', 1.5], ['E_2', -2.0]]
    """
    names, scores = [], []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            words = line.split()
            if not words or (number == 1 and words == ASVSPOOF5_HEADER):
                continue
            try:
                name, score = words
                scores.append(float(score))
            except ValueError:
                raise InputError(f"{path}, line {number}: '{line.strip()}'; it must be a name and a score") from None
            names.append(PurePosixPath(name).stem)
    return pd.DataFrame({"Name": names, "Score": scores})


def file_names(table: pd.DataFrame, keep_suffix: bool = False) -> Iterator[str]:
    """Give the name of each utterance's file; its ID where the path is unknown.

    Example
    -------
    >>> list(file_names(pd.DataFrame({"ID": ["a", "b"], "Path": ["$ROOT/x/1.wav", "-"]})))
    ['1', 'b']
    """
    paths = table["Path"] if "Path" in table else ["-"] * len(table)
    for identifier, path in zip(table["ID"], paths, strict=True):
        file = PurePosixPath(path)
        yield identifier if path in ("", "-") else file.name if keep_suffix else file.stem
