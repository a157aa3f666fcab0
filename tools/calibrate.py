#!/usr/bin/env python
"""Make a detector's scores mean something: calibrate a model folder on the scores of a development set.

The folder remembers a calibration, so that P(real) is a probability, and a threshold: that of the equal error rate, or
one for a wanted share of errors of either kind. SCORES are of tools/score.py with this model, on speech like that
which is to be judged, not on speech that the model was trained on.
"""

import argparse
import textwrap
from pathlib import Path

import pandas as pd

from antideepfake.calibration import Calibration, describe_calibration
from antideepfake.errors import InputError, run_program
from antideepfake.metadata import ModelMetadata
from antideepfake.scoring import FITS, Evaluator, read_record, read_scores, threshold_for
from antideepfake.scoring.tables import FIGURES, format_number, format_text


def compare(scores: dict[str, pd.DataFrame], calibration: Calibration) -> pd.DataFrame:
    """Lay out what the calibration does to the costs of each score file."""
    rows = []
    for name, table in scores.items():
        for state, chosen in (("before", None), ("after", calibration)):
            figures = Evaluator(calibration=chosen, draws=1).evaluate(table, name).overall.figures
            costs = [format_number(figure, figures[figure].value) for figure in ("cllr", "act_dcf")]
            rows.append([name, state, *costs, *(format_number(f, figures[f].value) for f in ("min_cllr", "min_dcf"))])
    heads = [FIGURES[name].name for name in ("cllr", "act_dcf", "min_cllr", "min_dcf")]
    return pd.DataFrame(rows, columns=["scores", "calibration", *heads])


def main() -> int:
    """Parse the command line, fit, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/calibrate.py models/mms-300m development.csv --fnr 0.01",
    )
    parser.add_argument("model", help="model folder; its metadata.json is written anew")
    parser.add_argument("scores", help="score file of the development set")
    parser.add_argument("--method", default="logistic", help="logistic, or isotonic for much data (default: logistic)")
    parser.add_argument("--fpr", type=float, help="at most this share of fake may be taken for real: 0.01, for example")
    parser.add_argument("--fnr", type=float, help="at most this share of real speech may be taken for fake")
    parser.add_argument("--test", nargs="*", default=[], help="score files to try the calibration on")
    args = parser.parse_args()
    if args.method not in FITS:
        raise InputError(f"the method '{args.method}' is unknown; it is one of {', '.join(FITS)}")

    path = Path(args.model, "metadata.json")
    if not path.is_file():
        raise InputError(f"{args.model}: not a model folder; it holds no metadata.json")
    metadata = ModelMetadata()
    metadata.load(path)
    record = read_record(args.scores)
    if record and record.metadata.provenance != metadata.provenance:
        raise InputError(f"{args.scores}: of another model ({record.metadata.provenance}); score with {args.model}")

    scores = read_scores(args.scores)
    real, fake = (scores.loc[scores["Label"] == label, "Score"].to_numpy() for label in ("real", "fake"))
    calibration = FITS[args.method](real, fake)
    threshold, chosen = threshold_for(real, fake, args.fpr, args.fnr)
    print(format_text(compare({name: read_scores(name) for name in (args.scores, *args.test)}, calibration)))
    print("Cllr and actDCF should come near to their minima; on the first file, of which it was made, they must.")

    metadata.calibration = describe_calibration(calibration)
    metadata.threshold = threshold
    metadata.threshold_source = f"{chosen} ({Path(args.scores).name}: {len(real)} real, {len(fake)} fake)"
    metadata.save(path)
    print(textwrap.fill(f"threshold: {threshold:.3f}, {metadata.threshold_source}", 100, subsequent_indent="  "))
    print(f"remembered in {path}")
    return 0


if __name__ == "__main__":
    run_program(main)
