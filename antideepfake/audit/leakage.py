"""Overlap of a test set with training data: utterances, recordings, corpora and sources of corpora.

Results on a test set are optimistic if the detector was trained on its utterances or speakers.
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

EXAMPLES = 3  # utterances and recordings named in a warning
PAIRS = 12  # pairs of corpora named in a warning
WIDTH = 80  # width of a warning in columns, that of a terminal
CHUNK = 4096  # files passed to the threads at once


@dataclass(frozen=True)
class Overlap:
    """Overlap of a test set with training data; false if there is none.

    Arguments
    ---------
    tested : int
        Number of utterances in the test set.
    utterances : tuple of str
        Sorted identifiers of the test utterances that are in the training data.
    recordings : tuple of (str, str)
        Identifiers of a test and a training utterance with the same samples.
    corpora : tuple of str
        Corpora in both.
    sources : tuple of (str, str, str)
        A corpus of the test set, another corpus of the training data, and the source corpus of speech in both.
    held_out : tuple of str
        Corpora in both, for which the test set has only splits that are not in the training data. They cause a note
        instead of a warning.
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
    """Find the overlap of a test set with training data by their identifiers and corpora.

    Arguments
    ---------
    test_ids : sequence of str
        Identifiers of the test set.
    training_corpora : iterable of str
        Training corpora, from the metadata of a model folder or from :func:`antideepfake.corpora.find_corpora`.
    corpora : dict of str to Corpus
        Known corpora, as :func:`antideepfake.corpora.registry.read_corpora` returns them.
    training_ids : sequence of str
        Identifiers of the training data, if known.
    splits : sequence of str
        Proportion of each utterance of the test set, if known.
    test_protocols : collection of str
        SHA-256 of the protocols of the test set, if known.
    training_protocols : sequence of dict
        Protocols of the training data, as in :class:`antideepfake.model_folder.metadata.ModelMetadata`.

    Returns
    -------
    Overlap
        The overlap, without ``recordings``; see :func:`find_recordings`.

    Example
    -------
    >>> corpora = {name: Corpus(name, "train", (f"{name}-",), ("VCTK",)) for name in ("DFADD", "DECRO")}
    >>> find_overlap(["DFADD-1", "DFADD-2"], ["DECRO"], corpora).sources
    (('DFADD', 'DECRO', 'VCTK'),)
    >>> bool(find_overlap(["mine-1"], ["DECRO"], corpora))
    False
    """
    training = sorted(set(training_corpora))
    corpus_of = find_corpora(test_ids, corpora) if len(test_ids) else pd.Categorical([])
    tested = sorted(corpus_of.categories)
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
            ours = set(pd.Series(splits, dtype=object)[np.asarray(corpus_of == name)]) if len(splits) else set()
            known = [protocol for protocol in training_protocols if name in protocol["corpora"]]
            is_held_out = _is_held_out(name, ours, set(test_protocols), known, corpora)
            (held_out if is_held_out else both).append(name)
    return Overlap(len(test_ids), tuple(shared), (), tuple(both), tuple(sources), tuple(held_out))


def _is_held_out(
    name: str,
    splits: set[str],
    test_protocols: set[str],
    training_protocols: Sequence[Mapping[str, Any]],
    corpora: Mapping[str, Corpus],
) -> bool:
    """Return whether the training data are known to lack the test splits of a corpus."""
    if not training_protocols or not splits or not splits <= set(SPLITS):
        return False
    if any(splits & set(protocol["splits"]) for protocol in training_protocols):
        return False
    # Splits of one protocol are disjoint. Those of different protocols are disjoint only if the corpus defines them.
    same = bool(test_protocols) and test_protocols <= {protocol["sha256"] for protocol in training_protocols}
    return same or (name in corpora and corpora[name].use != "none")


def _shared_sources(ours: str, theirs: str, corpora: Mapping[str, Corpus]) -> list[str]:
    """Return the common source corpora of two corpora, without those implied by another common source."""
    shared = trace_sources(ours, corpora) & trace_sources(theirs, corpora)
    implied = {source for name in shared for source in trace_sources(name, corpora) - {name}}
    return sorted(shared - implied)


def find_recordings(
    test: pd.DataFrame,
    training: pd.DataFrame,
    data_folder: str | os.PathLike,
    num_workers: int = 0,
    quiet: bool = False,
) -> tuple[list[tuple[str, str]], list[str]]:
    """Find the recordings that a test set and training data share, whatever their names and formats.

    Only files with a Duration, rounded to 0.01 s, and a SampleRate that occur in both are read.

    Arguments
    ---------
    test, training : pandas.DataFrame
        Protocols with at least ID, Duration, SampleRate and Path.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.
    num_workers : int
        Files to read at the same time; 0: one after the other.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    recordings : list of (str, str)
        Identifiers of a test and a training utterance with the same samples.
    unreadable : list of str
        A message for each file that could not be read.
    """
    test_keys, training_keys = _length_keys(test), _length_keys(training)
    sides = [
        (table, np.flatnonzero(np.isin(keys, others)))
        for table, keys, others in ((test, test_keys, training_keys), (training, training_keys, test_keys))
    ]
    names: dict[bytes, list[str]] = {}
    recordings, unreadable = [], []
    total = sum(len(candidates) for _, candidates in sides)
    with (
        ThreadPoolExecutor(max(num_workers, 1)) as pool,
        tqdm(total=total, desc="comparing recordings", unit="file", disable=quiet) as progress,
    ):
        for is_training, (table, candidates) in enumerate(sides):
            for start in range(0, len(candidates), CHUNK):
                rows = table.iloc[candidates[start : start + CHUNK]]
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
    """Return a unique number for each pair of Duration and SampleRate."""
    centiseconds = np.rint(table["Duration"].to_numpy(np.float64) * 100).astype(np.int64)
    return centiseconds * 1_000_000 + table["SampleRate"].to_numpy(np.int64)


def _try_to_hash(path: Path) -> bytes | str:
    """Return the hash of a recording, or an error message, so that a damaged file does not end the search."""
    try:
        return hash_recording(path)
    except InputError as error:
        return str(error)


def hash_recording(path: str | os.PathLike) -> bytes:
    """Compute a hash of the samples of a file, averaged over channels and rounded to 16 bits, and of its sample rate.

    Arguments
    ---------
    path : str or Path
        An audio file. WAV and FLAC files of the same recording have the same hash; an MP3 file has another one.

    Returns
    -------
    bytes
        The hash, 16 bytes.

    Raises
    ------
    InputError
        If the file cannot be read.

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
        for chunk in file.blocks():
            samples = np.rint(chunk.mean(1) * 32768).clip(-32768, 32767)
            digest.update(samples.astype("<i2").tobytes())
    return digest.digest()


def explain_overlap(overlap: Overlap) -> list[str]:
    """Describe the overlap of a test set with training data and its effect on the results.

    Arguments
    ---------
    overlap : Overlap
        The overlap, as :func:`find_overlap` returns it.

    Returns
    -------
    list of str
        A heading and paragraphs; empty without overlap.

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
            f"data, such as {', '.join(overlap.utterances[:EXAMPLES])}. The results on them are invalid, because "
            "the detector was trained on their labels."
        ]
    if overlap.recordings:
        pairs = ", ".join(f"{ours} (in training: {theirs})" for ours, theirs in overlap.recordings[:EXAMPLES])
        count = len({ours for ours, _ in overlap.recordings})
        paragraphs += [
            f"SEEN RECORDINGS: {count} of {overlap.tested} test utterances have the same samples as a "
            f"training utterance, such as {pairs}. The results on them are invalid."
        ]
    if overlap.corpora:
        paragraphs += [
            f"SAME CORPUS: {', '.join(overlap.corpora)}. The training data include utterances of the same corpus, "
            "perhaps the same ones. Results on such a test set are optimistic: the detector may know its utterances, "
            "speakers, channels and spoofing systems."
        ]
    if overlap.sources:
        related = [_format_pair(*pair) for pair in overlap.sources[:PAIRS]]
        if len(overlap.sources) > PAIRS:
            related.append(f"and {len(overlap.sources) - PAIRS} more pairs")
        names = sorted({source for _, _, source in overlap.sources})
        paragraphs += [
            "SAME SOURCE: these pairs of a test and a training corpus contain speech of the same source corpus:",
            *(f"  {pair}" for pair in related),
            f"The detector may know speakers and recordings of {', '.join(names)}, so results are optimistic.",
        ]
    return paragraphs


def explain_held_out(overlap: Overlap) -> str:
    """Describe the corpora of which training and test data have different splits; empty if there are none.

    Example
    -------
    >>> explain_held_out(Overlap(10, held_out=("DFADD",)))
    'DFADD: the training data include other splits of this corpus; the detector may know its channels and attacks'
    """
    if not overlap.held_out:
        return ""
    these = "this corpus" if len(overlap.held_out) == 1 else "these corpora"
    return (
        f"{', '.join(overlap.held_out)}: the training data include other splits of {these}; the detector may know its "
        "channels and attacks"
    )


def format_overlap(overlap: Overlap) -> str:
    """Format the overlap of a test set with training data as a warning in an ASCII frame, ``WIDTH`` columns wide.

    Arguments
    ---------
    overlap : Overlap
        The overlap, as :func:`find_overlap` returns it.

    Returns
    -------
    str
        Lines of the warning; empty without overlap.

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
