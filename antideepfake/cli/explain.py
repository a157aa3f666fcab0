"""Show what the score of a recording rests on.

Parts of the recording, bands of frequencies in spans of time, are occluded one by one: lowered to the background. The
effect of a part is the score of the recording minus its score without the part. The tenth of the parts that pushes the
score most to the side on which it is, is printed and, in the picture of --output, has a frame. The recording is scored
as one utterance.

This describes the detector. It proves nothing about the recording.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from antideepfake.inference.explanation import Explanation

LONGEST = 30.0  # seconds: beyond it, the picture is not readable
PLOTS = (".png", ".svg", ".pdf")
EXAMPLE = (
    "explain recipes/MiniCorpus/results/small/model data/MiniCorpus/real/fr-june-agent-alreadyon.flac "
    "--span_seconds 0.1 --output explanation.png"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder, Hub id, or ONNX file of convert")
    parser.add_argument("recording", help="audio or video file")
    options.add_output(parser, f"picture to write ({', '.join(PLOTS)})", required=False)
    parser.add_argument("--start", type=options.instant, default=0.0, help="where to begin, in seconds (default: 0)")
    parser.add_argument(
        "--seconds", type=options.seconds, help=f"how much to explain, at most {LONGEST:g} s (default: to the end)"
    )
    parser.add_argument(
        "--span_seconds", type=options.seconds, default=0.5, help="length of a span, in seconds (default: 0.5)"
    )
    options.add_seed(parser, "the random occlusions that show how much is explained")
    options.add_scoring(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Explain, print and draw."""
    if args.output:
        options.refuse_existing(args.output, args.overwrite)
        if Path(args.output).suffix.lower() not in PLOTS:
            raise InputError(f"--output is {args.output}; a picture's name ends in {', '.join(PLOTS)}")

    import json

    import numpy as np
    from tqdm import tqdm

    from antideepfake.audio.recording import Recording
    from antideepfake.audio.samples import SAMPLE_RATE, Samples, stream_file
    from antideepfake.inference.explanation import explain_score
    from antideepfake.model_folder.decision import decide
    from antideepfake.model_folder.windowing import Windowing

    blocks = stream_file(Recording(args.recording), args.start, args.seconds or LONGEST + 1)
    samples = np.concatenate(list(blocks))
    duration = len(samples) / SAMPLE_RATE
    if duration > LONGEST:
        raise InputError(f"{args.recording}: longer than {LONGEST:g} s; choose a part with --start and --seconds")
    detector = options.load_model(args)
    threshold = detector.metadata.threshold
    whole = Windowing(utterance_seconds=LONGEST + 1)

    def score(recordings: Iterable[Samples]) -> Iterator[float]:
        items = ((samples, SAMPLE_RATE) for samples in recordings)
        results = detector.score_files(items, args.batch_seconds, windowing=whole)
        for result in tqdm(results, desc="scoring with a part occluded", unit="part", disable=args.quiet, leave=False):
            if result.error:
                raise InputError(f"{args.recording}: {result.error}")
            yield result.score

    try:
        explanation = explain_score(score, samples, threshold, np.random.default_rng(args.seed), args.span_seconds)
    except InputError as error:
        raise InputError(f"{args.recording}: {error}") from None
    if args.output:
        from antideepfake.evaluation.plots import plot_explanation, save_plot

        decision = decide(explanation.score, threshold)
        title = f"{Path(args.recording).name}: score {explanation.score:.2f}, {decision}"
        save_plot(plot_explanation(explanation, samples, title), args.output)
        print(f"picture: {args.output}", file=sys.stderr)
    cells = list_cells(explanation, args.start)
    if args.format == "table":
        print_explanation(explanation, cells, threshold)
    elif args.format == "csv":
        import pandas as pd

        options.print_table(pd.DataFrame(cells), "csv")
    else:
        facts = {"score": explanation.score, "threshold": threshold, "marked_score": explanation.marked_score}
        share = None if isnan(explanation.share) else explanation.share
        print(json.dumps({**facts, "share": share, "cells": cells}, indent=1))
    return 0


def list_cells(explanation: "Explanation", start: float) -> list[dict[str, Any]]:
    """List the cells by the size of their effect, with times from the beginning of the recording."""
    import numpy as np

    effects = explanation.cell_effects
    order = np.argsort(-np.abs(effects), axis=None, kind="stable")
    return [
        {
            "start": round(start + explanation.times[span], 3),
            "end": round(start + explanation.times[span + 1], 3),
            "low_hz": explanation.frequencies[band],
            "high_hz": explanation.frequencies[band + 1],
            "effect": float(effects[band, span]),
            "marked": bool(explanation.is_marked[band, span]),
        }
        for band, span in zip(*np.unravel_index(order, effects.shape), strict=True)
    ]


def print_explanation(explanation: "Explanation", cells: list[dict[str, Any]], threshold: float) -> None:
    """Print the marked cells and what they explain."""
    from antideepfake.model_folder.decision import decide

    side = decide(explanation.score, threshold)
    print(f"score {explanation.score:.2f}: {side} (threshold {threshold:.2f})")
    marked = [cell for cell in cells if cell["marked"]]
    if not marked:
        print(f"no part makes it look {side}")
        return
    print(f"what makes it look {side}:")
    print(f"{'time in s':>15}  {'band in Hz':>11}  effect")
    for cell in marked:
        band = f"{cell['low_hz']:.0f}-{cell['high_hz']:.0f}"
        print(f"{cell['start']:>7.2f}-{cell['end']:<7.2f}  {band:>11}  {cell['effect']:+.2f}")
    other = decide(explanation.marked_score, threshold)
    print(f"Without these {len(marked)} of {len(cells)} parts, the score is {explanation.marked_score:.2f}: {other}.")
    share = f"{100 * explanation.share:.0f} %"
    print(f"The effects of all parts explain {share} of how the score changes when several are occluded.")
    print("This describes the detector. It proves nothing about the recording.")
