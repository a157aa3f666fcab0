"""Pack the audio of a protocol into tar shards, because many small files are a burden for shared file systems.

A folder of shards contains::

    shards.json         what was packed, and into how many shards
    000000.tar          000000000.flac, 000000000.json, 000000001.flac, ...: the form that WebDataset reads
    000000.index.csv    the members of this shard, and the utterances that could not be read
    corpus.csv          the protocol, whose paths name the entries of the shards; written last

An entry is a copy of the bytes of a file. Which utterances a shard contains follows from the protocol alone, so that
any number of runs on any number of computers can write shards at the same time and leave the same bytes.
"""

import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from antideepfake.audio.content import Entry, open_content
from antideepfake.audio.probe import probe
from antideepfake.corpora.build import BuildReport, read_report, write_report
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, atomic_path, lock_output, read_json, sha256
from antideepfake.parallel import map_in_order
from antideepfake.protocol.segments import segments_path, write_segments
from antideepfake.protocol.table import (
    count_utterances,
    read_lines,
    read_protocol,
    read_split,
    relative_path,
    resolve_path,
    write_chunks,
)

PLAN = "shards.json"
INDEX_COLUMNS = ("ID", "Member", "Offset", "Length", "SHA256", "Reason")
"""Columns of the index of a shard.

Offset and Length are in bytes. An utterance that could not be read has a Reason and no Member; a member has the Reason
``-``.
"""
# Megabytes. Opening a file and losing a shard in a crash cost little at this size, and there are still many more shards
# than processes: a corpus of 1 TB has a thousand.
SHARD_MB = 1000
COMPRESSED = 0.6  # size of FLAC relative to PCM: 0.4 to 0.7 for speech
LOSSY = 8000  # bytes per second of lossy codecs: 64 kbit/s
AGAIN = "remove the shard and pack again"
OVERHEAD = 2560  # bytes of an utterance beside its audio: two headers of 512, JSON, and padding to blocks of 512


class _Shard(NamedTuple):
    """A shard to write: its utterances, the number of the first one in the protocol, and its file."""

    rows: pd.DataFrame
    first: int
    data_folder: Path
    path: Path


def write_shards(
    protocol: str | os.PathLike,
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    split: str = "",
    shard_mb: int = SHARD_MB,
    num_workers: int = 0,
    overwrite: bool = False,
    quiet: bool = False,
    scheduler: str | None = None,
) -> BuildReport | None:
    """Pack the audio of a protocol into tar shards, and write a protocol that reads from them.

    Finished shards are kept: after an interruption, the same call continues. Several runs of the same call may work at
    the same time. Each takes the shards that no other has, and the last one to end writes the protocol.

    Arguments
    ---------
    protocol : str or Path
        The protocol of the files.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for. If ``output`` is inside it, the paths of the new protocol begin with
        ``$ROOT``; otherwise they are absolute.
    output : str or Path
        Folder for the shards. The new protocol has the name of ``protocol``, the same order and the same columns.
        ``<protocol>.report.json`` beside it lists unreadable files, and ``<protocol>.segments.csv`` has its segments.
    split : str
        Split to pack; empty for all.
    shard_mb : int
        Approximate size of a shard in megabytes (10^6 bytes), estimated from the protocol.
    num_workers : int
        Number of worker processes, each with a shard of its own; 0 uses only the main process.
    overwrite : bool
        Whether to remove earlier shards from the folder. Do not use it in several runs at the same time.
    quiet : bool
        Show no progress bar.
    scheduler : str, optional
        Address of a Dask scheduler whose workers write the shards (:func:`antideepfake.parallel.map_in_order`).

    Returns
    -------
    BuildReport or None
        The numbers of utterances that were packed and left out. None if other runs are still writing shards.

    Raises
    ------
    InputError
        When the folder contains anything else, such as shards of another protocol, or no file can be read.

    Example
    -------
    >>> import soundfile
    >>> from antideepfake.corpora.build import build_protocol
    >>> root = getfixture("tmp_path")
    >>> soundfile.write(root / "a.wav", [0.1, 0.2] * 800, 16000)
    >>> rows = [{"ID": "a", "Label": "real", "Path": "a.wav"}]
    >>> _ = build_protocol(rows, root, root / "p.csv", quiet=True)
    >>> write_shards(root / "p.csv", root, root / "shards", quiet=True).written
    1
    >>> read_protocol(root / "shards" / "p.csv")["Path"].tolist()
    ['$ROOT/shards/000000.tar#512+3244']
    """
    output, data_folder = Path(output).absolute(), Path(data_folder).absolute()
    _refuse_other_files(output)
    table = read_split(protocol, split)
    bounds = plan_shards(table, shard_mb)
    source = {"protocol": Path(protocol).name, "sha256": sha256([protocol]), "split": split}
    sizes = {"utterances": len(table), "shards": len(bounds) - 1, "shard_mb": shard_mb}
    _claim_folder(output, source | sizes, overwrite)
    shards = [
        _Shard(table.iloc[start:stop], start, data_folder, _shard_path(output, number))
        for number, (start, stop) in enumerate(pairwise(bounds))
    ]
    target = output / Path(protocol).name
    todo = [shard for shard in shards if not shard.path.exists()]
    if not todo and target.exists():
        return read_report(target)
    # Where a file system has no locks, runs at the same time would otherwise write the same shards one after the other.
    random.Random().shuffle(todo)
    done = len(table) - sum(len(shard.rows) for shard in todo)
    with tqdm(total=len(table), initial=done, desc="packing", unit="file", disable=quiet) as progress:
        for count in map_in_order(_write_shard, todo, num_workers, scheduler):
            progress.update(count)
    if not all(shard.path.exists() for shard in shards):
        return None
    return _write_protocol(shards, protocol, target)


def plan_shards(table: pd.DataFrame, shard_mb: int) -> list[int]:
    """Divide a protocol into shards of about the same size, without looking at its files.

    Arguments
    ---------
    table : pandas.DataFrame
        The protocol.
    shard_mb : int
        Approximate size of a shard in megabytes.

    Returns
    -------
    list of int
        Index of the first utterance of each shard, then the number of utterances.

    Example
    -------
    >>> facts = {"SampleRate": 16000, "AudioChannel": 1, "AudioEncoding": "PCM_S", "AudioBitSample": 16}
    >>> plan_shards(pd.DataFrame({"Duration": [100.0] * 5}).assign(**facts), shard_mb=7)
    [0, 3, 5]
    """
    seconds, rate, channels, bits = (
        table[column].to_numpy(np.float64) for column in ("Duration", "SampleRate", "AudioChannel", "AudioBitSample")
    )
    is_pcm = table["AudioEncoding"].str.match("PCM|ULAW|ALAW").to_numpy(bool)
    lossless = rate * channels * bits / 8 * np.where(is_pcm, 1, COMPRESSED)
    sizes = seconds * np.where(bits > 0, lossless, LOSSY) + OVERHEAD
    starts = np.cumsum(sizes) - sizes
    numbers = starts // (1e6 * shard_mb)
    return [*np.flatnonzero(np.diff(numbers, prepend=-1)).tolist(), len(table)]


def read_index(shard: str | os.PathLike) -> pd.DataFrame:
    """Read the index of a shard.

    Arguments
    ---------
    shard : str or Path
        The tar file.

    Returns
    -------
    pandas.DataFrame
        The columns of ``INDEX_COLUMNS`` as text, in the order of the protocol.

    Raises
    ------
    InputError
        When the index is missing or damaged.
    """
    path = _index_path(Path(shard))
    table = read_lines(path)
    if tuple(table) != INDEX_COLUMNS:
        raise InputError(f"{path}:1: not the index of a shard, which has the columns {', '.join(INDEX_COLUMNS)}")
    return table


class Verification(NamedTuple):
    """What :func:`verify_shards` found.

    Arguments
    ---------
    shards, members : int
        The numbers of shards and of their members by the index.
    faults : list of str
        One sentence for each shard or member that is missing or damaged.
    """

    shards: int
    members: int
    faults: list[str]


def verify_shards(
    protocol: str | os.PathLike,
    output: str | os.PathLike,
    num_workers: int = 0,
    quiet: bool = False,
    scheduler: str | None = None,
) -> Verification:
    """Read all shards of a folder and compare every member with its digest in the index.

    Arguments
    ---------
    protocol : str or Path
        The protocol that was packed. Only its name is used.
    output : str or Path
        Folder that :func:`write_shards` wrote.
    num_workers : int
        Number of worker processes; 0 uses only the main process.
    quiet : bool
        Show no progress bar.
    scheduler : str, optional
        Address of a Dask scheduler whose workers read the shards (:func:`antideepfake.parallel.map_in_order`).

    Returns
    -------
    Verification
        What was read and what is wrong.

    Raises
    ------
    InputError
        When the folder contains no shards, or those of another protocol, or not all of them are written yet.
    """
    output = Path(output)
    plan = _read_plan(output)
    if plan["protocol"] != Path(protocol).name:
        raise InputError(f"{output}: has the shards of {plan['protocol']}, not of {Path(protocol).name}")
    if not (output / plan["protocol"]).exists():
        raise InputError(f"{output}: not all shards are written yet; run the command without --verify first")
    paths = [_shard_path(output.absolute(), number) for number in range(plan["shards"])]
    bar: Any = {"total": len(paths), "desc": "verifying", "unit": "shard", "disable": quiet}
    results = list(tqdm(map_in_order(_verify_shard, paths, num_workers, scheduler), **bar))
    members, faults = zip(*results, strict=True)
    return Verification(len(paths), sum(members), [fault for found in faults for fault in found])


def _refuse_other_files(output: Path) -> None:
    """Raise an error if the output is a file, or a folder with anything else than shards."""
    if output.is_file():
        raise InputError(f"{output}: already exists and is a file; choose another --output")
    # The plan is written before everything else, also by another run that begins at the same time.
    names = {path.name for path in output.glob("[!.]*")}
    if names and PLAN not in names:
        raise InputError(
            f"{output}: already exists without shards; --overwrite replaces shards only, choose another --output"
        )


def _claim_folder(output: Path, plan: dict[str, Any], overwrite: bool) -> None:
    """Record what the shards of a folder are, or check that the folder has shards of the same plan."""
    output.mkdir(parents=True, exist_ok=True)
    if overwrite and (output / PLAN).exists():
        earlier = _read_plan(output)
        protocol = output / earlier["protocol"]
        shards = [_shard_path(output, number) for number in range(earlier["shards"])]
        parts = [*shards, *map(_index_path, shards), output / PLAN]
        for path in (protocol, segments_path(protocol), Path(f"{protocol}.report.json"), *parts):
            path.unlink(missing_ok=True)
    if not (output / PLAN).exists():
        with atomic_open(output / PLAN) as file:
            json.dump(plan, file, indent=1)
    earlier = _read_plan(output)
    if earlier != plan:
        names = {"protocol": "the protocol", "split": "--split", "shard_mb": "--shard_mb"}
        changes = [
            f"{name} {earlier.get(key)!r} and not {plan[key]!r}"
            for key, name in names.items()
            if earlier.get(key) != plan[key]
        ]
        others = ", ".join(changes) or "another version of the protocol"
        raise InputError(
            f"{output}: already exists, with shards of {others}; choose another --output or pass --overwrite"
        )


def _read_plan(output: Path) -> dict[str, Any]:
    plan = read_json(output / PLAN) if (output / PLAN).exists() else {}
    if not {"protocol", "shards"} <= plan.keys():
        raise InputError(f"{output}: no folder of shards, which has a {PLAN}; pass the --output of an earlier run")
    return plan


def _shard_path(output: Path, number: int) -> Path:
    return output / f"{number:06d}.tar"


def _index_path(shard: Path) -> Path:
    return shard.with_suffix(".index.csv")


def _write_shard(shard: _Shard) -> int:
    """Write a shard and its index, unless another run does; return the number of its utterances."""
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_output(shard.path))
        except InputError:  # another run is writing it
            return len(shard.rows)
        if shard.path.exists():  # another run has finished it meanwhile
            return len(shard.rows)
        index: list[tuple[Any, ...]] = []
        # The shard gets its name last, so that a shard always has an index.
        with atomic_path(shard.path) as temporary:
            with open(temporary, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for number, row in enumerate(shard.rows.to_dict("records"), shard.first):
                    index += _add_utterance(tar, file, f"{number:09d}", row, shard.data_folder)
            with atomic_open(_index_path(shard.path), newline="") as table:
                pd.DataFrame(index, columns=list(INDEX_COLUMNS)).to_csv(table, index=False, lineterminator="\n")
    return len(shard.rows)


def _add_utterance(
    tar: tarfile.TarFile, file: io.BufferedWriter, key: str, row: dict[Any, Any], data_folder: Path
) -> list[tuple[Any, ...]]:
    """Add an utterance to a shard; return its rows of the index."""
    path = resolve_path(row["Path"], data_folder)
    try:
        probe(path)
        audio = _read_bytes(path)
    except InputError as error:
        return [(row["ID"], "-", "-", "-", "-", str(error).removeprefix(f"{path}: "))]
    facts = {name: value for name, value in row.items() if name != "Path"}
    contents = {f"{key}{_choose_suffix(path)}": audio, f"{key}.json": json.dumps(facts, ensure_ascii=False).encode()}
    rows = []
    for name, content in contents.items():
        member = tarfile.TarInfo(name)  # without time and owner: the same utterances give the same bytes
        member.size = len(content)
        offset = file.tell() + tarfile.BLOCKSIZE
        tar.addfile(member, io.BytesIO(content))
        rows.append((row["ID"], name, offset, len(content), hashlib.sha256(content).hexdigest(), "-"))
    return rows


def _read_bytes(path: Path) -> bytes:
    try:
        file, _ = open_content(path)
        with file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _choose_suffix(path: Path) -> str:
    """Return the suffix of a file if it can be that of a member, which WebDataset reads up to the first dot."""
    suffix = path.suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and suffix != ".json" else ".audio"


def _write_protocol(shards: list[_Shard], source: str | os.PathLike, target: Path) -> BuildReport:
    """Write the protocol of finished shards, its segments and its report."""
    report = BuildReport(written=0)

    def read_chunks() -> Iterator[pd.DataFrame]:
        for shard in shards:
            index = read_index(shard.path)
            index = index[~index["Member"].str.endswith(".json")].reset_index(drop=True)
            is_packed = (index["Reason"] == "-").to_numpy()
            left_out = shard.rows[~is_packed]
            for name, path, reason in zip(left_out["ID"], left_out["Path"], index["Reason"][~is_packed], strict=True):
                absolute = os.fspath(resolve_path(path, shard.data_folder))
                report.left_out.append({"id": name, "path": absolute, "reason": reason})
            places = index.loc[is_packed, ["Offset", "Length"]].itertuples(index=False, name=None)
            paths = [relative_path(str(Entry(str(shard.path), *place)), shard.data_folder) for place in places]
            rows = shard.rows[is_packed].assign(Path=paths)
            count_utterances(rows, report.counts)
            report.written += len(rows)
            yield rows

    with atomic_path(target) as temporary:
        write_chunks(read_chunks(), temporary)
        if not report.written:
            for shard in shards:  # empty ones, which another run with the right folder would keep
                shard.path.unlink(missing_ok=True)
            raise InputError(f"{source}: none of {len(report.left_out)} files can be read; check --data_folder")
        if segments_path(source).exists():
            segments, table = read_lines(segments_path(source)), read_protocol(temporary)
            write_segments(segments[segments["ID"].isin(table["ID"])], segments_path(target), table)
        write_report(report, target)
    return report


def _verify_shard(path: Path) -> tuple[int, list[str]]:
    """Compare the members of a shard with its index; return their number and what is wrong."""
    try:
        index = read_index(path)
        with tarfile.open(path) as tar:
            found = {member.name: _describe(tar, member) for member in tar}
    except (InputError, OSError, tarfile.TarError) as error:
        return 0, [f"{path}: cannot be read ({error}); {AGAIN}"]
    index = index[index["Reason"] == "-"]
    columns = (index[column] for column in ("Member", "Offset", "Length", "SHA256"))
    expected = {name: facts for name, *facts in zip(*columns, strict=True)}
    faults = [
        f"{path}: {name} {'differs from the index' if name in found else 'is missing'}; {AGAIN}"
        for name, facts in expected.items()
        if found.get(name) != facts
    ]
    faults += [f"{path}: {name} is not in the index; {AGAIN}" for name in found if name not in expected]
    return len(expected), faults


def _describe(tar: tarfile.TarFile, member: tarfile.TarInfo) -> list[str]:
    """Return offset, length and digest of a member as the index has them."""
    content = tar.extractfile(member)
    digest = hashlib.sha256(content.read() if content else b"").hexdigest()
    return [str(member.offset_data), str(member.size), digest]
