"""From the protocols of many corpora to those of a union: train, valid and test.

The rows go through a file on the disk; what is held in memory is some thirty bytes an utterance and a part of the rows.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from antideepfake.files import atomic_open
from antideepfake.protocol.arrow import SUFFIX, as_frame, map_arrow, write_arrow
from antideepfake.protocol.corpora import Corpus, tell_corpora
from antideepfake.protocol.table import COLUMNS, LABELS, PART, SPLITS, WEIGHT, iterate_protocol, write_parts

SEED = 42  # of the published shuffle
GROUPS = ("corpus", "language", "label")  # what may be balanced
REPORT = "merge.report.json"
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


class _Names:
    """Numbers for names, as they come."""

    def __init__(self, names: Sequence[str] = ()):
        self.numbers = {name: number for number, name in enumerate(names)}

    def encode(self, values: pd.Categorical) -> np.ndarray:
        """Give the number of each value."""
        numbers = [self.numbers.setdefault(name, len(self.numbers)) for name in values.categories]
        return np.array(numbers, np.int16)[values.codes]


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
        as much as the protocols.
    corpora : dict
        As :func:`antideepfake.protocol.read_corpora` gives.
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
        As :func:`antideepfake.protocol.read_protocol`.

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
    files = [*_sort(test), *_sort(set(map(Path, protocols)) - set(map(Path, test)))]
    names, languages = _Names(), _Names()
    facts: list[pd.DataFrame] = []

    def read_parts() -> Iterator[pd.DataFrame]:
        """Give all rows, and note what decides where each goes."""
        for number, path in enumerate(files):
            for part in iterate_protocol(path):
                columns = {
                    "hash": pd.util.hash_array(part["ID"].to_numpy(object)),
                    "seconds": part["Duration"].to_numpy(np.float64),
                    "file": np.full(len(part), number, np.int16),
                    "corpus": names.encode(tell_corpora(part["ID"], corpora)),
                    "language": languages.encode(pd.Categorical(part["Language"].to_numpy(object))),
                    "label": (part["Label"] == LABELS[1]).to_numpy(np.int8),
                    "valid": (part["Proportion"] == "valid").to_numpy(bool),
                }
                facts.append(pd.DataFrame(columns))
                progress.update(len(part))
                yield part[list(COLUMNS)]

    with TemporaryDirectory(prefix=".merge-", dir=output) as scratch:
        spool = Path(scratch, "rows.arrow")
        with tqdm(desc="reading protocols", unit="row", disable=quiet) as progress:
            write_arrow(read_parts(), spool)
        rows = pd.concat(facts, ignore_index=True)
        facts.clear()
        table = map_arrow(spool)

        report = MergeReport()
        is_repeated = _find_repeated(rows, table, files, report)
        for_test = np.array([name in corpora and corpora[name].use == "test" for name in names.numbers])
        is_test = for_test[rows["corpus"]] | (rows["file"].to_numpy() < len(set(map(Path, test))))
        split = rows.pop("valid").to_numpy(np.int8)  # SPLITS[0] is train, SPLITS[1] valid
        split[is_test] = SPLITS.index("test")
        split[is_repeated] = len(SPLITS)  # nowhere
        ranked = [*order, *sorted(set(names.numbers) - set(order))]
        ranks = np.array([ranked.index(name) for name in names.numbers])
        _count(rows.assign(split=split), names, languages, order, ranked, report)

        with tqdm(total=int((~is_repeated).sum()), desc="writing the union", unit="row", disable=quiet) as progress:
            for number, name in enumerate(SPLITS):
                places = np.flatnonzero(split == number)
                places = places[np.argsort(ranks[rows["corpus"].to_numpy()[places]], kind="stable")]
                weights = None
                if name == "train":
                    places = places[np.random.RandomState(seed).permutation(len(places))]
                    weights = _weigh(rows.iloc[places], balance) if balance else None
                for old in (".csv", SUFFIX):  # of an earlier merge
                    if old != suffix or not len(places):
                        (output / f"{name}{old}").unlink(missing_ok=True)
                if len(places):
                    write_parts(_gather(table, places, weights, progress), output / f"{name}{suffix}")
        del table  # the file is still mapped
    with atomic_open(output / REPORT) as file:
        json.dump({"protocols": [os.fspath(path) for path in files], "seed": seed, **asdict(report)}, file, indent=1)
    return report


def _sort(paths: Sequence[str | os.PathLike] | set[Path]) -> list[Path]:
    return sorted(set(map(Path, paths)), key=lambda path: (path.name, path))


def _find_repeated(rows: pd.DataFrame, table: pa.Table, files: list[Path], report: MergeReport) -> np.ndarray:
    """Tell which rows have the identifier of one before, and report them."""
    suspects = np.flatnonzero(rows.pop("hash").duplicated(keep=False))
    identifiers = table["ID"].take(pa.array(suspects)).to_pandas()
    is_repeated = identifiers.duplicated().to_numpy()
    repeated = np.zeros(len(rows), bool)
    repeated[suspects[is_repeated]] = True
    report.repeated = int(repeated.sum())
    numbers = rows["file"].to_numpy()
    owners = dict(zip(identifiers[~is_repeated], numbers[suspects[~is_repeated]], strict=True))
    for name, number in zip(identifiers[is_repeated][:LISTED], numbers[suspects[is_repeated]], strict=False):
        kept, left_out = (os.fspath(files[place]) for place in (owners[name], number))
        report.repetitions.append({"id": name, "kept": kept, "left_out": left_out})
    return repeated


def _count(
    rows: pd.DataFrame, names: _Names, languages: _Names, order: Sequence[str], ranked: list[str], report: MergeReport
) -> None:
    """Count utterances, hours and languages, corpus by corpus."""
    rows = rows[rows["split"] < len(SPLITS)]
    sums = rows.groupby(["corpus", "split", "label"])["seconds"].agg(["size", "sum"])
    spoken = rows.groupby("corpus")["language"].unique()
    all_languages = list(languages.numbers)
    for name in ranked:
        if names.numbers.get(name) not in spoken.index:
            continue
        number = names.numbers[name]
        counts = report.counts.setdefault(name, {})
        for (split, label), (size, seconds) in sums.loc[number].iterrows():
            counts.setdefault(SPLITS[split], {})[LABELS[label]] = [int(size), round(float(seconds), 2)]
        report.languages[name] = sorted({all_languages[language] for language in spoken[number]} - {"-"})
    report.missing = [name for name in order if name not in report.counts]
    trained = [name for name, counts in report.counts.items() if set(counts) - {"test"}]
    report.unlisted = [name for name in trained if name not in order]


def _weigh(rows: pd.DataFrame, balance: Sequence[str]) -> np.ndarray:
    """Give each utterance its weight: n / (g n_i)."""
    groups = rows.groupby(list(balance), sort=False)
    sizes = groups["seconds"].transform("size").to_numpy()
    return len(rows) / (groups.ngroups * sizes)


def _gather(table: pa.Table, places: np.ndarray, weights: np.ndarray | None, progress: tqdm) -> Iterator[pd.DataFrame]:
    """Give rows of a table in any order, a part at a time.

    Arrow's own ``take`` would first make one piece of the whole table, in memory.
    """
    batches = table.to_batches()
    bounds = np.cumsum([0, *(batch.num_rows for batch in batches)])
    for start in range(0, len(places), PART):
        wanted = places[start : start + PART]
        order = np.argsort(wanted)
        cuts = np.searchsorted(wanted[order], bounds)
        pieces = [
            batch.take(pa.array(wanted[order[first:last]] - bound))
            for batch, first, last, bound in zip(batches, cuts[:-1], cuts[1:], bounds[:-1], strict=True)
            if first < last
        ]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        part = as_frame(pa.Table.from_batches(pieces).combine_chunks().take(pa.array(back)))
        progress.update(len(part))
        yield part if weights is None else part.assign(**{WEIGHT: weights[start : start + PART]})


def format_merge(report: MergeReport, corpora: Mapping[str, Corpus]) -> str:
    """Lay out what a union holds for a terminal, the hours of the paper beside ours where they are known.

    Arguments
    ---------
    report : MergeReport
        As :func:`merge_protocols` gives.
    corpora : dict
        As :func:`antideepfake.protocol.read_corpora` gives.

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
