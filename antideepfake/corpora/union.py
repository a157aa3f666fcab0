"""From the protocols of many corpora to those of a union: train, valid and test.

The rows pass through a file on disk; memory holds some thirty bytes an utterance and one chunk of rows.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals
from tqdm import tqdm

from antideepfake import __version__
from antideepfake.corpora.registry import Corpus, find_corpora
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, lock_output
from antideepfake.protocol.arrow import SUFFIX, as_frame, write_arrow
from antideepfake.protocol.segments import check_segments, segments_path, write_segments
from antideepfake.protocol.table import (
    CHUNK_ROWS,
    COLUMNS,
    LABELS,
    SPLITS,
    WEIGHT,
    hash_identifiers,
    iterate_protocol,
    read_lines,
    read_protocol,
    write_chunks,
)

SEED = 42  # seed of the published shuffle
GROUPS = ("corpus", "attack", "language", "label")  # columns to balance by
REPORT = "merge.report.json"
SEGMENTS = ".segments.csv"
NAMES = [f"{name}{suffix}" for name in SPLITS for suffix in (".csv", SUFFIX, SEGMENTS)]
STAGE = ".merge.part"  # folder of a merge that runs or was interrupted
PLAN = "plan.json"  # in it: what the merge was given
LISTED = 10_000  # repeated IDs in the report; all are counted


@dataclass
class MergeReport:
    """What a union contains, and what was left out of it.

    Arguments
    ---------
    counts : dict
        Corpus -> train, valid or test -> label -> [utterances, seconds], in the order of the union.
    languages : dict
        Corpus -> languages, sorted, without ``-``.
    repeated : int
        Number of rows left out because of a repeated ID.
    repetitions : list of dict
        The first of these rows: ``id``, and the protocols of the row ``kept`` and the row ``left_out``.
    missing : list of str
        Corpora of the order without rows.
    unlisted : list of str
        Corpora of the training data that are not in the order.
    """

    counts: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    languages: dict[str, list[str]] = field(default_factory=dict)
    repeated: int = 0
    repetitions: list[dict[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def merge_protocols(
    protocols: Sequence[str | os.PathLike],
    output_folder: str | os.PathLike,
    corpora: Mapping[str, Corpus],
    order: Sequence[str] = (),
    test: Sequence[str | os.PathLike] = (),
    seed: int = SEED,
    balance: Sequence[str] = (),
    suffix: str = ".csv",
    quiet: bool = False,
    balance_power: float = 0.0,
    balance_cap: float | None = None,
) -> MergeReport:
    """Merge protocols into ``train``, ``valid`` and ``test`` of a union, and write a report.

    All rows of corpora for testing (their ``use``) and of the protocols in ``test`` go to test, whatever their
    Proportion. Of all other corpora, rows with the Proportion ``valid`` go to valid and the others to train. Of rows
    with the same ID the first is kept, and a row of ``test`` before all others. The result does not depend on the order
    of the protocols. Columns after the twelve of a protocol are dropped. Segments beside a protocol
    (:mod:`antideepfake.protocol.segments`) are merged, too; among ``protocols`` they are ignored, so that ``*.csv`` may
    name them.

    Arguments
    ---------
    protocols : sequence of str or Path
        Protocols of corpora, ``.csv`` or ``.arrow``.
    output_folder : str or Path
        Gets a file for each split that has rows, one for its segments, and ``merge.report.json``. During the merge, a
        folder in it takes three times the space of the protocols; at the end the files are moved out of it, the report
        last. Without the report, the merge is unfinished: the same call keeps the splits that it had written.
    corpora : dict
        As :func:`antideepfake.corpora.registry.read_corpora` returns.
    order : sequence of str
        Order of the corpora's rows; other corpora follow by name.
    test : sequence of str or Path
        Protocols whose rows must not be in train or valid.
    seed : int
        Seed of the shuffle of train, ``numpy.random.RandomState(seed).permutation``; valid and test are not shuffled.
    balance : sequence of str
        One or more of ``corpus``, ``attack``, ``language`` and ``label``. Train gets a column Weight, with which
        training samples: how often an epoch samples an utterance, on average. See :func:`weigh_groups`.
    suffix : str
        ``.csv``, or ``.arrow`` for millions of rows.
    quiet : bool
        Show no progress bar.
    balance_power, balance_cap :
        ``power`` and ``cap`` of :func:`weigh_groups`.

    Returns
    -------
    MergeReport
        What was written.

    Raises
    ------
    InputError
        As of :func:`antideepfake.protocol.table.read_protocol`.

    Example
    -------
    >>> from antideepfake.protocol import read_protocol, write_protocol
    >>> root = getfixture("tmp_path")
    >>> rows = [["A-1", "real", 1.5, 16000, "$ROOT/a.wav", "-", "-", "-", 1, "PCM_S", 16, "EN"]]
    >>> write_protocol(pd.DataFrame(rows, columns=COLUMNS), root / "a.csv")
    >>> merge_protocols([root / "a.csv"], root / "union", {}, quiet=True).counts
    {'A': {'train': {'real': [1, 1.5]}}}
    >>> read_protocol(root / "union" / "train.csv")["ID"].tolist()
    ['A-1']
    """
    output = Path(output_folder)
    output.mkdir(parents=True, exist_ok=True)
    tested = _sort(test)
    files = [*tested, *(path for path in _sort(protocols) if path not in tested)]
    settings = (order, len(tested), seed, balance, suffix, balance_power, balance_cap)
    uses = {name: corpus.use for name, corpus in corpora.items()}
    plan = json.dumps([__version__, uses, settings, [_stamp(path) for path in files]])
    with lock_output(output):
        stage = output / STAGE
        if not (stage / PLAN).exists() or (stage / PLAN).read_text(encoding="utf-8") != plan:
            shutil.rmtree(stage, ignore_errors=True)  # of a merge that was given something else
            stage.mkdir()
            with atomic_open(stage / PLAN) as file:
                file.write(plan)
        try:
            report = _merge_into(stage, files, corpora, *settings, quiet)
        except Exception:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        _publish(stage, output)
    return report


def list_outputs(folder: str | os.PathLike) -> list[Path]:
    """List the protocols of a union in a folder; none if the merge was killed while it moved them there.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "train.csv").touch()
    >>> [path.name for path in list_outputs(folder)]
    ['train.csv']
    >>> (folder / STAGE).mkdir()
    >>> list_outputs(folder)
    []
    """
    killed = Path(folder, STAGE).exists() and not Path(folder, REPORT).exists()
    return [] if killed else [Path(folder, name) for name in NAMES if Path(folder, name).exists()]


def _stamp(path: Path) -> list[str | int]:
    """Describe a protocol and the segments beside it, so that a change is noticed."""
    facts: list[str | int] = [os.path.abspath(path)]
    for part in (path, segments_path(path)):
        if part.exists():
            facts += [part.stat().st_size, part.stat().st_mtime_ns]
    return facts


def _publish(stage: Path, output: Path) -> None:
    """Move the files to their final place. If killed in between, ``stage`` exists and the report does not."""
    for name in (REPORT, *NAMES):
        (output / name).unlink(missing_ok=True)
    for name in (*NAMES, REPORT):  # the report last
        if (stage / name).exists():
            os.replace(stage / name, output / name)
    shutil.rmtree(stage)


def _merge_into(
    output: Path,
    files: list[Path],
    corpora: Mapping[str, Corpus],
    order: Sequence[str],
    n_tested: int,
    seed: int,
    balance: Sequence[str],
    suffix: str,
    balance_power: float,
    balance_cap: float | None,
    quiet: bool,
) -> MergeReport:
    """Merge protocols as :func:`merge_protocols` describes, but keep the splits that are in the folder.

    All rows of the first ``n_tested`` files go to test.
    """
    report = MergeReport()
    spool = output / "rows.arrow"
    try:
        rows = _collect_rows(files, corpora, spool, quiet)
        names = rows["corpus"].cat.categories
        rows["corpus"] = rows["corpus"].cat.set_categories([*order, *sorted(set(names) - set(order))])

        segments = _read_segments(files)
        split = rows.pop("valid").to_numpy(np.int8)  # SPLITS[0] is train, SPLITS[1] valid
        for_test = [name for name in names if name in corpora and corpora[name].use == "test"]
        split[rows["corpus"].isin(for_test) | (rows["file"] < n_tested)] = SPLITS.index("test")
        split[_find_repeated(rows, spool, files, report)] = len(SPLITS)  # in no split
        _count(rows, split, report)
        report.missing = [name for name in order if name not in report.counts]
        trained = [name for name, counts in report.counts.items() if set(counts) != {"test"}]
        report.unlisted = [name for name in trained if name not in order]

        with tqdm(total=len(rows) - report.repeated, desc="writing", unit="row", disable=quiet) as progress:
            for number, name in enumerate(SPLITS):
                path = output / f"{name}{suffix}"
                indices = np.flatnonzero(split == number)
                if not len(indices) or path.exists():
                    progress.update(len(indices))
                    continue
                indices = indices[np.argsort(rows["corpus"].cat.codes.to_numpy()[indices], kind="stable")]
                weights = None
                if name == "train":
                    indices = indices[np.random.RandomState(seed).permutation(len(indices))]
                    if balance:
                        groups = _number_groups([rows[column].cat.codes.to_numpy()[indices] for column in balance])
                        weights = weigh_groups(groups, balance_power, balance_cap)
                # The segments first: if the protocol exists, the split is complete.
                _write_segments(segments, rows["file"].to_numpy()[indices], spool, indices, segments_path(path))
                write_chunks(_add_weights(_reorder(spool, indices), weights, progress), path)
    finally:
        spool.unlink(missing_ok=True)
    with atomic_open(output / REPORT) as file:
        json.dump({"protocols": [os.fspath(path) for path in files], "seed": seed, **asdict(report)}, file, indent=1)
    return report


def _sort(paths: Sequence[str | os.PathLike]) -> list[Path]:
    """Sort protocols by name; leave out segments, which belong to a protocol."""
    protocols = {path for path in map(Path, paths) if not path.name.endswith(SEGMENTS)}
    return sorted(protocols, key=lambda path: (path.name, path))


def _read_segments(files: list[Path]) -> dict[int, pd.DataFrame]:
    """Read and check the segments beside the protocols; return those of each file by its number."""
    segments = {}
    for number, path in enumerate(files):
        if (beside := segments_path(path)).exists():
            segments[number] = read_lines(beside)
            check_segments(segments[number], beside, read_protocol(path))
    return segments


def _write_segments(
    segments: Mapping[int, pd.DataFrame], numbers: np.ndarray, spool: Path, indices: np.ndarray, path: Path
) -> None:
    """Write the segments of a split in the order of its rows, unless there are none.

    ``indices`` are the rows of the split in ``spool``, and ``numbers`` the file of each.
    """
    has_segments = np.isin(numbers, list(segments))
    if not has_segments.any():
        return
    rows = pd.concat(_reorder(spool, indices[has_segments], ["ID", "Label", "Duration"]), ignore_index=True)
    chosen = []
    for number, listed in segments.items():
        own = rows["ID"][numbers[has_segments] == number]
        order = listed["ID"].map(pd.Series(own.index, own.astype(str)))
        chosen.append(listed.assign(order=order)[order.notna()])
    merged = pd.concat(chosen).sort_values("order", kind="stable")
    if len(merged):
        merged[["Start", "End"]] = merged[["Start", "End"]].astype(float)
        write_segments(merged, path, rows)


def _collect_rows(files: list[Path], corpora: Mapping[str, Corpus], spool: Path, quiet: bool) -> pd.DataFrame:
    """Copy all rows to one Arrow file; return the columns that decide where each row goes."""
    facts: dict[str, list[np.ndarray]] = {name: [] for name in ("hash", "seconds", "file", "label", "valid")}
    categories: dict[str, list[pd.Categorical]] = {"corpus": [], "attack": [], "language": []}

    def read_chunks() -> Iterator[pd.DataFrame]:
        for number, path in enumerate(files):
            for chunk in iterate_protocol(path):
                facts["hash"].append(hash_identifiers(chunk["ID"]))
                facts["seconds"].append(chunk["Duration"].to_numpy(np.float64))
                facts["file"].append(np.full(len(chunk), number, np.int16))
                facts["label"].append((chunk["Label"] == LABELS[1]).to_numpy(np.int8))
                facts["valid"].append((chunk["Proportion"] == "valid").to_numpy(bool))
                categories["corpus"].append(find_corpora(chunk["ID"], corpora))
                categories["attack"].append(pd.Categorical(chunk["Attack"].to_numpy(object)))
                categories["language"].append(pd.Categorical(chunk["Language"].to_numpy(object)))
                progress.update(len(chunk))
                yield chunk[list(COLUMNS)]

    with tqdm(desc="reading", unit="row", disable=quiet) as progress:
        write_arrow(read_chunks(), spool)
    columns: dict[str, Any] = {name: np.concatenate(facts.pop(name)) for name in list(facts)}  # one column at a time
    columns["label"] = pd.Categorical.from_codes(columns["label"], LABELS)
    columns |= {name: union_categoricals(categories.pop(name)) for name in list(categories)}
    return pd.DataFrame(columns, copy=False)


def _find_repeated(rows: pd.DataFrame, spool: Path, files: list[Path], report: MergeReport) -> np.ndarray:
    """Find the indices of rows that repeat the ID of an earlier row, and report them."""
    hashes = rows.pop("hash").to_numpy()
    ordered = np.sort(hashes)
    repeated_hashes = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    suspects = np.flatnonzero(_contains(repeated_hashes, hashes))
    identifiers = [name for chunk in _reorder(spool, suspects, ["ID"]) for name in chunk["ID"]]
    owners: dict[str, int] = {}
    repeated = []
    for name, index in zip(identifiers, suspects.tolist(), strict=True):
        owner = owners.setdefault(name, index)
        if owner == index:
            continue
        repeated.append(index)
        if len(repeated) <= LISTED:
            kept, left_out = (os.fspath(files[rows["file"].array[row]]) for row in (owner, index))
            report.repetitions.append({"id": name, "kept": kept, "left_out": left_out})
    report.repeated = len(repeated)
    return np.array(repeated, np.int64)


def _contains(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mark the values that are in an ordered array; in less memory than ``numpy.isin``."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    return ordered[np.searchsorted(ordered, values).clip(max=len(ordered) - 1)] == values


def _count(rows: pd.DataFrame, split: np.ndarray, report: MergeReport) -> None:
    """Count utterances, seconds and languages, corpus by corpus; those in no split do not count."""
    sums = rows.groupby(["corpus", split, "label"], observed=True)["seconds"].agg(["size", "sum"])
    for (name, number, label), size, seconds in sums.itertuples(name=None):
        if number == len(SPLITS):
            continue
        counts = report.counts.setdefault(name, {}).setdefault(SPLITS[number], {})
        counts[label] = [int(size), round(float(seconds), 2)]
    spoken = rows.loc[split < len(SPLITS), ["corpus", "language"]].drop_duplicates()
    for name in report.counts:
        report.languages[name] = sorted(set(spoken.loc[spoken["corpus"] == name, "language"]) - {"-"})


def _number_groups(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Number the combinations of codes that occur, from 0; columns of whole numbers from 0."""
    combined = np.zeros(len(columns[0]), np.int64)
    for codes in columns:
        combined = combined * (int(codes.max()) + 1) + codes
    occurs = np.bincount(combined) > 0
    return (np.cumsum(occurs) - 1)[combined]


def weigh_groups(groups: np.ndarray, power: float = 0.0, cap: float | None = None) -> np.ndarray:
    """Compute how often to sample each utterance so that the groups are balanced.

    The weights of a group of n_i utterances sum to a share proportional to n_i^power, and the mean of all weights is 1.
    A weight is then how often an epoch samples the utterance, on average. Where it would exceed the cap, it is the cap,
    and the other groups share the rest in the same proportions.

    Arguments
    ---------
    groups : numpy.ndarray
        The group of each utterance, numbered from 0; shape [utterances].
    power : float
        In [0, 1]. 0: all groups have the same share; 1: shares by size, as without weights; 0.5 lies between.
    cap : float, optional
        Largest weight, 1 or more: how often an epoch may repeat an utterance of a small group.

    Returns
    -------
    numpy.ndarray
        Weights, shape [utterances].

    Raises
    ------
    InputError
        When the power or the cap is out of range.

    Example
    -------
    >>> weigh_groups(np.array([0, 0, 0, 0, 1])).tolist()
    [0.625, 0.625, 0.625, 0.625, 2.5]
    >>> weigh_groups(np.array([0, 0, 0, 0, 1]), cap=2.0).tolist()
    [0.75, 0.75, 0.75, 0.75, 2.0]
    """
    if not 0 <= power <= 1:
        raise InputError(f"--balance_power is {power}; it must lie between 0 (equal groups) and 1 (groups by size)")
    if cap is not None and not cap >= 1:
        raise InputError(f"--balance_cap is {cap}; it must be 1 or more")
    sizes = np.bincount(groups)
    shares = sizes**power
    weights = len(groups) * shares / shares.sum() / sizes
    is_capped = np.zeros(len(sizes), bool)
    while cap is not None and (new := ~is_capped & (weights > cap)).any():
        is_capped |= new
        weights[is_capped] = cap
        if (rest := ~is_capped).any():
            remaining = len(groups) - cap * sizes[is_capped].sum()
            weights[rest] = remaining * shares[rest] / shares[rest].sum() / sizes[rest]
    return weights[groups]


def _add_weights(chunks: Iterator[pd.DataFrame], weights: np.ndarray | None, progress: tqdm) -> Iterator[pd.DataFrame]:
    """Add the column Weight, if there is one, to chunks of a table."""
    done = 0
    for chunk in chunks:
        yield chunk if weights is None else chunk.assign(**{WEIGHT: weights[done : done + len(chunk)]})
        done += len(chunk)
        progress.update(len(chunk))


def _reorder(spool: Path, indices: np.ndarray, columns: Sequence[str] = COLUMNS) -> Iterator[pd.DataFrame]:
    """Yield rows of an Arrow file in any order, one chunk at a time.

    The file is read once from beginning to end. Its rows pass through a file for each chunk, so that memory holds one
    chunk, however the rows are shuffled.
    """
    count = -(-len(indices) // CHUNK_ROWS)
    paths = [spool.with_name(f"{number}.rows") for number in range(count)]
    with pa.OSFile(os.fspath(spool)) as source, pa.ipc.open_file(source) as reader, ExitStack() as stack:
        schema = pa.schema([reader.schema.field(name) for name in columns])
        writers = [stack.enter_context(pa.ipc.new_stream(os.fspath(path), schema)) for path in paths]
        chunk_of = np.full(sum(reader.get_batch(index).num_rows for index in range(reader.num_record_batches)), -1)
        chunk_of[indices] = np.arange(len(indices)) // CHUNK_ROWS
        first = 0
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index).select(columns)
            own = chunk_of[first : first + batch.num_rows]
            first += batch.num_rows
            order = np.argsort(own, kind="stable")
            cuts = np.searchsorted(own[order], np.arange(count + 1))
            rows = batch.take(pa.array(order[cuts[0] :]))
            for writer, start, end in zip(writers, cuts[:-1] - cuts[0], cuts[1:] - cuts[0], strict=True):
                if start < end:
                    writer.write_batch(rows.slice(start, end - start))
    for number, path in enumerate(paths):
        with pa.OSFile(os.fspath(path)) as source, pa.ipc.open_stream(source) as stream:
            rows = stream.read_all()
        path.unlink()
        wanted = indices[number * CHUNK_ROWS : (number + 1) * CHUNK_ROWS]
        place = np.empty(len(wanted), np.int64)
        place[np.argsort(wanted, kind="stable")] = np.arange(len(wanted))  # the file has them in their first order
        yield as_frame(rows.combine_chunks().take(pa.array(place)))


def format_merge(report: MergeReport, corpora: Mapping[str, Corpus]) -> str:
    """Format the content of a union for a terminal, with the hours of the paper for comparison.

    Arguments
    ---------
    report : MergeReport
        As :func:`merge_protocols` returns.
    corpora : dict
        As :func:`antideepfake.corpora.registry.read_corpora` returns.

    Returns
    -------
    str
        One line for each corpus, and the sum.

    Example
    -------
    >>> print(format_merge(MergeReport({"A": {"train": {"real": [1, 5400.0]}}}, {"A": ["EN"]}), {}))
    corpus                train    valid     test     real h   (paper)     fake h   (paper) languages
    A                         1        0        0       1.50         -       0.00         - EN
    all                       1        0        0       1.50         -       0.00         - EN
    """
    lines = [
        f"{'corpus':<18}" + "".join(f"{split:>9}" for split in SPLITS) + f"{'real h':>11}{'(paper)':>10}{'fake h':>11}"
        f"{'(paper)':>10} languages"
    ]
    total: dict[str, float] = {}
    for name, counts in report.counts.items():
        published = corpora[name].published_hours if name in corpora else {}
        cells: dict[str, float] = {split: sum(size for size, _ in counts.get(split, {}).values()) for split in SPLITS}
        for label in LABELS:
            cells[label] = sum(labels[label][1] for labels in counts.values() if label in labels) / 3600
            if label in published:
                cells[f"published {label}"] = published[label]
        lines.append(_format_line(name, cells, report.languages[name]))
        for key, value in cells.items():
            total[key] = total.get(key, 0) + value
    lines.append(_format_line("all", total, sorted({name for spoken in report.languages.values() for name in spoken})))
    return "\n".join(lines)


def _format_line(name: str, cells: Mapping[str, float], languages: Sequence[str]) -> str:
    line = f"{name:<18}" + "".join(f"{int(cells[split]):>9}" for split in SPLITS)
    for label in reversed(LABELS):
        published = f"{cells[key]:.2f}" if (key := f"published {label}") in cells else "-"
        line += f"{cells[label]:>11.2f}{published:>10}"
    spoken = " ".join(languages) or "-"
    return f"{line} {spoken if len(spoken) <= 12 else len(languages)}"
