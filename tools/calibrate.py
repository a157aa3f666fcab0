#!/usr/bin/env python
"""Calibrate a model folder on the scores of a development set.

The folder takes a calibration, so that P(real) is a probability, and a threshold: that of the equal error rate, or one
for a wanted rate of one kind of error. SCORES are of tools/score.py with this model, on recordings like those that it
is to judge and that it was not trained on.
"""

import argparse
import sys
import textwrap
from math import ceil
from pathlib import Path

import pandas as pd

from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Evaluator
from antideepfake.evaluation.tables import METRICS, format_number, format_text
from antideepfake.metrics.bootstrap import Estimate
from antideepfake.model_folder.calibration import FITS, Calibration, describe_calibration, threshold_for
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.provenance import read_provenance
from antideepfake.scoring.score_file import read_scores

ENOUGH = 10  # expected errors from which on a rate is roughly known: to a third or so


def compare(scores: dict[str, pd.DataFrame], calibration: Calibration) -> pd.DataFrame:
    """Lay out what the calibration does to the costs of each score file."""
    rows = []
    for name, table in scores.items():
        for state, chosen in (("before", None), ("after", calibration)):
            metrics = Evaluator(calibration=chosen, n_resamples=1).evaluate(table, name).overall.metrics
            costs = [format_number(metric, metrics[metric].value) for metric in ("cllr", "act_dcf")]
            rows.append([name, state, *costs, *(format_number(f, metrics[f].value) for f in ("min_cllr", "min_dcf"))])
    heads = [METRICS[name].name for name in ("cllr", "act_dcf", "min_cllr", "min_dcf")]
    return pd.DataFrame(rows, columns=["scores", "calibration", *heads])


def check_size(share: float, count: int, kind: str) -> None:
    """Refuse a wanted error rate that a development set cannot support, and warn where it hardly can."""
    if share * count >= ENOUGH:
        return
    text = (
        f"{count} {kind} utterances cannot support an error rate of {100 * share:g} %"
        if share * count < 1
        else f"{count} {kind} utterances hardly support an error rate of {100 * share:g} %"
    )
    advice = f"score {ceil(ENOUGH / share):,} or more" if share else "ask for a rate above 0"
    if share * count < 1:
        raise InputError(f"{text}; {advice}")
    print(f"warning: {text}; {advice}", file=sys.stderr)


def measure_errors(scores: pd.DataFrame, threshold: float) -> dict[str, Estimate]:
    """Give the errors of a threshold, with their intervals."""
    metrics = Evaluator(threshold=threshold, n_resamples=1).evaluate(scores, "development set").overall.metrics
    return {name: metrics[name] for name in ("eer", "fnr", "fpr")}


def main() -> int:
    """Parse the command line, fit, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/calibrate.py models/mms-300m development.csv --fnr 0.01",
    )
    parser.add_argument("model", help="model folder; its metadata.json is replaced")
    parser.add_argument("scores", help="score file of the development set")
    parser.add_argument("--method", default="logistic", help="logistic, or isotonic for much data (default: logistic)")
    parser.add_argument("--fpr", type=float, help="accept at most this fraction of fake recordings, such as 0.01")
    parser.add_argument("--fnr", type=float, help="reject at most this fraction of real recordings")
    parser.add_argument("--test", nargs="*", default=[], help="score files to try the calibration on")
    args = parser.parse_args()
    if args.method not in FITS:
        raise InputError(f"the method '{args.method}' is unknown; it is one of {', '.join(FITS)}")

    path = Path(args.model, "metadata.json")
    if not path.is_file():
        raise InputError(f"{args.model}: not a model folder; it holds no metadata.json")
    metadata = ModelMetadata()
    metadata.load(path)
    record = read_provenance(args.scores)
    if record and record.metadata.provenance != metadata.provenance:
        raise InputError(f"{args.scores}: of another model ({record.metadata.provenance}); score with {args.model}")

    scores = read_scores(args.scores)
    real, fake = (scores.loc[scores["Label"] == label, "Score"].to_numpy() for label in ("real", "fake"))
    calibration = FITS[args.method](real, fake)
    for share, count, kind in ((args.fpr, len(fake), "fake"), (args.fnr, len(real), "real")):
        if share is not None and 0 <= share < 1:  # or threshold_for refuses it
            check_size(share, count, kind)
    threshold, chosen = threshold_for(real, fake, args.fpr, args.fnr)
    costs = compare({name: read_scores(name) for name in (args.scores, *args.test)}, calibration)
    print(format_text(costs))
    print("Cllr cannot fall below min Cllr, nor actDCF below minDCF: the closer they are, the better it fits.")
    cllr = costs["Cllr"].astype(float)
    for before, after, name in zip(cllr[::2], cllr[1::2], costs["scores"][::2], strict=True):
        if after > before:
            print(f"warning: {name}: the calibration raises Cllr from {before:.3f} to {after:.3f}", file=sys.stderr)

    names = ("threshold", "threshold_source", "threshold_errors", "calibration")
    metadata.previous_threshold = {name: getattr(metadata, name) for name in names}
    errors = measure_errors(scores, threshold)
    metadata.calibration = describe_calibration(calibration)
    metadata.threshold = threshold
    metadata.threshold_source = f"{chosen} ({Path(args.scores).name}: {len(real)} real, {len(fake)} fake)"
    metadata.threshold_errors = {name: metric.value for name, metric in errors.items()}
    metadata.threshold_errors |= {"real": len(real), "fake": len(fake)}
    metadata.save(path)
    before = metadata.previous_threshold
    for title, value, source in (
        ("old threshold", before["threshold"], before["threshold_source"]),
        ("new threshold", threshold, metadata.threshold_source),
    ):
        print(textwrap.fill(f"{title}: {value:.3f}, {source}", 100, subsequent_indent="  "))
    for name, title in (("fnr", "real called fake"), ("fpr", "fake called real")):
        value, low, high = (100 * number for number in errors[name])
        print(f"at the new threshold, {title}: {value:.1f} % (95 % interval {low:.1f} to {high:.1f})")
        if value > 50:
            print(f"warning: {title}: {value:.1f} %; the model cannot keep the other error so low", file=sys.stderr)
    print(f"remembered in {path}; to go back, copy the values under previous_threshold there over those of that name")
    return 0


if __name__ == "__main__":
    run_program(main)
