"""From a corpus's files to its protocol: read the headers, leave out unreadable files, write and report."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
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
from antideepfake.parallel import map_in_order
from antideepfake.protocol.segments import SEGMENT_COLUMNS, segments_path, write_segments
from antideepfake.protocol.table import (
    COLUMNS,
    check_protocol,
    count_utterances,
    read_protocol,
    relative_path,
    write_protocol,
)

CHUNK = 4096  # utterances in memory at once
TASK = 64  # files that a thread or a worker reads at once
UNKNOWN = dict.fromkeys(COLUMNS, "-")
Header = dict[str, Any] | str  # of a file, or the reason why it cannot be read


@dataclass
class BuildReport:
    """What was written of a corpus and what was left out.

    Arguments
    ---------
    written : int
        Utterances in the protocol.
    left_out : list of dict
        Utterances that are not in the protocol: ``id``, ``path`` and ``reason`` of each.
    unlisted : list of str
        Audio files in the same folders that are not utterances of the corpus, with ``$ROOT`` for the data folder.
    counts : dict
        Split -> label -> [utterances, seconds].
    """

    written: int
    left_out: list[dict[str, str]] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    counts: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def build_protocol(
    utterances: Iterable[Mapping[str, Any]],
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    num_workers: int = 0,
    quiet: bool = False,
    split: Callable[[pd.DataFrame], list[str]] | None = None,
    scheduler: str | None = None,
) -> BuildReport:
    """Read the headers of a corpus and write its protocol and a report.

    There are two passes over the corpus, one for its IDs and one for its headers, and little of it is in memory: a
    corpus of ten million files takes some hundred megabytes. Headers are logged to ``<output>.journal``; after an
    interruption, the same call resumes from there.

    Arguments
    ---------
    utterances : iterable of dict
        ID, Label, Path (absolute, or relative to ``data_folder``) and, where known, Attack, Speaker, Proportion and
        Language of each utterance, in the order of the protocol. An utterance with a Reason is left out for that
        reason. Segments of an utterance, a list of start and end in seconds and label, are written beside the protocol
        (:mod:`antideepfake.protocol.segments`), cut off at its duration. Of two utterances with one ID, the second
        gets a suffix that distinguishes its path from the first's; if the paths are the same, it is left out.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    output : str or Path
        The protocol. ``<output>.report.json`` counts and lists the files that were left out.
    num_workers : int
        Headers to read at the same time, in threads, since reading waits for the disk rather than for the processor; 0:
        one after the other.
    quiet : bool
        Show no progress bar.
    split : callable, optional
        For a corpus without a split: takes the table of all readable utterances, returns the Proportion of each.
    scheduler : str, optional
        Address of a Dask scheduler whose workers read the headers (:func:`antideepfake.parallel.map_in_order`).

    Returns
    -------
    BuildReport
        Counts, and the files that were left out with their reasons.

    Raises
    ------
    InputError
        When no file can be read, a value is invalid in a protocol, or another run is writing the protocol.

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
    if iter(utterances) is utterances:  # a generator can be iterated only once
        utterances = list(utterances)
    data_folder = Path(data_folder).absolute()
    output = os.fspath(output)
    listing = tqdm(utterances, desc="listing files", unit="file", disable=quiet)
    identifiers = Identifiers((utterance["ID"], os.path.join(data_folder, utterance["Path"])) for utterance in listing)
    report = BuildReport(written=0)
    segments: list[tuple[Any, float, float, str]] = []

    def read_rows(chunk: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the rows of readable files and report the others."""
        paths = [os.path.join(data_folder, utterance["Path"]) for utterance in chunk]
        for utterance, path, header in zip(chunk, paths, _read_headers(paths, read, journal), strict=True):
            progress.update()
            identifier = identifiers.distinguish(utterance["ID"], path)
            reason = utterance.get("Reason", header if isinstance(header, str) else "")
            if identifier is None:
                reason = "the corpus names it a second time"
            if isinstance(header, str) or reason:
                report.left_out.append({"id": utterance["ID"], "path": path, "reason": reason})
            else:
                seconds = header["Duration"]
                segments.extend(
                    (identifier, start, min(end, seconds), label)
                    for start, end, label in utterance.get("Segments", [])
                    if start < seconds
                )
                yield {
                    **UNKNOWN,
                    **utterance,
                    **header,
                    "ID": identifier,
                    "Path": relative_path(path, data_folder),
                }

    with lock_output(output), Journal(f"{output}.journal") as journal, atomic_path(output) as temporary:
        with (
            open(temporary, "w", encoding="utf-8", newline="") as file,
            ThreadPoolExecutor(max(num_workers, 1)) as pool,
            tqdm(total=identifiers.total, desc="reading headers", unit="file", disable=quiet) as progress,
        ):
            read = partial(map_in_order, scheduler=scheduler) if scheduler else pool.map
            for chunk in _read_chunks(utterances):
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
        segments_path(output).unlink(missing_ok=True)  # of a protocol that is replaced
        if segments:
            table = pd.DataFrame(segments, columns=list(SEGMENT_COLUMNS))
            write_segments(table, segments_path(output), read_protocol(temporary))
        report.unlisted = [relative_path(path, data_folder) for path in identifiers.find_unlisted()]
        write_report(report, output)
    return report


def write_report(report: BuildReport, output: str | os.PathLike) -> None:
    """Write the report of a protocol beside it, for :func:`read_report`.

    Arguments
    ---------
    report : BuildReport
        What was written and left out.
    output : str or Path
        The protocol.
    """
    # the name of a file that was left out need not be UTF-8
    with atomic_open(f"{os.fspath(output)}.report.json", errors="backslashreplace") as file:
        json.dump(asdict(report), file, indent=1, ensure_ascii=False)


def read_report(output: str | os.PathLike) -> BuildReport:
    """Read the report of a protocol that :func:`build_protocol` wrote.

    Arguments
    ---------
    output : str or Path
        The protocol.

    Returns
    -------
    BuildReport
        The one that was returned.

    Raises
    ------
    InputError
        When the protocol has no report, since another program wrote it.
    """
    path = Path(f"{os.fspath(output)}.report.json")
    if not path.exists():
        raise InputError(
            f"{output}: already exists without a report of how it was made; choose another --output or pass --overwrite"
        )
    return BuildReport(**json.loads(path.read_text(encoding="utf-8")))


def _read_chunks(utterances: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield ``CHUNK`` utterances at a time."""
    rest = iter(utterances)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _read_headers(paths: list[str], read: Callable[..., Iterator[list[Header]]], journal: Journal) -> Iterator[Header]:
    """Yield the header of each file, or the reason why it cannot be read: from the journal, then from the files.

    ``read`` maps a function over lists of paths.
    """
    finished = list(takewhile(lambda header: header is not None, map(journal.read, paths)))
    yield from finished
    tasks = [paths[start : start + TASK] for start in range(len(finished), len(paths), TASK)]
    for task, headers in zip(tasks, read(_probe_all, tasks), strict=True):
        for path, header in zip(task, headers, strict=True):
            journal.write(path, header)
        journal.flush()
        yield from headers


def _probe_all(paths: list[str]) -> list[Header]:
    """Read the headers of some files. A bad file does not end the preparation of a corpus."""
    headers: list[Header] = []
    for path in paths:
        try:
            if "\n" in path or "\r" in path:  # not allowed in a protocol or a score file
                raise InputError(f"{path}: a line end in its name; rename the file")
            headers.append(probe(path))
        except InputError as error:
            headers.append(str(error).removeprefix(f"{path}: "))
    return headers
