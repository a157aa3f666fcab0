#!/usr/bin/env python
"""Tell what a detector bears: its error rate on the same utterances under noise, reverberation, codecs and the like.

It also answers whether the detector listens to silence: whether it tells real from fake when speech is taken away.
Run again after an interruption, it goes on where it stopped.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from antideepfake import __version__
from antideepfake.audio.waveform import SAMPLE_RATE, read_audio, to_mono_16k
from antideepfake.augment.perturbations import PERTURBATIONS
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Evaluation, Evaluator
from antideepfake.evaluation.plots import plot_robustness, save_plot
from antideepfake.evaluation.tables import format_text
from antideepfake.files import atomic_path
from antideepfake.inference.detector import Detector, load_detector
from antideepfake.protocol.table import read_protocol, resolve_path
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import ScoreWriter, read_scores
from antideepfake.seeds import derive_seed

CHANCE = 0.45  # an error rate whose interval lies below it is better than chance


def choose(table: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """Draw so many utterances, of each label its share, in the order of the protocol; all if there are no more."""
    if not limit or len(table) <= limit:
        return table
    drawn = table.groupby("Label").sample(frac=limit / len(table), random_state=seed)
    return drawn.sort_index()


def disturb(table: pd.DataFrame, data_folder: str, name: str, strength: float, seed: int) -> Iterator[tuple | str]:
    """Give disturbed waveforms; a file that cannot be read as it is, so that the detector says why."""
    for utterance, path in zip(table["ID"], table["Path"], strict=True):
        file = str(resolve_path(path, data_folder))
        try:
            waveform = to_mono_16k(*read_audio(file))
        except InputError:
            yield file
            continue
        if name != "clean":
            generator = np.random.default_rng(derive_seed(seed, name, strength, utterance))
            waveform = PERTURBATIONS[name].apply(waveform, strength, generator)
        yield waveform, SAMPLE_RATE


def score_condition(
    detector: Detector, table: pd.DataFrame, path: Path, args: argparse.Namespace, name: str, strength: float
) -> None:
    """Write the score file of a condition, unless it is there."""
    utterances = sha256_of(table["ID"])
    run = f"{detector.weights_digest()}, seed {args.seed}, utterances {utterances}"
    if path.exists():
        record = read_provenance(path)
        if record and record.weights == run:
            return
        raise InputError(f"{path}: of another model, seed or choice of utterances; name another --output")
    items = disturb(table, args.data_folder, name, strength, args.seed)
    with ScoreWriter(path, ["Attack"], run.encode()) as writer:
        results = detector.score_files(items, args.batch_seconds)
        bar = tqdm(results, total=len(table), desc=path.stem, unit="file", disable=args.quiet, leave=False)
        for place, (row, result) in enumerate(zip(table.itertuples(), bar, strict=True)):
            if result.error:
                writer.skip(place, row.Path, result.error)
            else:
                writer.write(place, row.ID, result.logits, row.Label, {"Attack": row.Attack})
    writer.merge(len(table))
    ScoreProvenance(run, __version__, date.today().isoformat(), detector.hparams.metadata).save(path)


def sha256_of(identifiers: pd.Series) -> str:
    """A short text that tells a choice of utterances from others."""
    return hashlib.sha256("\n".join(identifiers).encode()).hexdigest()[:16]


def describe(name: str, strength: float, evaluation: Evaluation) -> dict[str, object]:
    """Give the error rate of a condition, and its difference to the clean one."""
    eer, low, high = evaluation.overall.metrics["eer"]
    row: dict[str, object] = {"perturbation": name, "strength": strength, "eer": eer, "low": low, "high": high}
    if difference := evaluation.differences.get("eer"):
        row |= {"difference": difference.difference, "p": difference.p_value}
    return row


def format_rows(rows: pd.DataFrame) -> str:
    """Lay out the conditions for a terminal."""
    lines = []
    for row in rows.itertuples():
        unit = "" if row.perturbation == "clean" else f"{row.strength:g}  {PERTURBATIONS[row.perturbation].unit}"
        apart = ["", ""] if np.isnan(row.difference) else [f"{100 * row.difference:+.2f}", f"{row.p:.3f}"]
        lines.append(
            [row.perturbation, unit, f"{100 * row.eer:.2f}", f"{100 * row.low:.2f} - {100 * row.high:.2f}", *apart]
        )
    heads = ["perturbation", "strength", "EER %", "95 % interval", "difference", "p"]
    return format_text(pd.DataFrame(lines, columns=heads))


def tell_of_silence(rows: pd.DataFrame) -> str:
    """Say whether the detector tells real from fake without speech; empty where that was not tried."""
    alone = rows[rows["perturbation"] == "no speech"]
    if alone.empty:
        return ""
    eer, high = 100 * alone["eer"].iloc[0], alone["high"].iloc[0]
    if high < CHANCE:
        return f"It listens to silence: from what is left without speech it still decides, with an EER of {eer:.1f} %."
    return f"It does not decide by silence: without speech its EER is {eer:.1f} %, about that of a coin."


def main() -> int:
    """Parse the command line; score and evaluate each condition."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/robustness.py models/mine data/test.csv --data_folder data --output r",
    )
    parser.add_argument("model", help="model folder or hub id")
    parser.add_argument("protocol", help="of a test set with real and fake speech")
    parser.add_argument("--data_folder", required=True, help="what $ROOT stands for in the protocol")
    parser.add_argument("--output", required=True, type=Path, help="folder for scores, robustness.csv and .png")
    parser.add_argument("--split", default="", help="rows of the protocol to take, by Proportion (default: all)")
    parser.add_argument("--limit", type=int, default=0, help="utterances to draw, for a quick look (default: all)")
    parser.add_argument("--conditions", default="", help=f"of {', '.join(PERTURBATIONS)} (default: all)")
    parser.add_argument("--seed", type=int, default=1234, help="of noise and draws (default: 1234)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default: cpu)")
    parser.add_argument("--batch_seconds", type=float, default=16.0, help="audio in a batch, s (default: 16; GPU: 100)")
    parser.add_argument("--trust_code", action="store_true", help="load a model folder that can run code")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()
    names = args.conditions.split(",") if args.conditions else list(PERTURBATIONS)
    if unknown := [name for name in names if name not in PERTURBATIONS]:
        raise InputError(f"--conditions: '{unknown[0]}' is unknown; there are {', '.join(PERTURBATIONS)}")

    table = read_protocol(args.protocol)
    table = choose(table[table["Proportion"] == args.split] if args.split else table, args.limit, args.seed)
    if set(table["Label"]) != {"real", "fake"}:
        raise InputError(f"{args.protocol}: needs real and fake utterances; it has {len(table)} rows of this split")
    detector = load_detector(args.model, args.device, trust_code=args.trust_code)
    evaluator = Evaluator(seed=args.seed)
    conditions = [("clean", 0.0), *((name, strength) for name in names for strength in PERTURBATIONS[name].strengths)]
    rows, clean, skipped = [], None, 0
    for name, strength in tqdm(conditions, desc="conditions", unit="condition", disable=args.quiet):
        path = args.output / "scores" / f"{re.sub('[^a-z0-9]', '_', name)}_{strength:g}.csv"
        score_condition(detector, table, path, args, name, strength)
        scores = read_scores(path)
        skipped = max(skipped, len(table) - len(scores))
        evaluation = evaluator.evaluate(scores, name)
        if clean is None:
            clean = scores
        else:
            evaluator.compare(clean, scores, evaluation)
        rows.append(describe(name, strength, evaluation))
    results = pd.DataFrame(rows, columns=["perturbation", "strength", "eer", "low", "high", "difference", "p"])
    results[["difference", "p"]] = results[["difference", "p"]].astype(float)
    with atomic_path(args.output / "robustness.csv") as temporary:
        results.to_csv(temporary, index=False)
    save_plot(
        plot_robustness(results, {name: PERTURBATIONS[name].unit for name in names}), args.output / "robustness.png"
    )
    print(format_rows(results))
    print(tell_of_silence(results))
    print(f"table and picture: {args.output}", file=sys.stderr)
    if skipped:
        print(f"up to {skipped} files of a condition skipped; see {args.output}/scores/*.skipped.csv", file=sys.stderr)
    return 1 if skipped else 0


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    run_program(main)
