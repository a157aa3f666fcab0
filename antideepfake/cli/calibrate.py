"""Calibrate a model folder on a development set.

The model folder takes a calibration, so that P(real) is a probability, and a threshold: that of the equal error rate,
or one for a wanted rate of one kind of error. SCORES is a score file of this model on recordings like those to be
judged, which the model was not trained on. The calibration and threshold before are kept in the folder's metadata.json.
"""

import argparse
import sys
import textwrap
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from antideepfake.metrics.bootstrap import Estimate
    from antideepfake.model_folder.calibration import Calibration

ENOUGH = 10  # expected errors from which on a rate is known to about a third
METHODS = ("logistic", "isotonic")
REMEMBERED = (
    "threshold",
    "threshold_source",
    "threshold_errors",
    "calibration",
    "validation_scores",
    "previous_threshold",
)
EXAMPLE = (
    "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split valid "
    "--output development.csv\n"
    "calibrate recipes/MiniCorpus/results/small/model development.csv --test_scores scores.csv"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder; its metadata.json takes calibration and threshold")
    parser.add_argument("scores", help="score file of the development set")
    parser.add_argument(
        "--method", choices=METHODS, default="logistic", help="isotonic needs much data (default: logistic)"
    )
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("--fpr", type=float, help="accept at most this fraction of fake recordings, such as 0.01")
    wanted.add_argument("--fnr", type=float, help="reject at most this fraction of real recordings")
    parser.add_argument(
        "--test_scores", nargs="+", default=[], metavar="SCORES", help="score files to try the calibration on"
    )
    options.add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Fit, print and write."""
    from antideepfake.model_folder.calibration import FITS, describe_calibration, threshold_for
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.model_folder.validation_scores import describe_scores
    from antideepfake.scoring.provenance import read_provenance
    from antideepfake.scoring.score_file import read_scores

    path = Path(args.model, "metadata.json")
    if not path.is_file():
        raise InputError(f"{args.model}: not a model folder; it has no metadata.json")
    metadata = ModelMetadata()
    metadata.load(path)
    record = read_provenance(args.scores)
    if record and record.metadata.provenance != metadata.provenance:
        raise InputError(f"{args.scores}: of another model ({record.metadata.provenance}); score with {args.model}")

    scores = read_scores(args.scores)
    real, fake = (scores.loc[scores["Label"] == label, "Score"].to_numpy() for label in ("real", "fake"))
    calibration = FITS[args.method](real, fake)
    for rate, count, kind in ((args.fpr, len(fake), "fake"), (args.fnr, len(real), "real")):
        if rate is not None and 0 <= rate < 1:  # threshold_for refuses any other
            check_size(rate, count, kind)
    threshold, chosen = threshold_for(real, fake, args.fpr, args.fnr)
    costs = compare_costs({name: read_scores(name) for name in (args.scores, *args.test_scores)}, calibration)
    options.print_table(costs, args.format)
    cllr = costs["Cllr"].astype(float)
    for before, after, name in zip(cllr[::2], cllr[1::2], costs["scores"][::2], strict=True):
        if after > before:
            print(f"warning: {name}: the calibration raises Cllr from {before:.3f} to {after:.3f}", file=sys.stderr)

    errors = measure_errors(scores, threshold)
    before = {name: getattr(metadata, name) for name in REMEMBERED}
    metadata.previous_threshold = before
    metadata.calibration = describe_calibration(calibration)
    metadata.threshold = threshold
    metadata.threshold_source = f"{chosen} ({Path(args.scores).name}: {len(real)} real, {len(fake)} fake)"
    metadata.threshold_errors = {name: metric.value for name, metric in errors.items()}
    metadata.threshold_errors |= {"real": len(real), "fake": len(fake)}
    metadata.validation_scores = describe_scores(real, fake)
    metadata.save(path)
    stream = sys.stdout if args.format == "table" else sys.stderr
    print(
        "Cllr cannot fall below min Cllr, nor actDCF below minDCF: the closer they are, the better the fit.",
        file=stream,
    )
    for title, value, source in (
        ("old threshold", before["threshold"], before["threshold_source"]),
        ("new threshold", threshold, metadata.threshold_source),
    ):
        print(textwrap.fill(f"{title}: {value:.3f}, {source}", 100, subsequent_indent="  "), file=stream)
    for name, title in (("fnr", "real called fake"), ("fpr", "fake called real")):
        value, low, high = (100 * number for number in errors[name])
        print(f"at the new threshold, {title}: {value:.1f} % (95 % interval {low:.1f} to {high:.1f})", file=stream)
        if value > 50:
            print(f"warning: {title}: {value:.1f} %; the model cannot keep the other error so low", file=sys.stderr)
    print(
        f"written to {path}; to go back, copy the values under previous_threshold there over those of the same names",
        file=stream,
    )
    return 0


def compare_costs(scores: "dict[str, pd.DataFrame]", calibration: "Calibration") -> "pd.DataFrame":
    """Compare the costs of each score file without and with the calibration."""
    import pandas as pd

    from antideepfake.evaluation.evaluator import Evaluator
    from antideepfake.evaluation.tables import METRICS, format_number

    names = ("cllr", "act_dcf", "min_cllr", "min_dcf")
    rows = []
    for name, table in scores.items():
        for state, chosen in (("before", None), ("after", calibration)):
            metrics = Evaluator(calibration=chosen, n_resamples=1).evaluate(table, name).overall.metrics
            rows.append([name, state, *(format_number(metric, metrics[metric].value) for metric in names)])
    return pd.DataFrame(rows, columns=["scores", "calibration", *(METRICS[name].name for name in names)])


def check_size(rate: float, count: int, kind: str) -> None:
    """Refuse an error rate that a development set cannot support, and warn where it hardly can."""
    if rate * count >= ENOUGH:
        return
    verb = "cannot" if rate * count < 1 else "hardly"
    text = f"{count} {kind} utterances {verb} support an error rate of {100 * rate:g} %"
    advice = f"score {ceil(ENOUGH / rate):,} or more" if rate else "ask for a rate above 0"
    if rate * count < 1:
        raise InputError(f"{text}; {advice}")
    print(f"warning: {text}; {advice}", file=sys.stderr)


def measure_errors(scores: "pd.DataFrame", threshold: float) -> "dict[str, Estimate]":
    """Measure the errors at a threshold, with their intervals."""
    from antideepfake.evaluation.evaluator import Evaluator

    metrics = Evaluator(threshold=threshold, n_resamples=1).evaluate(scores, "development set").overall.metrics
    return {name: metrics[name] for name in ("eer", "fnr", "fpr")}
