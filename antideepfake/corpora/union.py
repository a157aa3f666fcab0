"""From the protocols of many corpora to those of a union: train, valid and test.

The rows go through a file on the disk; what is held in memory is some thirty bytes an utterance and a part of the rows.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals
from tqdm import tqdm

from antideepfake.corpora.registry import Corpus, find_corpora
from antideepfake.files import atomic_open, lock_output
from antideepfake.protocol.arrow import SUFFIX, as_frame, map_arrow, write_arrow
from antideepfake.protocol.table import CHUNK_ROWS, COLUMNS, LABELS, SPLITS, WEIGHT, iterate_protocol, write_chunks

SEED = 42  # of the published shuffle
GROUPS = ("corpus", "language", "label")  # what may be balanced
REPORT = "merge.report.json"
NAMES = [f"{name}{suffix}" for name in SPLITS for suffix in (".csv", SUFFIX)]
STAGE = ".merge.part"  # folder of a merge that is running or was killed
LISTED = 10_000  # repeated identifiers in the report; all are counted


@dataclass
class MergeReport:
    """What a union holds, and what was left out of it.

    Arguments
    ---------
    counts : dict
        Corpus -> train, valid or test -> label -> [utterances, seconds], in the order of the union.
    languages : dict
        Corpus -> languages, sorted, without ``-``.
    repeated : int
        Rows that were left out because their identifier stood before.
    repetitions : list of dict
        ``id``, ``kept`` and ``left_out`` (protocols) of the first of them.
    missing : list of str
        Corpora of the order that no row is of.
    unlisted : list of str
        Corpora of the training data that the order has not.
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
) -> MergeReport:
    """Merge protocols into ``train``, ``valid`` and ``test`` of a union, with a report beside them.

    Of the corpora for testing (their ``use``) and of ``test``, every row goes to test, whatever its Proportion. Of all
    others, rows with the Proportion ``valid`` go to valid and every other to train. Of rows with the same identifier
    the first is kept, one of ``test`` before all others. The result does not depend on the order in which protocols
    are given. Columns after the twelve are left out.

    Arguments
    ---------
    protocols : sequence of path
        Of corpora, ``.csv`` or ``.arrow``.
    output_folder : str or Path
        Takes the files, of which none is without rows, and ``merge.report.json``. While it works, a folder in it takes
        twice as much as the protocols: the files are moved out of it at the end, the report last. A folder without
        the report is not finished.
    corpora : dict
        As :func:`antideepfake.corpora.registry.read_corpora` gives.
    order : sequence of str
        Corpora in the order that their rows are to have; others follow by name.
    test : sequence of path
        Protocols whose rows must never be trained on.
    seed : int
        Of the shuffle of train, ``numpy.random.RandomState(seed).permutation``; valid and test keep their order.
    balance : sequence of str
        Of ``corpus``, ``language`` and ``label``. Train gets a column Weight: n / (g n_i) for each of the n_i
        utterances of a group, where n is the number of all and g that of groups. Its mean is 1, and all groups weigh
        the same. Training draws by it.
    suffix : str
        ``.csv``, or ``.arrow`` for millions of rows.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    MergeReport
        What was written.

    Raises
    ------
    InputError
        As :func:`antideepfake.protocol.table.read_protocol`.

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
    with lock_output(output):
        stage = output / STAGE
        shutil.rmtree(stage, ignore_errors=True)  # of a run that was killed
        stage.mkdir()
        try:
            report = _merge_into(stage, protocols, corpora, order, test, seed, balance, suffix, quiet)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        _publish(stage, output)
    return report


def list_outputs(folder: str | os.PathLike) -> list[Path]:
    """Give the protocols of a union that are in a folder; none where the merge was killed while it moved them there.

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


def _publish(stage: Path, output: Path) -> None:
    """Move what was written to its final place. Killed in between, it leaves ``stage`` and no report."""
    for name in (REPORT, *NAMES):
        (output / name).unlink(missing_ok=True)
    written = sorted(stage.iterdir(), key=lambda path: path.name == REPORT)  # the report last
    for path in written:
        os.replace(path, output / path.name)
    stage.rmdir()


def _merge_into(
    output: Path,
    protocols: Sequence[str | os.PathLike],
    corpora: Mapping[str, Corpus],
    order: Sequence[str],
    test: Sequence[str | os.PathLike],
    seed: int,
    balance: Sequence[str],
    suffix: str,
    quiet: bool,
) -> MergeReport:
    """Do what :func:`merge_protocols` does, in an empty folder."""
    tested = _sort(test)
    files = [*tested, *(path for path in _sort(protocols) if path not in tested)]
    report = MergeReport()
    spool = output / "rows.arrow"
    try:
        rows = _note_rows(files, corpora, spool, quiet)
        table = map_arrow(spool)
        names = rows["corpus"].cat.categories
        rows["corpus"] = rows["corpus"].cat.set_categories([*order, *sorted(set(names) - set(order))])

        split = rows.pop("valid").to_numpy(np.int8)  # SPLITS[0] is train, SPLITS[1] valid
        for_test = [name for name in names if name in corpora and corpora[name].use == "test"]
        split[rows["corpus"].isin(for_test) | (rows["file"] < len(tested))] = SPLITS.index("test")
        split[_find_repeated(rows, table, files, report)] = len(SPLITS)  # nowhere
        _count(rows.assign(split=split)[split < len(SPLITS)], report)
        report.missing = [name for name in order if name not in report.counts]
        trained = [name for name, counts in report.counts.items() if set(counts) != {"test"}]
        report.unlisted = [name for name in trained if name not in order]

        with tqdm(total=len(rows) - report.repeated, desc="writing", unit="row", disable=quiet) as progress:
            for number, name in enumerate(SPLITS):
                places = np.flatnonzero(split == number)
                places = places[np.argsort(rows["corpus"].cat.codes.to_numpy()[places], kind="stable")]
                weights = None
                if name == "train":
                    places = places[np.random.RandomState(seed).permutation(len(places))]
                    weights = _weigh(rows.iloc[places], balance) if balance else None
                if len(places):
                    write_chunks(_add_weights(_gather(table, places), weights, progress), output / f"{name}{suffix}")
    finally:
        spool.unlink(missing_ok=True)
    with atomic_open(output / REPORT) as file:
        json.dump({"protocols": [os.fspath(path) for path in files], "seed": seed, **asdict(report)}, file, indent=1)
    return report


def _sort(paths: Sequence[str | os.PathLike]) -> list[Path]:
    return sorted(set(map(Path, paths)), key=lambda path: (path.name, path))


def _note_rows(files: list[Path], corpora: Mapping[str, Corpus], spool: Path, quiet: bool) -> pd.DataFrame:
    """Copy all rows into one Arrow file; give what decides where each goes."""
    facts: list[pd.DataFrame] = []
    categories: dict[str, list[pd.Categorical]] = {"corpus": [], "language": []}

    def read_parts() -> Iterator[pd.DataFrame]:
        for number, path in enumerate(files):
            for part in iterate_protocol(path):
                columns = {
                    "hash": pd.util.hash_array(part["ID"].to_numpy(object)),
                    "seconds": part["Duration"].to_numpy(np.float64),
                    "file": np.full(len(part), number, np.int16),
                    "label": pd.Categorical(part["Label"].to_numpy(object), LABELS),
                    "valid": (part["Proportion"] == "valid").to_numpy(bool),
                }
                facts.append(pd.DataFrame(columns))
                categories["corpus"].append(find_corpora(part["ID"], corpora))
                categories["language"].append(pd.Categorical(part["Language"].to_numpy(object)))
                progress.update(len(part))
                yield part[list(COLUMNS)]

    with tqdm(desc="reading", unit="row", disable=quiet) as progress:
        write_arrow(read_parts(), spool)
    joined = {name: union_categoricals(parts) for name, parts in categories.items()}
    return pd.concat(facts, ignore_index=True).assign(**joined)


def _find_repeated(rows: pd.DataFrame, table: pa.Table, files: list[Path], report: MergeReport) -> np.ndarray:
    """Give the places of rows whose identifier a row before has, and report them."""
    suspects = np.flatnonzero(rows.pop("hash").duplicated(keep=False))
    identifiers = [name for part in _gather(table.select(["ID"]), suspects) for name in part["ID"]]
    owners: dict[str, int] = {}
    repeated = []
    for name, place in zip(identifiers, suspects.tolist(), strict=True):
        owner = owners.setdefault(name, place)
        if owner == place:
            continue
        repeated.append(place)
        if len(repeated) <= LISTED:
            kept, left_out = (os.fspath(files[rows["file"].array[row]]) for row in (owner, place))
            report.repetitions.append({"id": name, "kept": kept, "left_out": left_out})
    report.repeated = len(repeated)
    return np.array(repeated, np.int64)


def _count(rows: pd.DataFrame, report: MergeReport) -> None:
    """Count utterances, seconds and languages, corpus by corpus."""
    sums = rows.groupby(["corpus", "split", "label"], observed=True)["seconds"].agg(["size", "sum"])
    for (name, split, label), size, seconds in sums.itertuples(name=None):
        counts = report.counts.setdefault(name, {}).setdefault(SPLITS[split], {})
        counts[label] = [int(size), round(float(seconds), 2)]
    spoken = rows[["corpus", "language"]].drop_duplicates()
    for name in report.counts:
        report.languages[name] = sorted(set(spoken.loc[spoken["corpus"] == name, "language"]) - {"-"})


def _weigh(rows: pd.DataFrame, balance: Sequence[str]) -> np.ndarray:
    """Give each utterance its weight: n / (g n_i)."""
    groups = rows.groupby(list(balance), observed=True)
    sizes = groups["seconds"].transform("size").to_numpy()
    return len(rows) / (groups.ngroups * sizes)


def _add_weights(parts: Iterator[pd.DataFrame], weights: np.ndarray | None, progress: tqdm) -> Iterator[pd.DataFrame]:
    """Add the column Weight, where there is one, to parts of a table."""
    done = 0
    for part in parts:
        yield part if weights is None else part.assign(**{WEIGHT: weights[done : done + len(part)]})
        done += len(part)
        progress.update(len(part))


def _gather(table: pa.Table, places: np.ndarray) -> Iterator[pd.DataFrame]:
    """Give rows of a table in any order, a part at a time.

    Arrow's own ``take`` would first make one piece of the whole table, in memory.
    """
    batches = table.to_batches()
    bounds = np.cumsum([0, *(batch.num_rows for batch in batches)])
    for start in range(0, len(places), CHUNK_ROWS):
        wanted = places[start : start + CHUNK_ROWS]
        order = np.argsort(wanted)
        cuts = np.searchsorted(wanted[order], bounds)
        pieces = [
            batch.take(pa.array(wanted[order[first:last]] - bound))
            for batch, first, last, bound in zip(batches, cuts[:-1], cuts[1:], bounds[:-1], strict=True)
            if first < last
        ]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        yield as_frame(pa.Table.from_batches(pieces).combine_chunks().take(pa.array(back)))


def format_merge(report: MergeReport, corpora: Mapping[str, Corpus]) -> str:
    """Lay out what a union holds for a terminal, the hours of the paper beside ours where they are known.

    Arguments
    ---------
    report : MergeReport
        As :func:`merge_protocols` gives.
    corpora : dict
        As :func:`antideepfake.corpora.registry.read_corpora` gives.

    Returns
    -------
    str
        A line a corpus, and their sum.

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
