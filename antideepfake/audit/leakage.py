"""What a test set shares with training data: utterances, recordings, corpora, the sources of corpora.

A detector that has heard the test set, or its speakers, does better on it than on speech that it will meet.
"""

import hashlib
import os
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from antideepfake.audio.audio_file import open_audio
from antideepfake.corpora.registry import Corpus, find_corpora, trace_sources
from antideepfake.errors import InputError
from antideepfake.protocol.table import SPLITS, resolve_path

EXAMPLES = 3  # of utterances and recordings, in a warning
PAIRS = 12  # of corpora, in a warning
WIDTH = 80  # of a warning, in columns: a terminal has as many
PIECE = 4096  # files that are given to the threads at a time


@dataclass(frozen=True)
class Overlap:
    """What a test set shares with training data; false when that is nothing.

    Arguments
    ---------
    tested : int
        Utterances of the test set.
    utterances : tuple of str
        Those whose identifier is in the training data, sorted.
    recordings : tuple of (str, str)
        Identifiers of a test and a training utterance with the same samples.
    corpora : tuple of str
        Corpora that both have.
    sources : tuple of (str, str, str)
        A corpus of the test set, another one of the training data, and the corpus whose speech both hold.
    held_out : tuple of str
        Corpora that both have, of which the test set has only a split that training left out: no warning, a note.
    """

    tested: int
    utterances: tuple[str, ...] = ()
    recordings: tuple[tuple[str, str], ...] = ()
    corpora: tuple[str, ...] = ()
    sources: tuple[tuple[str, str, str], ...] = ()
    held_out: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.utterances or self.recordings or self.corpora or self.sources)


def find_overlap(
    test_ids: Sequence[str],
    training_corpora: Iterable[str],
    corpora: Mapping[str, Corpus],
    training_ids: Sequence[str] = (),
    splits: Sequence[str] = (),
    test_protocols: Collection[str] = (),
    training_protocols: Sequence[Mapping[str, Any]] = (),
) -> Overlap:
    """Compare a test set with training data by names alone.

    Arguments
    ---------
    test_ids : sequence of str
        Identifiers of the test set.
    training_corpora : iterable of str
        What a model folder records, or :func:`antideepfake.corpora.find_corpora` gives of training identifiers.
    corpora : dict
        As :func:`antideepfake.corpora.registry.read_corpora` gives.
    training_ids : sequence of str
        Identifiers of the training data, where they are known.
    splits : sequence of str
        The Proportion of each utterance of the test set, where it is known.
    test_protocols : collection of str
        SHA-256 of the protocols that the test set is from, where they are known.
    training_protocols : sequence of dict
        Protocols of the training data, as :class:`antideepfake.model_folder.metadata.ModelMetadata` has them.

    Returns
    -------
    Overlap
        Without ``recordings``, see :func:`find_recordings`.

    Example
    -------
    >>> corpora = {name: Corpus(name, "train", (f"{name}-",), ("VCTK",)) for name in ("DFADD", "DECRO")}
    >>> find_overlap(["DFADD-1", "DFADD-2"], ["DECRO"], corpora).sources
    (('DFADD', 'DECRO', 'VCTK'),)
    >>> bool(find_overlap(["mine-1"], ["DECRO"], corpora))
    False
    """
    training = sorted(set(training_corpora))
    told = find_corpora(test_ids, corpora) if len(test_ids) else pd.Categorical([])
    tested = sorted(told.categories)
    shared = sorted(set(pd.Series(training_ids)[np.asarray(pd.Series(training_ids).isin(test_ids))]))
    sources = [
        (ours, theirs, source)
        for ours in tested
        for theirs in training
        if ours != theirs
        for source in _shared_sources(ours, theirs, corpora)
    ]
    held_out: list[str] = []
    both: list[str] = []
    for name in tested:
        if name in training:
            ours = set(pd.Series(splits, dtype=object)[np.asarray(told == name)]) if len(splits) else set()
            known = [protocol for protocol in training_protocols if name in protocol["corpora"]]
            fits = _is_held_out(name, ours, set(test_protocols), known, corpora)
            (held_out if fits else both).append(name)
    return Overlap(len(test_ids), tuple(shared), (), tuple(both), tuple(sources), tuple(held_out))


def _is_held_out(
    name: str,
    splits: set[str],
    test_protocols: set[str],
    training_protocols: Sequence[Mapping[str, Any]],
    corpora: Mapping[str, Corpus],
) -> bool:
    """Tell whether training is known to have left out the splits of a corpus that the test set has."""
    if not training_protocols or not splits or not splits <= set(SPLITS):
        return False
    if any(splits & set(protocol["splits"]) for protocol in training_protocols):
        return False
    # Of one protocol the splits are apart; else only where the corpus, not its user, says what they are.
    same = bool(test_protocols) and test_protocols <= {protocol["sha256"] for protocol in training_protocols}
    return same or (name in corpora and corpora[name].use != "none")


def _shared_sources(ours: str, theirs: str, corpora: Mapping[str, Corpus]) -> list[str]:
    """Name the corpora whose speech two corpora hold, without those that follow from another of them."""
    shared = trace_sources(ours, corpora) & trace_sources(theirs, corpora)
    implied = {source for name in shared for source in trace_sources(name, corpora) - {name}}
    return sorted(shared - implied)


def find_recordings(
    test: pd.DataFrame,
    training: pd.DataFrame,
    data_folder: str | os.PathLike,
    num_workers: int = 2,
    quiet: bool = False,
) -> tuple[list[tuple[str, str]], list[str]]:
    """Find the recordings that a test set and training data share, whatever their names and formats.

    Of both, the files are read whose Duration, to a hundredth of a second, and SampleRate occur in the other.

    Arguments
    ---------
    test, training : pandas.DataFrame
        Protocols, or at least ID, Duration, SampleRate and Path of them.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    num_workers : int
        Files read at the same time.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    recordings : list of (str, str)
        Identifiers of a test and a training utterance with the same samples.
    unreadable : list of str
        What could not be compared, in a sentence each.
    """
    test_keys, training_keys = _length_keys(test), _length_keys(training)
    sides = [
        (table, np.flatnonzero(np.isin(keys, others)))
        for table, keys, others in ((test, test_keys, training_keys), (training, training_keys, test_keys))
    ]
    names: dict[bytes, list[str]] = {}
    recordings, unreadable = [], []
    total = sum(len(places) for _, places in sides)
    with (
        ThreadPoolExecutor(max(num_workers, 1)) as pool,
        tqdm(total=total, desc="comparing recordings", unit="file", disable=quiet) as progress,
    ):
        for is_training, (table, places) in enumerate(sides):
            for start in range(0, len(places), PIECE):
                rows = table.iloc[places[start : start + PIECE]]
                paths = [resolve_path(path, data_folder) for path in rows["Path"]]
                for name, digest in zip(rows["ID"], pool.map(_try_to_hash, paths), strict=True):
                    progress.update()
                    if isinstance(digest, str):
                        unreadable.append(digest)
                    elif is_training:
                        recordings += [(other, name) for other in names.get(digest, ())]
                    else:
                        names.setdefault(digest, []).append(name)
    return recordings, unreadable


def _length_keys(table: pd.DataFrame) -> np.ndarray:
    """Give a number for each pair of Duration and SampleRate."""
    centiseconds = np.rint(table["Duration"].to_numpy(np.float64) * 100).astype(np.int64)
    return centiseconds * 1_000_000 + table["SampleRate"].to_numpy(np.int64)


def _try_to_hash(path: Path) -> bytes | str:
    """Hash a recording, or say why not: one bad file must not end the search."""
    try:
        return hash_recording(path)
    except InputError as error:
        return str(error)


def hash_recording(path: str | os.PathLike) -> bytes:
    """Hash what is heard of a file: its samples, averaged over the channels, at their own rate, rounded to 16 bits.

    Arguments
    ---------
    path : str or Path
        Any format that libsndfile reads. A wav and a flac file of one recording have the same hash; an mp3 has not.

    Returns
    -------
    bytes
        16 of them.

    Raises
    ------
    InputError
        When the file cannot be read.

    Example
    -------
    >>> import soundfile
    >>> root, tone = getfixture("tmp_path"), (1e4 * np.sin(np.arange(8000))).astype(np.int16)
    >>> soundfile.write(root / "a.wav", tone, 16000)
    >>> soundfile.write(root / "b.flac", tone, 16000)
    >>> hash_recording(root / "a.wav") == hash_recording(root / "b.flac")
    True
    """
    digest = hashlib.blake2b(digest_size=16)
    with open_audio(path) as file:
        digest.update(f"{file.samplerate}".encode())
        for block in file.blocks():
            samples = np.rint(block.mean(1) * 32768).clip(-32768, 32767)
            digest.update(samples.astype("<i2").tobytes())
    return digest.digest()


def explain_overlap(overlap: Overlap) -> list[str]:
    """Say in sentences what a test set shares with training data, and what that means for the figures.

    Arguments
    ---------
    overlap : Overlap
        As :func:`find_overlap` gives.

    Returns
    -------
    list of str
        A heading and paragraphs; nothing when nothing is shared.

    Example
    -------
    >>> explain_overlap(Overlap(10, corpora=("DFADD",)))[0], explain_overlap(Overlap(10))
    ('WARNING: the test set overlaps with the training data', [])
    """
    if not overlap:
        return []
    paragraphs = ["WARNING: the test set overlaps with the training data"]
    if overlap.utterances:
        paragraphs += [
            f"SEEN UTTERANCES: {len(overlap.utterances)} of {overlap.tested} test utterances were in the training "
            f"data, such as {', '.join(overlap.utterances[:EXAMPLES])}. The results on them are worthless: the "
            "detector has learned the answers."
        ]
    if overlap.recordings:
        pairs = ", ".join(f"{ours} (in training: {theirs})" for ours, theirs in overlap.recordings[:EXAMPLES])
        count = len({ours for ours, _ in overlap.recordings})
        paragraphs += [
            f"SEEN RECORDINGS: {count} of {overlap.tested} test utterances have the very samples of a training "
            f"utterance, such as {pairs}. The results on them are worthless."
        ]
    if overlap.corpora:
        paragraphs += [
            f"SAME CORPUS: {', '.join(overlap.corpora)}. The training data had utterances of the same corpus, perhaps "
            "these. Results on such a test set are optimistic: utterances, speakers, channels and spoofing systems "
            "may be known to the detector."
        ]
    if overlap.sources:
        related = [_format_pair(*pair) for pair in overlap.sources[:PAIRS]]
        if len(overlap.sources) > PAIRS:
            related.append(f"and {len(overlap.sources) - PAIRS} more pairs")
        names = sorted({source for _, _, source in overlap.sources})
        paragraphs += [
            "SAME SOURCE: a corpus of the test set and one of the training data share speech of a third corpus:",
            *(f"  {pair}" for pair in related),
            f"The detector may know speakers and recordings of {', '.join(names)}: results are optimistic.",
        ]
    return paragraphs


def explain_held_out(overlap: Overlap) -> str:
    """Say which corpora training and test have in common without sharing a split; empty where there are none.

    Example
    -------
    >>> explain_held_out(Overlap(10, held_out=("DFADD",)))
    'DFADD: the training data had other splits of this corpus, so that channels and spoofing systems may be known'
    """
    if not overlap.held_out:
        return ""
    these = "this corpus" if len(overlap.held_out) == 1 else "these corpora"
    return (
        f"{', '.join(overlap.held_out)}: the training data had other splits of {these}, so that channels and spoofing "
        "systems may be known"
    )


def format_overlap(overlap: Overlap) -> str:
    """Word what a test set shares with training data as a warning: a frame of ASCII, ``WIDTH`` columns wide.

    Arguments
    ---------
    overlap : Overlap
        As :func:`find_overlap` gives.

    Returns
    -------
    str
        Lines; nothing when nothing is shared.

    Example
    -------
    >>> format_overlap(Overlap(10))
    ''
    >>> print(format_overlap(Overlap(10, corpora=("DFADD",))).splitlines()[0][:52])
    WARNING: the test set overlaps with the training dat
    """
    if not overlap:
        return ""
    heading, *paragraphs = explain_overlap(overlap)
    lines = [
        line
        for paragraph in paragraphs
        for line in textwrap.wrap(
            paragraph.encode("ascii", "backslashreplace").decode(), WIDTH - 4, break_on_hyphens=False
        )
    ]
    return "\n".join([f"{heading} ".ljust(WIDTH, "#"), *(f"# {line:<{WIDTH - 4}} #" for line in lines), "#" * WIDTH])


def _format_pair(ours: str, theirs: str, source: str) -> str:
    return " - ".join(name if name == source else f"{name} ({source})" for name in (ours, theirs))
