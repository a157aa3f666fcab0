"""Score recordings: how likely is each bona fide?

MODEL is a model folder, its id on the Hugging Face Hub, or an ONNX file of 'antideepfake convert'; with --detector, it
is code of other software (docs/command_line.md). INPUT is an audio file, a folder (searched at any depth) or a protocol
(.csv, .arrow). Prints a table and writes the score file; run again after an interruption, it continues where it
stopped. For a single recording, prints a verdict in words, and writes a score file only with --output.

INPUT - is standard input: each window is printed while the recording arrives.

A recording longer than the clips that the model was trained on is scored in windows; --timeline shows where it is
likely fake.

Under torchrun, several processes share the work, each on a GPU of its own:
  torchrun --nproc_per_node=4 -m antideepfake score MODEL INPUT --device cuda
An interrupted run may continue with another number of processes. With --scheduler, the workers of a Dask cluster share
the work instead.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.cli.score_output import (
    LINES,
    check_timelines,
    print_scores,
    print_segments,
    print_verdicts,
    write_files,
)
from antideepfake.cli.score_pipe import score_pipe
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from antideepfake.inference.cluster import ClusterScorer
    from antideepfake.inference.recordings import RecordingScorer
    from antideepfake.inference.scores import FileScore

DEFAULT = "scores.csv"
EXAMPLE = "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder, Hub id, or ONNX file of convert")
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
    options.add_windows(parser)
    parser.add_argument("--embeddings", help="file (.parquet) for the embeddings, which drift and fit-ood read")
    options.add_data_folder(parser)
    options.add_split(parser)
    options.add_scoring(parser)
    options.add_num_workers(parser)
    options.add_scheduler(parser)
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    if "-" in args.inputs:
        if args.scheduler:
            raise InputError("--scheduler is for files; standard input is scored by this process")
        return score_pipe(args)
    if args.raw:
        raise InputError("--raw is for standard input; pass - as the only input")
    if args.output is None and not args.scheduler and is_recording(args.inputs):
        return score_recording(args)
    return score(args, DEFAULT if args.output is None else args.output)


def is_recording(inputs: Sequence[str]) -> bool:
    """Check whether the inputs are a single recording, whose result is for a person."""
    from antideepfake.scoring.inputs import is_protocol

    alone = len(inputs) == 1 and os.environ.get("WORLD_SIZE", "1") == "1"
    return alone and not is_protocol(inputs[0]) and not os.path.isdir(inputs[0])


def score_recording(args: argparse.Namespace) -> int:
    """Score a single recording and print, without the tables and the score file of many."""
    check_paths(args, None)
    check_existing(args, None)
    check_timelines(args, is_single=True)

    from antideepfake.audio.recording import Recording
    from antideepfake.scoring.inputs import count_channels, list_files

    [name] = list_files(args.inputs[0])
    path, stream = os.path.abspath(name), args.stream - 1
    items = {name: Recording(path, {"left": 0, "right": 1}.get(args.channels), stream)}
    if args.channels == "each" and (count := count_channels(path, stream)) > 1:
        items = {f"{name}#{channel + 1}": Recording(path, channel, stream) for channel in range(count)}
    detector = options.load_model(args)
    windowing = options.choose_windowing(args, detector.metadata)
    found = detector.score_files(items.values(), args.batch_seconds, windowing=windowing, timeline=True)
    results = dict(zip(items, found, strict=True))
    scored = {name: result for name, result in results.items() if not result.error}
    if args.embeddings:
        from antideepfake.files import lock_output
        from antideepfake.scoring.embeddings import EmbeddingWriter

        with lock_output(args.embeddings):
            with EmbeddingWriter(args.embeddings, "recording") as writer:
                for index, (name, result) in enumerate(scored.items()):
                    writer.write(index, name, result.embedding)
            writer.merge(len(scored))
            writer.remove()
    scores = ((name, result.score, result.decision == "unsure") for name, result in scored.items())
    print_results(args, detector, scores, scored, is_single=True)
    for result in results.values():
        if result.error:
            print(f"skipped {result.error}", file=sys.stderr)
    return 1 if len(scored) < len(results) else 0


def score(args: argparse.Namespace, output: str) -> int:
    """Score the inputs, write the score file ``output`` and print."""
    is_single = is_recording(args.inputs)
    check_paths(args, output)
    check_existing(args, output)
    check_timelines(args, is_single)

    from antideepfake.distributed import join_processes
    from antideepfake.files import lock_output
    from antideepfake.scoring.inputs import choose_channels, find_inputs, is_protocol
    from antideepfake.scoring.score_file import iterate_scores
    from antideepfake.scoring.scorer import score_protocol

    table = find_inputs(args.inputs, args.split)
    table, channels = choose_channels(table, args.channels, args.data_folder, args.stream - 1)
    detector = load_on_cluster(args) if args.scheduler else options.load_model(args)
    metadata = detector.metadata
    results: dict[str, FileScore] = {}
    needs_timelines = is_single or args.timeline or bool(args.timeline_output)
    with join_processes() as (rank, world_size), ExitStack() as locks:
        if rank == 0:
            for path in filter(None, (output, args.embeddings)):
                locks.enter_context(lock_output(path))
            check_existing(args, output)  # again: another run may have finished while the detector was loaded
        skipped = score_protocol(
            detector,
            table,
            os.path.abspath(args.data_folder) if args.scheduler else args.data_folder,
            output,
            args.batch_seconds,
            args.num_workers,
            args.quiet or is_single,
            rank,
            world_size,
            args.embeddings,
            [name for name in args.inputs if is_protocol(name)],
            options.choose_windowing(args, metadata),
            channels,
            args.stream - 1,
            results.__setitem__ if needs_timelines else None,
        )
    if rank > 0:
        return 0
    print_results(args, detector, iterate_scores(output), results, is_single, output)
    for result in skipped[:LINES]:
        print(f"skipped {result.error}", file=sys.stderr)
    if skipped:
        print(f"{len(skipped)} files skipped; the list is {output}.skipped.csv", file=sys.stderr)
    return 1 if skipped else 0


def load_on_cluster(args: argparse.Namespace) -> "ClusterScorer":
    """Load the detector of the arguments here and, when they first need it, on the workers of ``--scheduler``."""
    from antideepfake.inference.cluster import ClusterScorer

    model = os.path.abspath(args.model) if os.path.exists(args.model) else args.model  # or a Hub id
    names = ("detector", "device", "precision", "trust_code")
    given = (("model", model), ("quiet", True), *((name, getattr(args, name)) for name in names))
    return ClusterScorer(load_with, given, args.scheduler)


def load_with(*given: tuple[str, object]) -> "RecordingScorer":
    """Load a detector with these names and values of arguments."""
    return options.load_model(argparse.Namespace(**dict(given)))


def print_results(
    args: argparse.Namespace,
    detector: "RecordingScorer | ClusterScorer",
    scores: Iterable[tuple[str, float, bool]],
    results: "Mapping[str, FileScore]",
    is_single: bool,
    output: str | None = None,
) -> None:
    """Print the scores, write the files of timelines, and name the files that were written."""
    from antideepfake.audio.recording import Recording

    if is_single and args.format == "table":
        print_verdicts(results, detector, Recording(args.inputs[0], stream=args.stream - 1))
    else:
        print_scores(scores, detector.metadata.threshold, args.format)
    if args.timeline and args.format == "table":
        print_segments(results)
    write_files(args, results)
    messages = sys.stderr if args.format != "table" else sys.stdout
    if output:
        print(f"score file: {output}", file=messages)
    for path in args.timeline_output:
        print(f"timeline: {path}", file=messages)


def check_paths(args: argparse.Namespace, output: str | None) -> None:
    """Refuse paths that would fail, or harm another file, after hours of work."""
    if args.detector and args.embeddings:
        raise InputError("--embeddings is for models of this package; a detector of other software has none")
    if output is not None and (not output or output.endswith(os.sep) or os.path.isdir(output)):
        raise InputError(f"--output is '{output}'; it must name a file, not a folder")
    protected = {os.path.realpath(path) for path in (args.model, *args.inputs)}
    timelines = [("timeline_output", path) for path in args.timeline_output]
    for name, path in (("output", output), ("embeddings", args.embeddings), *timelines):
        if not path:
            continue
        if os.path.realpath(path) in protected:
            raise InputError(f"--{name} is {path}, which another argument names too; choose another file")
        protected.add(os.path.realpath(path))


def check_existing(args: argparse.Namespace, output: str | None) -> None:
    """Refuse to replace what an earlier run finished; what an interrupted run left is continued."""
    if output is not None:
        options.refuse_existing(output, args.overwrite)
    if args.embeddings:
        path = Path(args.embeddings)
        if not list(path.parent.glob(f"{escape(path.name)}.*.part")):  # removed once the score file is complete
            options.refuse_existing(path, args.overwrite, "--embeddings")
