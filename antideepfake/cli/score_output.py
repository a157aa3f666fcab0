"""What the verb score prints, and the files of timelines that it writes."""

import argparse
import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.cli.program import paint
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from antideepfake.audio.recording import Recording
    from antideepfake.inference.cluster import ClusterScorer
    from antideepfake.inference.recordings import RecordingScorer
    from antideepfake.inference.scores import FileScore

COLORS = {"real": "green", "fake": "red", "unsure": "yellow"}
SEVERAL, ONE, PLOTS = (".json", ".csv", ".rttm"), (".txt", ".textgrid"), (".png", ".svg", ".pdf")  # timelines
LINES = 40  # of the table; the score file has all


def check_timelines(args: argparse.Namespace, is_single: bool) -> None:
    """Refuse files of timelines that could not be written."""
    for path in args.timeline_output:
        suffix = Path(path).suffix.lower()
        if suffix not in (*SEVERAL, *ONE, *PLOTS):
            raise InputError(
                f"--timeline_output is '{path}'; its name must end with {', '.join((*SEVERAL, *ONE, *PLOTS))}"
            )
        if suffix in (*ONE, *PLOTS) and not (is_single and args.channels != "each"):
            raise InputError(
                f"--timeline_output is '{path}', a form for one recording; use {', '.join(SEVERAL)} for several"
            )
        options.refuse_existing(path, args.overwrite, "--timeline_output")
    if (args.timeline or args.timeline_output) and os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("timelines need a single process; leave out torchrun")


def print_verdicts(
    results: "Mapping[str, FileScore]", detector: "RecordingScorer | ClusterScorer", source: "Recording"
) -> None:
    """Print the verdict on each channel of a recording, and what it rests on."""
    from antideepfake.audio.audio_file import open_audio
    from antideepfake.scoring.verdict import explain

    for name, result in results.items():
        print(name)
        with open_audio(source.path, source.stream) as file:
            if file.has_video or file.audio_streams > 1:
                kind = "video" if file.has_video else "file"
                print(f"  {'audio':<16}stream {source.stream + 1} of {file.audio_streams} of a {kind}")
        for title, text in explain(result, detector.metadata, detector.ood_detector is not None):
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


def write_files(args: argparse.Namespace, results: "Mapping[str, FileScore]") -> None:
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
            from antideepfake.audio.samples import trace_envelope
            from antideepfake.evaluation.plots import plot_timeline, save_plot

            (name, judged), *_ = timelines.items()
            channel = {"left": 0, "right": 1}.get(args.channels)
            recording = Recording(args.inputs[0], channel, args.stream - 1)
            envelope = trace_envelope(recording, judged.timeline.duration)
            save_plot(plot_timeline(judged.timeline, judged.threshold, envelope, os.path.basename(name)), path)


def print_scores(scores: Iterable[tuple[str, float, bool]], threshold: float, form: str) -> None:
    """Print all scores for programs, or the first ones and their counts for people."""
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
    unsure = f", {counts['unsure']} unsure (out of distribution, or without speech)" if counts["unsure"] else ""
    lines.append(
        f"{counts.total()} scored: {counts['real']} real, {counts['fake']} fake{unsure} "
        f"(score at or above {threshold:.2f}: real)"
    )
    return "\n".join(lines)
