#!/usr/bin/env python
"""Prepare your own data: bona fide recordings below ``real/``, spoofed speech below ``fake/``.

    real/alice/monday/a.wav     speaker alice
    real/b.flac                 unknown speaker
    fake/alice/c.mp3            spoofed speech in the voice of alice, who is also in real/
    fake/some_tts/d.ogg         spoofing system some_tts
    fake/some_tts/alice/e.wav   spoofing system some_tts in the voice of alice

The folders may also be called ``bonafide/`` and ``spoof/``, in upper or lower case. Files that look like recordings but
cannot be read are left out and listed.

With such folders, each speaker (or spoofing system) is in only one of train, valid and test. Without them, or with too
few, utterances are assigned to the splits at random, with a warning: results on such a test set are optimistic.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from antideepfake.cli import options
from antideepfake.cli.preparation import print_report
from antideepfake.cli.program import run_program
from antideepfake.corpora.build import BuildReport, build_protocol, read_report
from antideepfake.corpora.walk import find_audio
from antideepfake.errors import InputError
from antideepfake.protocol.split import assign_splits

FOLDERS = {"fake": {"fake", "spoof"}, "real": {"real", "bonafide", "bona-fide", "bona_fide"}}  # names, in lower case


def find_utterances(data_folder: Path, name: str = "OwnData") -> list[dict[str, str]]:
    """List the audio files below ``real/`` and ``fake/``, sorted by path.

    Arguments
    ---------
    data_folder : Path
        Contains both, under the names of ``FOLDERS`` in upper or lower case; several folders for one label are joined.
    name : str
        Name of the corpus, the prefix of its IDs.

    Returns
    -------
    list of dict
        ID, Label, Path, Attack and Speaker of each.

    Raises
    ------
    InputError
        When a folder is missing or contains no audio, or the name has other characters than letters, digits, ``_``,
        ``.`` and ``-``.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise InputError(f"--name is '{name}'; use letters, digits, '_', '.' and '-'")
    data_folder = data_folder.absolute()
    if not data_folder.is_dir():
        raise InputError(
            f"{data_folder}: no such folder; pass the folder that contains real/ and fake/ as --data_folder"
        )
    files = {label: _find_files(data_folder, label) for label in FOLDERS}
    speakers = {folders[0] for path in files["real"] if (folders := _folders(path, data_folder))}
    rows = [row for label in files for row in _rows(label, files[label], speakers, data_folder)]
    return [{**row, "ID": f"{name}-{row['ID']}"} for row in rows]


def _find_files(data_folder: Path, label: str) -> list[Path]:
    folders = sorted(folder for folder in data_folder.iterdir() if folder.name.lower() in FOLDERS[label])
    return [path for folder in folders or [data_folder / label] for path in find_audio(folder)]


def _folders(path: Path, data_folder: Path) -> tuple[str, ...]:
    return path.relative_to(data_folder).parts[1:-1]


def _rows(label: str, paths: list[Path], speakers: set[str], data_folder: Path) -> Iterator[dict[str, str]]:
    taken: set[str] = set()
    for path in paths:
        folders = _folders(path, data_folder)
        attack, speaker = "-", folders[0] if folders else "-"
        if label == "fake" and folders and folders[0] not in speakers:
            attack = folders[0]
            speaker = folders[1] if len(folders) > 1 else attack
        key = "-".join(path.relative_to(data_folder).with_suffix("").parts)
        if key in taken:  # a.wav beside a.mp3, or b-c/d.wav beside b/c-d.wav
            key += path.suffix
        while key in taken:
            key += "+"
        taken.add(key)
        yield {"ID": key, "Label": label, "Path": str(path), "Attack": attack, "Speaker": speaker}


def prepare_owndata(
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    num_workers: int = 0,
    seed: int = 1234,
    overwrite: bool = False,
    quiet: bool = False,
    name: str = "OwnData",
    scheduler: str | None = None,
) -> BuildReport:
    """Write the protocol of your own data.

    Arguments
    ---------
    data_folder : str or Path
        Contains ``real/`` and ``fake/``.
    output : str or Path
        The protocol. If it exists, it is kept and its report is read.
    num_workers : int
        Headers to read at the same time; 0: one after the other.
    seed : int
        Seed of the split.
    overwrite : bool
        Replace an existing protocol.
    quiet : bool
        Show no progress.
    name : str
        As :func:`find_utterances`.
    scheduler : str, optional
        Address of a Dask scheduler whose workers read the headers.

    Returns
    -------
    BuildReport
        What was written and what was left out.

    Raises
    ------
    InputError
        When a folder is missing or contains no audio, or there are too few files for three splits.
    """
    if os.path.exists(output) and not overwrite:
        return read_report(output)

    def split(table: pd.DataFrame) -> list[str]:
        groups = table["Speaker"].where(table["Speaker"] != "-", table["ID"])
        try:
            return assign_splits(table["Label"], groups, np.random.default_rng(seed))
        except InputError:
            print(
                "warning: too few speaker folders for a split by speaker; training and test set share speakers",
                file=sys.stderr,
            )
            return assign_splits(table["Label"], table["ID"], np.random.default_rng(seed))

    utterances = find_utterances(Path(data_folder), name)
    return build_protocol(utterances, data_folder, output, num_workers, quiet, split, scheduler)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Prepare your own data from the command line."""
    parser = options.Parser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example:\n  {'' if prog else 'python '}%(prog)s --data_folder my_data --output my_data/OwnData.csv",
    )
    parser.add_argument("--data_folder", required=True, help="contains real/ and fake/")
    parser.add_argument("--output", required=True, help="the protocol to write")
    parser.add_argument(
        "--name", default="OwnData", help="name of the corpus, the prefix of its IDs (default: OwnData)"
    )
    options.add_seed(parser, "the split")
    options.add_num_workers(parser)
    options.add_scheduler(parser)
    options.add_overwrite(parser)
    options.add_format(parser)
    options.add_quiet(parser)
    args = vars(parser.parse_args(argv))
    form = args.pop("format")
    return print_report(prepare_owndata(**args), args["output"], form=form)


if __name__ == "__main__":
    run_program(main)
