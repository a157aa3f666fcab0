"""Robustness: the error rate of a detector on the same utterances under perturbations."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from antideepfake import __version__
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Evaluation, Evaluator
from antideepfake.protocol.table import resolve_path
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import ScoreWriter, read_scores
from antideepfake.seeds import derive_seed

if TYPE_CHECKING:
    from antideepfake.inference.recordings import RecordingScorer

CLEAN = "clean"
COLUMNS = ["perturbation", "strength", "eer", "low", "high", "difference", "p"]


def measure_robustness(
    detector: "RecordingScorer",
    table: pd.DataFrame,
    data_folder: str | os.PathLike,
    output: str | os.PathLike,
    perturbations: Sequence[str],
    seed: int = 1234,
    batch_seconds: float = 16.0,
    overwrite: bool = False,
    quiet: bool = False,
) -> tuple[pd.DataFrame, int]:
    """Score and evaluate the same utterances clean and under each strength of each perturbation.

    Arguments
    ---------
    detector : RecordingScorer
        The model.
    table : pandas.DataFrame
        Utterances of both classes: at least ID, Label, Path and Attack.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.
    output : str or Path
        Folder for the score files, ``scores/<condition>.csv``. Complete score files of the same detector, seed and
        utterances are kept.
    perturbations : sequence of str
        Keys of :data:`antideepfake.augment.perturbations.PERTURBATIONS`.
    seed : int
        Seed of the perturbations and the intervals.
    batch_seconds : float
        Amount of audio in a batch, in seconds.
    overwrite : bool
        Replace score files of another detector, seed or choice of utterances.
    quiet : bool
        Show no progress bars.

    Returns
    -------
    results : pandas.DataFrame
        One row per condition: perturbation, strength, EER with its 95 % interval (low, high), difference from the
        clean EER and its p-value.
    skipped : int
        Largest number of skipped files in a condition.

    Raises
    ------
    InputError
        If ``output`` has a score file of another detector, seed or choice of utterances.
    """
    from antideepfake.augment.perturbations import PERTURBATIONS

    evaluator = Evaluator(seed=seed)
    conditions = [(CLEAN, 0.0)]
    conditions += [(name, strength) for name in perturbations for strength in PERTURBATIONS[name].strengths]
    rows, clean, skipped = [], None, 0
    for name, strength in tqdm(conditions, desc="conditions", unit="condition", disable=quiet):
        path = Path(output, "scores", f"{re.sub('[^a-z0-9]', '_', name)}_{strength:g}.csv")
        run = f"{detector.weights_digest()}, seed {seed}, utterances {_digest(table['ID'])}"
        if not _is_scored(path, run, overwrite):
            waveforms = _perturb(table, data_folder, name, strength, seed)
            _score(detector, table, waveforms, path, run, batch_seconds, quiet)
        scores = read_scores(path)
        skipped = max(skipped, len(table) - len(scores))
        evaluation = evaluator.evaluate(scores, name)
        if clean is None:
            clean = scores
        else:
            evaluator.compare(clean, scores, evaluation)
        rows.append(_describe(name, strength, evaluation))
    results = pd.DataFrame(rows, columns=COLUMNS)
    return results.astype({"difference": float, "p": float}), skipped


def _digest(identifiers: pd.Series) -> str:
    """Return a digest of a choice of utterances."""
    return hashlib.sha256("\n".join(identifiers).encode()).hexdigest()[:16]


def _is_scored(path: Path, run: str, overwrite: bool) -> bool:
    """Return whether a condition already has its score file; raise an error for a file of another run."""
    if not path.exists():
        return False
    record = read_provenance(path)
    if record and record.weights == run:
        return True
    if not overwrite:
        raise InputError(
            f"{path}: written with another model, seed or choice of utterances; "
            "choose another --output or pass --overwrite"
        )
    path.unlink()
    return False


def _perturb(
    table: pd.DataFrame, data_folder: str | os.PathLike, name: str, strength: float, seed: int
) -> Iterator[tuple | str]:
    """Yield perturbed waveforms, or the path of an unreadable file, so that the detector reports the reason."""
    from antideepfake.audio.waveform import SAMPLE_RATE, read_audio, to_mono_16k
    from antideepfake.augment.perturbations import PERTURBATIONS

    for utterance, path in zip(table["ID"], table["Path"], strict=True):
        file = str(resolve_path(path, data_folder))
        try:
            waveform = to_mono_16k(*read_audio(file))
        except InputError:
            yield file
            continue
        if name != CLEAN:
            rng = np.random.default_rng(derive_seed(seed, name, strength, utterance))
            waveform = PERTURBATIONS[name].apply(waveform, strength, rng)
        yield waveform, SAMPLE_RATE


def _score(
    detector: "RecordingScorer",
    table: pd.DataFrame,
    waveforms: Iterator[tuple | str],
    path: Path,
    run: str,
    batch_seconds: float,
    quiet: bool,
) -> None:
    with ScoreWriter(path, ["Attack"], run.encode()) as writer:
        results = detector.score_files(waveforms, batch_seconds)
        bar = tqdm(results, total=len(table), desc=path.stem, unit="file", disable=quiet, leave=False)
        for index, (row, result) in enumerate(zip(table.itertuples(), bar, strict=True)):
            if result.error:
                writer.skip(index, row.Path, result.error)
            else:
                writer.write(index, row.ID, result.logits, row.Label, {"Attack": row.Attack})
    writer.merge(len(table))
    ScoreProvenance(run, __version__, date.today().isoformat(), detector.metadata).save(path)


def _describe(name: str, strength: float, evaluation: Evaluation) -> dict[str, object]:
    eer, low, high = evaluation.overall.metrics["eer"]
    row: dict[str, object] = {"perturbation": name, "strength": strength, "eer": eer, "low": low, "high": high}
    if difference := evaluation.differences.get("eer"):
        row |= {"difference": difference.difference, "p": difference.p_value}
    return row
