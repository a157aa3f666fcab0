"""The verb score for standard input: each window is printed while the recording arrives."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from antideepfake.inference.scores import WindowScore
    from antideepfake.model_folder.windowing import Windowing


def score_pipe(args: argparse.Namespace) -> int:
    """Score standard input window by window while it arrives, and print each window."""
    if len(args.inputs) > 1:
        raise InputError("the input - is standard input; it must be the only input")
    for name in ("output", "timeline", "timeline_output", "embeddings"):
        if getattr(args, name):
            raise InputError(f"--{name} needs a file; save standard input first")

    from antideepfake.audio.pipe import open_pipe

    detector = options.load_model(args)
    metadata = detector.metadata
    windowing = options.choose_windowing(args, metadata)
    judged: list[tuple[float, float]] = []
    with open_pipe(sys.stdin.buffer, args.raw) as pipe:
        if args.format == "csv":
            print("start,end,score,decision")
        chunks = pick_channel(pipe.blocks(), args.channels, pipe.channels)
        for window in detector.stream(chunks, pipe.samplerate, windowing):
            if window.has_speech:
                judged.append(window.logits)
            print_window(window, args.format)
    if args.format == "table":
        print(describe_windows(judged, windowing, metadata.threshold))
    return 0


def describe_windows(judged: "Sequence[tuple[float, float]]", windowing: "Windowing", threshold: float) -> str:
    """Describe the score of the whole recording, from the logits of its windows with speech."""
    if not judged:
        return "unsure: no speech was found"
    from antideepfake.model_folder import decide

    fake, real = windowing.combine(judged, threshold)
    word = decide(real - fake, threshold)
    return f"{word}: score {real - fake:.2f}, {windowing.aggregate} of {len(judged)} windows with speech"


def pick_channel(blocks: "Iterable[NDArray]", channels: str, count: int) -> "Iterator[NDArray]":
    """Give one channel of blocks [time, channels], or all."""
    if channels == "each":
        raise InputError("--channels each needs a file; save standard input first, or choose left or right")
    column = {"left": 0, "right": 1}.get(channels)
    if column is not None and column >= count:
        raise InputError(f"standard input has no channel {column + 1}; it has {count}")
    return (block if column is None else block[:, column] for block in blocks)


def print_window(window: "WindowScore", form: str) -> None:
    """Print a window at once: a line of the table, of CSV or of JSON."""
    from antideepfake.scoring.verdict import format_time

    row = {"start": window.start, "end": window.end, "score": window.score, "decision": window.decision}
    if form == "json":
        print(json.dumps(row), flush=True)
    elif form == "csv":
        print(*row.values(), sep=",", flush=True)
    else:
        start, end = format_time(window.start), format_time(window.end)
        print(f"{start:>10}{end:>10}{window.score:>8.2f}  {window.decision}", flush=True)
