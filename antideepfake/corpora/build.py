"""From a corpus's files to its protocol: probe the headers, leave out what cannot be read, write and report."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from antideepfake.audio.probe import probe
from antideepfake.corpora.identifiers import Identifiers
from antideepfake.corpora.journal import Journal
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, atomic_path, lock_output
from antideepfake.protocol.table import (
    COLUMNS,
    check_protocol,
    count_utterances,
    read_protocol,
    relative_path,
    write_protocol,
)

CHUNK = 4096  # utterances held at a time
PIECE = 64  # of them that a worker takes at once
UNKNOWN = dict.fromkeys(COLUMNS, "-")


@dataclass
class BuildReport:
    """What became of the files of a corpus.

    Arguments
    ---------
    written : int
        Utterances in the protocol.
    left_out : list of dict
        Those that should be there and are not: ``id``, ``path`` and ``reason`` of each.
    unlisted : list of str
        Audio files that lie among those of the corpus and are none of its utterances, ``$ROOT`` for the data folder.
    counts : dict
        Split -> label -> [utterances, seconds].
    """

    written: int
    left_out: list[dict[str, str]] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    counts: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def build_protocol(
    utterances: Iterable[Mapping[str, str]],
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    num_workers: int = 1,
    quiet: bool = False,
    split: Callable[[pd.DataFrame], list[str]] | None = None,
) -> BuildReport:
    """Probe the files of a corpus and write its protocol, with a report beside it.

    The corpus is gone through twice, first for its identifiers and then for its headers, and little of it is held in
    memory: a corpus of ten million files takes some hundred megabytes. ``<output>.journal`` notes the headers; after an
    interruption, the same call goes on where it was.

    Arguments
    ---------
    utterances : iterable of dict
        ID, Label, Path (absolute, or relative to ``data_folder``) and, where known, Attack, Speaker, Proportion and
        Language of each utterance, in the order that the protocol is to have. One with a Reason is left out for it. Of
        two with one ID, the second gets what tells its path from the first's at the end of its ID; where the path is
        the same, it is left out.
    data_folder : str or Path
        What ``$ROOT`` will stand for.
    output : str or Path
        The protocol. ``<output>.report.json`` counts and lists what was left out.
    num_workers : int
        Headers read at the same time: threads, since reading waits for the disk more than for the processor.
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
        When nothing is left, an ID, a Label or another text cannot stand in a protocol, or another run is writing it.

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
    if iter(utterances) is utterances:  # a generator could be gone through only once
        utterances = list(utterances)
    data_folder = Path(data_folder).absolute()
    output = os.fspath(output)
    listing = tqdm(utterances, desc="listing files", unit="file", disable=quiet)
    identifiers = Identifiers((utterance["ID"], os.path.join(data_folder, utterance["Path"])) for utterance in listing)
    report = BuildReport(written=0)

    def read_rows(chunk: list[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
        """Give the rows of those that can be read, and report the others."""
        paths = [os.path.join(data_folder, utterance["Path"]) for utterance in chunk]
        for utterance, path, header in zip(chunk, paths, _read_headers(paths, pool, journal), strict=True):
            progress.update()
            identifier = identifiers.distinguish(utterance["ID"], path)
            reason = utterance.get("Reason", header if isinstance(header, str) else "")
            if identifier is None:
                reason = "the corpus names it a second time"
            if isinstance(header, str) or reason:
                report.left_out.append({"id": utterance["ID"], "path": path, "reason": reason})
            else:
                place = {"ID": identifier, "Path": relative_path(path, data_folder)}
                yield {**UNKNOWN, **utterance, **header, **place}

    with lock_output(output), Journal(f"{output}.journal") as journal, atomic_path(output) as temporary:
        with (
            open(temporary, "w", encoding="utf-8", newline="") as file,
            ThreadPoolExecutor(max(num_workers, 1)) as pool,
            tqdm(total=identifiers.total, desc="reading headers", unit="file", disable=quiet) as progress,
        ):
            for chunk in _divide(utterances, CHUNK):
                table = pd.DataFrame(read_rows(chunk), columns=list(COLUMNS))
                if len(table):
                    check_protocol(table, output, first_line=report.written + 2)
                    table.to_csv(file, header=report.written == 0, index=False, lineterminator="\n")
                    count_utterances(table, report.counts)
                    report.written += len(table)
        if not report.written:
            raise InputError(f"{data_folder}: none of {identifiers.total} files can be read; is this the right folder?")
        if split:
            table = read_protocol(temporary)
            table["Proportion"] = split(table)
            write_protocol(table, temporary)
            report.counts = count_utterances(table)
        report.unlisted = [relative_path(path, data_folder) for path in identifiers.find_unlisted()]
        # a file that was left out may have a name that is not UTF-8
        with atomic_open(f"{output}.report.json", errors="backslashreplace") as report_file:
            json.dump(asdict(report), report_file, indent=1, ensure_ascii=False)
    return report


def read_report(output: str | os.PathLike) -> BuildReport:
    """Read what :func:`build_protocol` reported of a protocol.

    Arguments
    ---------
    output : str or Path
        The protocol.

    Returns
    -------
    BuildReport
        As it was returned then.

    Raises
    ------
    InputError
        When the protocol has no report: it comes from elsewhere.
    """
    path = Path(f"{os.fspath(output)}.report.json")
    if not path.exists():
        raise InputError(
            f"{output}: already exists without a report of how it was made; choose another --output or pass --overwrite"
        )
    return BuildReport(**json.loads(path.read_text(encoding="utf-8")))


def _divide(utterances: Iterable[Mapping[str, str]], size: int) -> Iterator[list[Mapping[str, str]]]:
    """Give ``size`` utterances at a time."""
    rest = iter(utterances)
    while chunk := list(islice(rest, size)):
        yield chunk


def _read_headers(paths: list[str], pool: ThreadPoolExecutor, journal: Journal) -> Iterator[dict[str, Any] | str]:
    """Give the header of each file, or why it cannot be read: from the journal first, then from the files."""
    recalled = list(takewhile(lambda noted: noted is not None, map(journal.recall, paths)))
    yield from recalled
    pieces = [paths[start : start + PIECE] for start in range(len(recalled), len(paths), PIECE)]
    for piece, headers in zip(pieces, pool.map(_probe_all, pieces), strict=True):
        for path, header in zip(piece, headers, strict=True):
            journal.note(path, header)
        journal.flush()
        yield from headers


def _probe_all(paths: list[str]) -> list[dict[str, Any] | str]:
    """Probe some files. One bad file must not end the walk through a corpus."""
    headers: list[dict[str, Any] | str] = []
    for path in paths:
        try:
            if "\n" in path or "\r" in path:  # neither a protocol nor a score file could hold it
                raise InputError(f"{path}: a line end in its name; rename the file")
            headers.append(probe(path))
        except InputError as error:
            headers.append(str(error).removeprefix(f"{path}: "))
    return headers
