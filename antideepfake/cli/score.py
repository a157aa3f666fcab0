"""Score recordings: how likely is each bona fide?

MODEL is a model folder or its id on the Hugging Face Hub. INPUT is an audio file, a folder (searched at any depth) or a
protocol (.csv, .arrow). Prints a table and writes the score file; run again after an interruption, it continues where
it stopped. For a single recording, prints a verdict in words, and writes a score file only with --output.

INPUT - is standard input: each window is printed while the recording arrives.

A recording longer than the clips that the model was trained on is scored in windows; --timeline shows where it is
likely fake.

Under torchrun, several processes share the work, each on a GPU of its own:
  torchrun --nproc_per_node=4 -m antideepfake score MODEL INPUT --device cuda
An interrupted run may continue with another number of processes.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.cli.program import paint
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from antideepfake.audio.recording import Recording
    from antideepfake.inference.detector import Detector
    from antideepfake.inference.scores import FileScore, WindowScore
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.model_folder.windowing import Windowing

COLORS = {"real": "green", "fake": "red", "unsure": "yellow"}
SEVERAL, ONE, PLOTS = (".json", ".csv", ".rttm"), (".txt", ".textgrid"), (".png", ".svg", ".pdf")  # timelines
DEFAULT = "scores.csv"
LINES = 40  # of the table; the score file has all
EXAMPLE = "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder or Hub id")
    parser.add_argument("inputs", nargs="+", metavar="input", help="audio or video file, folder, protocol, or -")
    options.add_output(parser, "score file to write (default: scores.csv; none for a single recording)", required=False)
    parser.add_argument("--timeline", action="store_true", help="print the segments of each recording")
    parser.add_argument(
        "--timeline_output",
        nargs="+",
        default=[],
        metavar="FILE",
        help="files for the segments of all recordings: .json, .csv, .rttm; for a single recording .txt (Audacity), "
        ".TextGrid (Praat) or a plot, .png, .svg, .pdf",
    )
    parser.add_argument(
        "--channels",
        choices=["mean", "each", "left", "right"],
        default="mean",
        help="channels to score: their mean, each by itself, or one (default: mean)",
    )
    parser.add_argument(
        "--stream",
        type=options.positive_number,
        default=1,
        help="audio stream of files that have several (default: 1)",
    )
    parser.add_argument(
        "--raw",
        type=options.positive_number,
        metavar="HZ",
        help="standard input has no header: 16-bit little-endian samples of one channel at this rate",
    )
    add_windows(parser)
    parser.add_argument("--embeddings", help="file (.parquet) for the embeddings, which drift and fit-ood read")
    options.add_data_folder(parser)
    options.add_split(parser)
    options.add_scoring(parser)
    options.add_num_workers(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def add_windows(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how long recordings are scored."""
    group = parser.add_argument_group("long recordings")
    group.add_argument("--whole", action="store_true", help="score recordings of up to half an hour as one utterance")
    group.add_argument(
        "--window_seconds", type=options.seconds, help="length of a window (default: as the model says, or 4)"
    )
    group.add_argument(
        "--hop_seconds", type=options.seconds, help="time between windows (default: as the model says, or 2)"
    )
    group.add_argument(
        "--aggregate",
        help="from windows to a score: mean; max, the window most likely fake; top-N, the mean of the N most "
        "likely fake; share, the share of windows that count as real (default: as the model says, or mean)",
    )


def choose_windowing(args: argparse.Namespace, metadata: "ModelMetadata") -> "Windowing":
    """Combine the settings of the model folder with those of the command line."""
    from antideepfake.model_folder.windowing import WHOLE

    given = {name: getattr(args, name) for name in ("window_seconds", "hop_seconds", "aggregate")}
    if args.whole:
        given["utterance_seconds"] = WHOLE.utterance_seconds
    return replace(metadata.windowing(), **{name: value for name, value in given.items() if value is not None})


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    if "-" in args.inputs:
        return score_pipe(args)
    if args.raw:
        raise InputError("--raw is for standard input; pass - as the only input")
    is_single = is_recording(args.inputs)
    with ExitStack() as stack:
        if args.output is None and is_single:
            args.output = os.path.join(stack.enter_context(TemporaryDirectory()), DEFAULT)
            kept = False
        else:
            args.output, kept = args.output if args.output is not None else DEFAULT, True
        check_paths(args)
        check_existing(args)
        return score(args, is_single, kept, stack)


def score_pipe(args: argparse.Namespace) -> int:
    """Score standard input window by window while it arrives, and print each window."""
    if len(args.inputs) > 1:
        raise InputError("the input - stands for standard input; it must be the only one")
    for name in ("output", "timeline", "timeline_output", "embeddings"):
        if getattr(args, name):
            raise InputError(f"--{name} needs a file; save standard input first")

    from antideepfake.audio.pipe import open_pipe, open_raw
    from antideepfake.inference.detector import load_detector

    detector = load_detector(
        args.model, options.choose_device(args.device, args.quiet), args.precision, args.trust_code
    )
    metadata = detector.hparams.metadata
    windowing = choose_windowing(args, metadata)
    judged: list[tuple[float, float]] = []
    with open_raw(sys.stdin.buffer, args.raw) if args.raw else open_pipe(sys.stdin.buffer) as pipe:
        chunks = pick_channel(pipe.blocks(), args.channels, pipe.channels)
        for window in detector.stream(chunks, pipe.samplerate, windowing):
            if window.has_speech:
                judged.append(window.logits)
            print_window(window, args.format)
    if judged and args.format == "table":
        fake, real = windowing.combine(judged, metadata.threshold)
        print(f"{windowing.aggregate} of {len(judged)} windows with speech: {real - fake:.2f}")
    return 0


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
    import json

    from antideepfake.scoring.verdict import format_time

    start, end = format_time(window.start), format_time(window.end)
    row = {"start": window.start, "end": window.end, "score": window.score, "decision": window.decision}
    if form == "json":
        print(json.dumps(row), flush=True)
    elif form == "csv":
        print(*row.values(), sep=",", flush=True)
    else:
        print(f"{start:>10}{end:>10}{window.score:>8.2f}  {window.decision}", flush=True)


def is_recording(inputs: Sequence[str]) -> bool:
    """Whether the inputs are a single recording, whose result is for a person."""
    from antideepfake.scoring.inputs import is_protocol

    alone = len(inputs) == 1 and os.environ.get("WORLD_SIZE", "1") == "1"
    return alone and not is_protocol(inputs[0]) and not os.path.isdir(inputs[0])


def score(args: argparse.Namespace, is_single: bool, kept: bool, stack: ExitStack) -> int:
    """Score what the inputs name, and print."""
    from antideepfake.audio.recording import Recording
    from antideepfake.distributed import join_processes
    from antideepfake.files import lock_output
    from antideepfake.inference.detector import load_detector
    from antideepfake.scoring.inputs import choose_channels, find_inputs, is_protocol
    from antideepfake.scoring.score_file import iterate_scores
    from antideepfake.scoring.scorer import score_protocol

    table = find_inputs(args.inputs, args.split)
    table, channels = choose_channels(table, args.channels, args.data_folder, args.stream - 1)
    device = options.choose_device(args.device, args.quiet)
    detector = load_detector(args.model, device, args.precision, args.trust_code)
    metadata = detector.hparams.metadata
    rank, world_size = stack.enter_context(join_processes())
    if rank == 0:
        for path in filter(None, (args.output, args.embeddings)):
            stack.enter_context(lock_output(path))
        check_existing(args)  # again: another run may have finished while the detector was loaded
    results: dict[str, FileScore] = {}
    watched = is_single or args.timeline or bool(args.timeline_output)
    skipped = score_protocol(
        detector,
        table,
        args.data_folder,
        args.output,
        args.batch_seconds,
        args.num_workers,
        args.quiet or is_single,
        rank,
        world_size,
        args.embeddings,
        [name for name in args.inputs if is_protocol(name)],
        choose_windowing(args, metadata),
        channels,
        args.stream - 1,
        results.__setitem__ if watched else None,
    )
    if rank > 0:
        return 0
    messages = sys.stderr if args.format != "table" else sys.stdout
    if is_single and args.format == "table":
        print_verdicts(results, detector, Recording(args.inputs[0], stream=args.stream - 1))
    else:
        print_scores(iterate_scores(args.output), metadata.threshold, args.format)
    if args.timeline and args.format == "table":
        print_segments(results)
    write_timelines(args, results)
    for path in filter(None, (args.output if kept else None, *args.timeline_output)):
        print(f"{'score file' if path == args.output else 'timeline'}: {path}", file=messages)
    for result in skipped[:LINES]:
        print(f"skipped {result.error}", file=sys.stderr)
    if skipped and kept:
        print(f"{len(skipped)} files skipped; the list is {args.output}.skipped.csv", file=sys.stderr)
    return 1 if skipped else 0


def print_verdicts(results: "Mapping[str, FileScore]", detector: "Detector", source: "Recording") -> None:
    """Print the verdict on each channel of a recording, and what it rests on."""
    from antideepfake.audio.audio_file import open_audio
    from antideepfake.scoring.verdict import explain

    for name, result in results.items():
        print(name)
        with open_audio(source.path, source.stream) as file:
            if file.has_video or file.audio_streams > 1:
                kind = "video" if file.has_video else "file"
                print(f"  {'audio':<16}stream {source.stream + 1} of {file.audio_streams} of a {kind}")
        for title, text in explain(result, detector.hparams.metadata, detector.ood_detector is not None):
            if title == "verdict":
                tone = "unsure" if text.startswith(("unsure", "uncertain")) else result.decision
                text = paint(text, COLORS[tone], sys.stdout)
            print(f"  {title:<16}{text}")


def print_segments(results: "Mapping[str, FileScore]") -> None:
    """Print the segments of each recording."""
    from antideepfake.scoring.verdict import format_time

    for name, result in results.items():
        assert result.timeline
        print(f"\n{'start':>10}{'end':>10}{'score':>8}  decision   {name}")
        for start, end, value, label in result.timeline.segments(result.threshold):
            number = "" if label == "no speech" else f"{value:.2f}"
            word = paint(label, COLORS[label], sys.stdout) if label in COLORS else label
            print(f"{format_time(start):>10}{format_time(end):>10}{number:>8}  {word}")


def write_timelines(args: argparse.Namespace, results: "Mapping[str, FileScore]") -> None:
    """Write the files that --timeline_output names."""
    from antideepfake.scoring.timeline_file import JudgedTimeline, write_timelines

    timelines = {
        name: JudgedTimeline(result.timeline, result.threshold) for name, result in results.items() if result.timeline
    }
    for path in args.timeline_output:
        if Path(path).suffix.lower() not in PLOTS:
            write_timelines(path, timelines)
        elif timelines:
            from antideepfake.audio.recording import Recording
            from antideepfake.audio.waveform import trace_envelope
            from antideepfake.evaluation.plots import plot_timeline, save_plot

            (name, judged), *_ = timelines.items()
            channel = {"left": 0, "right": 1}.get(args.channels)
            recording = Recording(args.inputs[0], channel, args.stream - 1)
            envelope = trace_envelope(recording, judged.timeline.duration)
            save_plot(plot_timeline(judged.timeline, judged.threshold, envelope, os.path.basename(name)), path)


def check_timelines(args: argparse.Namespace) -> None:
    """Refuse files of timelines that could not be written."""
    for path in args.timeline_output:
        suffix = Path(path).suffix.lower()
        if suffix not in (*SEVERAL, *ONE, *PLOTS):
            raise InputError(
                f"--timeline_output is '{path}'; its name must end with {', '.join((*SEVERAL, *ONE, *PLOTS))}"
            )
        if suffix in (*ONE, *PLOTS) and not (is_recording(args.inputs) and args.channels != "each"):
            raise InputError(
                f"--timeline_output is '{path}', a form for one recording; use {', '.join(SEVERAL)} for several"
            )
        options.refuse_existing(path, args.overwrite, "--timeline_output")
    if (args.timeline or args.timeline_output) and os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("timelines need a single process; leave out torchrun")


def check_paths(args: argparse.Namespace) -> None:
    """Refuse paths that would fail, or harm another file, after hours of work."""
    if not args.output or args.output.endswith(os.sep) or os.path.isdir(args.output):
        raise InputError(f"--output is '{args.output}'; it must name a file, not a folder")
    check_timelines(args)
    protected = {os.path.realpath(path) for path in (args.model, *args.inputs)}
    timelines = [("timeline_output", path) for path in args.timeline_output]
    for name, path in (("output", args.output), ("embeddings", args.embeddings), *timelines):
        if path and os.path.realpath(path) in protected:
            raise InputError(f"--{name} is {path}, which another argument names too; choose another file")
        protected.add(os.path.realpath(path or args.output))


def check_existing(args: argparse.Namespace) -> None:
    """Refuse to replace what an earlier run finished; what an interrupted run left is continued."""
    options.refuse_existing(args.output, args.overwrite)
    if args.embeddings:
        path = Path(args.embeddings)
        if not list(path.parent.glob(f"{escape(path.name)}.*.part")):  # removed once the score file is complete
            options.refuse_existing(path, args.overwrite, "--embeddings")


def print_scores(scores: Iterable[tuple[str, float, bool]], threshold: float, form: str) -> None:
    """Print all scores for programs, or the first ones and their counts for people."""
    import csv
    import json

    from antideepfake.model_folder import decide

    decisions = ((name, score, decide(score, threshold, is_ood)) for name, score, is_ood in scores)
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["file", "score", "decision"])
        writer.writerows(decisions)
    elif form == "json":  # an object a line, however many there are
        separator = "[\n"
        for name, score, decision in decisions:
            print(separator, json.dumps({"file": name, "score": score, "decision": decision}), sep="", end="")
            separator = ",\n"
        print("[]" if separator == "[\n" else "\n]")
    else:
        print(format_scores(decisions, threshold))


def format_scores(decisions: Iterable[tuple[str, float, str]], threshold: float) -> str:
    """Format decisions, scores and files for a terminal."""
    lines = [f"{'decision':<10}{'score':>8}  file"]
    counts: Counter[str] = Counter()
    for name, score, decision in decisions:
        counts[decision] += 1
        if counts.total() <= LINES:
            word = paint(f"{decision:<10}", COLORS[decision], sys.stdout)
            lines.append(f"{word}{score:>8.2f}  {name if len(name) <= 78 else '...' + name[-75:]}")
    if counts.total() > LINES:
        lines.append(f"... and {counts.total() - LINES} more")
    unsure = f", {counts['unsure']} unsure (out of distribution)" if counts["unsure"] else ""
    lines.append(
        f"{counts.total()} scored: {counts['real']} real, {counts['fake']} fake{unsure} "
        f"(score at or above {threshold:.2f}: real)"
    )
    return "\n".join(lines)
