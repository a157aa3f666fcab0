"""From a corpus's files to its protocol: probe the headers, leave out what cannot be read, write and report."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.protocol.probe import probe
from antideepfake.protocol.table import COLUMNS, relative_path, resolve_path, write_protocol


@dataclass
class BuildReport:
    """What became of the files of a corpus.

    Arguments
    ---------
    written : int
        Utterances in the protocol.
    left_out : list of dict
        The others: ``id``, ``path`` and ``reason`` of each.
    """

    written: int
    left_out: list[dict[str, str]] = field(default_factory=list)


def build_protocol(
    utterances: Iterable[Mapping[str, str]],
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    num_workers: int = 1,
    quiet: bool = False,
    split: Callable[[pd.DataFrame], list[str]] | None = None,
) -> BuildReport:
    """Probe the files of a corpus and write its protocol, with a report beside it.

    Arguments
    ---------
    utterances : iterable of dict
        ID, Label, Path (absolute, or relative to ``data_folder``) and, where known, Attack, Speaker, Proportion and
        Language of each utterance, in the order that the protocol is to have.
    data_folder : str or Path
        What ``$ROOT`` will stand for.
    output : str or Path
        The protocol. ``<output>.report.json`` counts and lists what was left out.
    num_workers : int
        Headers read at the same time.
    quiet : bool
        Show no progress bar.
    split : callable, optional
        For a corpus without a split of its own: gives the Proportion of each row of the table of what can be read.

    Returns
    -------
    BuildReport
        Counts, and what was left out with its reason.

    Raises
    ------
    InputError
        When nothing is left, or an identifier is there twice.

    Example
    -------
    >>> import soundfile
    >>> root = getfixture("tmp_path")
    >>> soundfile.write(root / "a.flac", [0.1] * 8000, 16000)
    >>> rows = [{"ID": "a", "Label": "real", "Path": "a.flac"}, {"ID": "b", "Label": "fake", "Path": "b.flac"}]
    >>> report = build_protocol(rows, root, root / "protocol.csv", quiet=True)
    >>> report.written, report.left_out[0]["reason"]
    (1, 'no such file')
    """
    utterances = list(utterances)
    data_folder = Path(data_folder).absolute()
    paths = [resolve_path(relative_path(utterance["Path"], data_folder), data_folder) for utterance in utterances]
    rows, left_out = [], []
    with ThreadPoolExecutor(num_workers) as pool:
        headers = tqdm(
            pool.map(_try_probe, paths), total=len(paths), desc="reading headers", unit="file", disable=quiet
        )
        for utterance, path, header in zip(utterances, paths, headers, strict=True):
            if isinstance(header, InputError):
                reason = str(header).removeprefix(f"{path}: ")
                left_out.append({"id": utterance["ID"], "path": str(path), "reason": reason})
            else:
                rows.append({**utterance, **header, "Path": relative_path(path, data_folder)})
    if not rows:
        raise InputError(f"{data_folder}: none of {len(utterances)} files can be read; is this the right folder?")
    table = pd.DataFrame([{**dict.fromkeys(COLUMNS, "-"), **row} for row in rows])
    if split:
        table["Proportion"] = split(table)
    write_protocol(table, output)
    # a file that was left out may have a name that is not UTF-8
    with atomic_open(f"{os.fspath(output)}.report.json", errors="backslashreplace") as file:
        json.dump({"written": len(table), "left_out": left_out}, file, indent=1, ensure_ascii=False)
    return BuildReport(len(table), left_out)


def read_report(output: str | os.PathLike) -> BuildReport:
    """Read what :func:`build_protocol` reported of the protocol ``output``."""
    return BuildReport(**json.loads(Path(f"{os.fspath(output)}.report.json").read_text(encoding="utf-8")))


def _try_probe(path: Path) -> dict[str, Any] | InputError:
    """One bad file must not end the walk through a corpus."""
    try:
        return probe(path)
    except InputError as error:
        return error
