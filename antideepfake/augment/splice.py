"""Splice spans of spoofed speech into bona fide speech: for training, and for test sets of partially spoofed speech."""

import os
from array import array
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from antideepfake.audio.samples import SAMPLE_RATE
from antideepfake.audio.waveform import read_waveform
from antideepfake.corpora.build import BuildReport, build_protocol
from antideepfake.corpora.journal import Journal
from antideepfake.errors import InputError
from antideepfake.files import atomic_path, lock_output
from antideepfake.parallel import map_in_order
from antideepfake.protocol.table import read_split, resolve_path
from antideepfake.seeds import derive_seed

CANDIDATES = 64  # random spans, of which the one with the quietest ends is taken
EDGE = 0.02  # seconds around a cut whose level is measured; two periods of a low voice
FLOOR = 1e-8  # power that counts as silence, -80 dB; digital silence has no level

Samples = NDArray[np.float32]


class Splicer:
    """Replace spans of a bona fide utterance by spans of a spoofed one.

    A cut is heard least where both signals are quiet. Of many random spans, the one is taken whose ends are quietest
    relative to its inside, in the bona fide and in the spoofed utterance; so a span contains speech. The spoofed span
    gets the level of the one that it replaces and is cross-faded at both ends. The utterance keeps its length.

    Arguments
    ---------
    max_spans : int
        Most spans; their number is random, from 1.
    min_seconds, max_seconds : float
        Shortest and longest span. A span takes at most half of the utterance, or of its part of it: the utterance is
        divided into as many equal parts as there are spans. The default is from a word to a phrase.
    fade_seconds : float
        Length of a cross-fade, which is part of the span. The default of 10 ms avoids clicks.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> real, fake = (rng.standard_normal(seconds * 16000).astype(np.float32) for seconds in (3, 2))
    >>> samples, spans = Splicer(max_spans=1)(real, fake, rng)
    >>> start = round(16000 * spans[0, 0])
    >>> samples.shape, spans.shape, bool((samples[:start] == real[:start]).all())
    ((48000,), (1, 2), True)
    """

    def __init__(
        self,
        max_spans: int = 3,
        min_seconds: float = 0.2,
        max_seconds: float = 2.0,
        fade_seconds: float = 0.01,
    ) -> None:
        if max_spans < 1 or not 2 * fade_seconds <= min_seconds <= max_seconds:
            raise InputError("Splicer needs max_spans of 1 or more, and 2 fade_seconds <= min_seconds <= max_seconds")
        self.max_spans = max_spans
        self.min_samples, self.max_samples, self.fade = (
            round(seconds * SAMPLE_RATE) for seconds in (min_seconds, max_seconds, fade_seconds)
        )

    def __call__(self, real: Samples, fake: Samples, rng: np.random.Generator) -> tuple[Samples, NDArray[np.float64]]:
        """Splice.

        Arguments
        ---------
        real, fake : array
            Samples of the bona fide and of the spoofed utterance at 16 kHz, in [-1, 1]; shape [time].
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        samples : array
            Shape [time], as ``real``.
        spans : array
            Start and end of each fake span in seconds, cross-fades included; shape [spans, 2].

        Raises
        ------
        InputError
            When an utterance is too short: ``real`` must be twice as long as the shortest span, and ``fake`` as long.
        """
        shortest = self.min_samples / SAMPLE_RATE
        for name, samples, least in (("real", real, 2 * self.min_samples), ("fake", fake, self.min_samples)):
            if len(samples) < least:
                raise InputError(
                    f"the {name} utterance has {len(samples) / SAMPLE_RATE:.2f} s; to splice {shortest:g} s of speech, "
                    f"it needs {least / SAMPLE_RATE:g} s"
                )
        count = int(rng.integers(1, min(self.max_spans, len(real) // (2 * self.min_samples)) + 1))
        parts = np.linspace(0, len(real), count + 1).astype(int)
        spliced, spans = real.copy(), []
        powers = [_cumulative_power(samples) for samples in (real, fake)]
        for first, last in pairwise(parts.tolist()):
            longest = max(min(self.max_samples, (last - first) // 2, len(fake)), self.min_samples)
            lengths = rng.integers(self.min_samples, longest + 1, CANDIDATES)
            start, length = _choose_span(powers[0], first, last, lengths, rng)
            source, _ = _choose_span(powers[1], 0, len(fake), np.full(CANDIDATES, length), rng)
            old, new = real[start : start + length], fake[source : source + length]
            spliced[start : start + length] = self._crossfade(old, _match_level(new, old))
            spans.append((start / SAMPLE_RATE, (start + length) / SAMPLE_RATE))
        return spliced, np.array(spans)

    def _crossfade(self, old: Samples, new: Samples) -> Samples:
        """Fade from the old span to the new one and back."""
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(self.fade) + 0.5) / max(self.fade, 1))
        gain = np.ones(len(new), np.float32)
        gain[: self.fade] = ramp
        gain[len(gain) - self.fade :] = ramp[::-1]
        return old * (1 - gain) + new * gain


def _cumulative_power(samples: Samples) -> NDArray[np.float64]:
    """Return the sum of squares before each sample; shape [time + 1]."""
    return np.append(0.0, np.cumsum(np.square(samples, dtype=np.float64)))


def _choose_span(
    power: NDArray[np.float64], first: int, last: int, lengths: NDArray[np.int64], rng: np.random.Generator
) -> tuple[int, int]:
    """Choose a span between two samples, one of ``lengths`` at random starts; return its start and length."""
    starts = rng.integers(first, last - lengths + 1)
    half = round(EDGE * SAMPLE_RATE / 2)

    def level(begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
        begin, end = np.maximum(begin, 0), np.minimum(end, len(power) - 1)
        return 10 * np.log10((power[end] - power[begin]) / (end - begin) + FLOOR)

    ends = np.maximum(level(starts - half, starts + half), level(starts + lengths - half, starts + lengths + half))
    best = np.argmin(ends - level(starts, starts + lengths))
    return int(starts[best]), int(lengths[best])


def _match_level(new: Samples, old: Samples) -> Samples:
    """Give ``new`` the power of ``old``, but no sample beyond full scale."""
    wanted, present = (np.mean(np.square(samples, dtype=np.float64)) for samples in (old, new))
    gain = np.sqrt((wanted + FLOOR) / (present + FLOOR))
    return (new * min(gain, 1 / max(float(np.abs(new).max()), 1e-5))).astype(np.float32)


class Job(NamedTuple):
    """A file to write: ``source`` as it is, or with spans of ``fake``."""

    source: Path
    fake: Path | None
    target: Path
    splicer: Splicer
    seed: int


def splice_protocol(
    protocol: str | os.PathLike,
    data_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    output: str | os.PathLike,
    splicer: Splicer | None = None,
    split: str = "",
    num_workers: int = 0,
    seed: int = 1234,
    quiet: bool = False,
    scheduler: str | None = None,
) -> BuildReport:
    """Make partially spoofed utterances from those of a protocol, and write their protocol and its segments.

    Every utterance is written once as a whole, and every bona fide one once with spans of a spoofed utterance: of the
    same split, and of the same speaker and language if there is one, else of the same language, else of any. All files
    are FLAC with 16 kHz, so that the format tells nothing. Run again after an interruption, the function continues.

    Arguments
    ---------
    protocol : str or Path
        Protocol of the sources.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for in both protocols.
    output_folder : str or Path
        Folder for the audio, with the subfolders ``real``, ``fake`` and ``spliced``.
    output : str or Path
        Protocol to write; its segments are beside it, see :func:`antideepfake.protocol.segments_path`.
    splicer : Splicer, optional
        By default with its default settings.
    split : str
        Split to take; empty for all.
    num_workers : int
        Number of worker processes; 0 uses only the main process.
    seed : int
        Seed of partners and spans.
    quiet : bool
        Whether to hide the progress bar.
    scheduler : str, optional
        Address of a Dask scheduler whose workers write the files (:func:`antideepfake.parallel.map_in_order`).

    Returns
    -------
    BuildReport
        The numbers of utterances that were written and left out, such as those too short to splice.

    Raises
    ------
    InputError
        When a split with bona fide utterances has no spoofed one, or nothing can be written.
    """
    if os.path.realpath(output) == os.path.realpath(protocol):
        raise InputError(f"{output}: the output would replace the source protocol; choose another --output")
    table = read_split(protocol, split).reset_index(drop=True)
    partners = choose_partners(table, protocol, seed)
    rows, jobs = _plan(table, partners, Path(output_folder).absolute(), data_folder, splicer or Splicer(), seed)
    with lock_output(output_folder), Journal(splice_journal(output)) as journal:
        # the seed of a job identifies its sources and settings
        entries = ((job, journal.read(str(job.target))) for job in jobs)
        results = [entry for _, entry in takewhile(lambda pair: pair[1] and pair[1]["Seed"] == pair[0].seed, entries)]
        todo = jobs[len(results) :]
        bar: Any = {"total": len(jobs), "initial": len(results), "desc": "splicing", "unit": "file"}
        written = map_in_order(_write_utterance, todo, num_workers, scheduler, chunk_size=4)
        for job, result in zip(todo, tqdm(written, disable=quiet, **bar), strict=True):
            journal.write(str(job.target), result)
            journal.flush()
            results.append(result)
        utterances = [row | result for row, result in zip(rows, results, strict=True)]
        return build_protocol(utterances, data_folder, output, num_workers, quiet)


def splice_journal(output: str | os.PathLike) -> Path:
    """Return the path of the log from which :func:`splice_protocol` continues; absent unless it was interrupted.

    Example
    -------
    >>> splice_journal("partial.csv").as_posix()
    'partial.csv.splices.journal'
    """
    return Path(f"{os.fspath(output)}.splices.journal")


def choose_partners(table: pd.DataFrame, name: str | os.PathLike, seed: int) -> dict[int, int]:
    """Choose a spoofed utterance for every bona fide one.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol, indexed from 0.
    name : str or Path
        File of the protocol, for error messages.
    seed : int
        Seed of the choice.

    Returns
    -------
    dict of int to int
        Index of each bona fide row -> index of its partner.

    Raises
    ------
    InputError
        When a split has no spoofed utterance.

    Example
    -------
    >>> rows = [("real", "ann"), ("fake", "bob"), ("fake", "ann")]
    >>> table = pd.DataFrame(rows, columns=["Label", "Speaker"]).assign(ID=list("abc"), Proportion="-", Language="EN")
    >>> choose_partners(table, "p.csv", seed=1)
    {0: 2}
    """
    candidates = Partners(table, "fake")
    partners = {}
    for row in table[table["Label"] == "real"].itertuples():
        found = candidates.find(row.Proportion, row.Language, row.Speaker)
        if not len(found):
            raise InputError(
                f"{name}: the split '{row.Proportion}' has real utterances and no fake one; choose a --split with both"
            )
        partners[row.Index] = found[derive_seed(seed, "partner", row.ID) % len(found)]
    if not partners:
        raise InputError(f"{name}: contains no real utterances to splice; add some or choose another protocol")
    return partners


class Partners:
    """The utterances of one label that can be spliced with an utterance of the other.

    Arguments
    ---------
    table : pandas.DataFrame
        A protocol, indexed from 0.
    label : str
        Label of the partners.
    """

    def __init__(self, table: pd.DataFrame, label: str) -> None:
        self._groups: dict[tuple[str, ...], array] = {}
        for row in table[table["Label"] == label].itertuples():
            for key in self._keys(row.Proportion, row.Language, row.Speaker):
                self._groups.setdefault(key, array("q")).append(row.Index)

    def find(self, proportion: str, language: str, speaker: str) -> Sequence[int]:
        """Find the indices of partners: of the same split, and of the same speaker and language if there is one.

        Else they are of the same language, else of any; empty if the split has none.
        """
        keys = self._keys(proportion, language, speaker)
        return next((self._groups[key] for key in keys if key in self._groups), array("q"))

    @staticmethod
    def _keys(proportion: str, language: str, speaker: str) -> list[tuple[str, ...]]:
        """Return what partners have in common, the best first; an unknown speaker or language is no one's."""
        of_speaker = [(proportion, language, speaker)] if speaker != "-" else []
        of_language = [(proportion, language)] if language != "-" else []
        return [*of_speaker, *of_language, (proportion,)]


class TrainingSplices:
    """Splice some of the spoofed utterances of a training set into bona fide ones of the set, during training.

    The bona fide utterance is one of the same speaker and language if there is one, else of the same language, else
    any. Of a longer one, a random part of the length of the spoofed utterance is taken. As spoofed utterances, not bona
    fide ones, become spliced, the balance of the classes stays.

    Arguments
    ---------
    table : pandas.DataFrame
        The training set; the columns ID, Label, Path, Speaker, Language and Duration are used.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.
    fraction : float
        Fraction of the spoofed utterances to splice, in (0, 1].
    splicer : Splicer, optional
        By default with its default settings.

    Raises
    ------
    InputError
        When the fraction is out of range.

    Example
    -------
    >>> root = getfixture("tmp_path")
    >>> rng = np.random.default_rng(1)
    >>> for name in ("real", "fake"):
    ...     soundfile.write(root / f"{name}.wav", 0.1 * rng.standard_normal(32000), 16000)
    >>> rows = [(name, name, f"$ROOT/{name}.wav", "-", "EN", 2.0) for name in ("real", "fake")]
    >>> table = pd.DataFrame(rows, columns=["ID", "Label", "Path", "Speaker", "Language", "Duration"])
    >>> waveform = torch.from_numpy(soundfile.read(root / "fake.wav", dtype="float32")[0])
    >>> spliced, spans = TrainingSplices(table, root, fraction=1.0)(waveform, 1, rng)
    >>> spliced.shape, 0 < float(np.diff(spans).sum()) < 2
    (torch.Size([32000]), True)
    """

    def __init__(
        self, table: pd.DataFrame, data_folder: str | os.PathLike, fraction: float, splicer: Splicer | None = None
    ) -> None:
        if not 0 < fraction <= 1:
            raise InputError(f"splice is {fraction}; it must be a fraction of the utterances above 0 and up to 1")
        self.data_folder, self.fraction, self.splicer = data_folder, fraction, splicer or Splicer()
        names = ("Path", "Speaker", "Language", "Duration")
        self._columns = {name: table[name].array for name in names}  # an array is faster than a Series
        self._partners = Partners(table.assign(Proportion="-").reset_index(drop=True), "real")

    def __call__(
        self, waveform: torch.Tensor, index: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, NDArray[np.float64]]:
        """Splice an utterance, or leave it as it is.

        Arguments
        ---------
        waveform : torch.Tensor
            A wholly spoofed utterance, or a part of one: mono, 16 kHz, not normalized; shape [time].
        index : int
            Its row in the training set.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        waveform : torch.Tensor
            Shape [time]; shorter than the given one if the bona fide utterance is. The given one if it is not to be
            spliced, or if either is too short or the bona fide one cannot be read.
        spans : array
            Start and end of each fake span in seconds; shape [spans, 2].
        """
        seconds = len(waveform) / SAMPLE_RATE
        whole = waveform, np.array([[0.0, seconds]])
        if rng.random() >= self.fraction:
            return whole
        partners = self._partners.find("-", self._columns["Language"][index], self._columns["Speaker"][index])
        partner = partners[int(rng.integers(len(partners)))]
        start = rng.uniform(0.0, max(self._columns["Duration"][partner] - seconds, 0.0))
        file = resolve_path(self._columns["Path"][partner], self.data_folder)
        try:
            real = read_waveform(file, start, seconds, normalized=False).numpy()
            samples, spans = self.splicer(real, waveform.numpy(), rng)
        except InputError:  # an unusable file is reported when it is a training utterance itself
            return whole
        return torch.from_numpy(samples), spans


def _plan(
    table: pd.DataFrame,
    partners: dict[int, int],
    folder: Path,
    data_folder: str | os.PathLike,
    splicer: Splicer,
    seed: int,
) -> tuple[list[dict[str, Any]], list[Job]]:
    """List the rows of the new protocol and the job of each."""
    sources = [resolve_path(path, data_folder).absolute() for path in table["Path"]]
    rows: list[dict[str, Any]] = []
    jobs: list[Job] = []

    def add(row: Any, kind: str, attack: str, partner: int | None) -> None:
        target = folder / kind / f"{row.Index:07d}.flac"
        facts = {"Speaker": row.Speaker, "Proportion": row.Proportion, "Language": row.Language, "Attack": attack}
        label = "real" if kind == "real" else "fake"
        rows.append({"ID": f"{folder.name}-{kind}-{row.ID}", "Label": label, "Path": str(target), **facts})
        fake, names = (None, [row.ID]) if partner is None else (sources[partner], [row.ID, table["ID"][partner]])
        jobs.append(Job(sources[row.Index], fake, target, splicer, derive_seed(seed, vars(splicer), *names)))

    for row in table.itertuples():
        add(row, row.Label, row.Attack, None)
        if row.Index in partners:
            add(row, "spliced", table["Attack"][partners[row.Index]], partners[row.Index])
    return rows, jobs


def _write_utterance(job: Job) -> dict[str, Any]:
    """Write an utterance; return its ``Segments``, or the ``Reason`` if that is impossible, and the seed of the job."""
    try:
        samples = read_waveform(job.source, normalized=False).numpy()
        spans = np.empty((0, 2))
        if job.fake is not None:
            fake = read_waveform(job.fake, normalized=False).numpy()
            samples, spans = job.splicer(samples, fake, np.random.default_rng(job.seed))
    except InputError as error:
        return {"Reason": f"the source: {error}", "Seed": job.seed}
    with atomic_path(job.target) as temporary:
        soundfile.write(temporary, np.clip(samples, -1, 1), SAMPLE_RATE, "PCM_16")
    return {"Segments": [(start, end, "fake") for start, end in spans.tolist()], "Seed": job.seed}
