#!/usr/bin/env python
"""Measure the memory and the time of scoring recordings of several lengths.

The detector is a model folder, or a front end of hparams/front_ends with random weights, which affect neither. Each
recording is scored by a process of its own, in windows. The program reports the peak memory of that process beyond its
memory after it scored a short recording, and seconds of audio per second.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError

FRONT_ENDS = Path(__file__).parents[1] / "hparams" / "front_ends"
SHORT = 30  # seconds of the recording before the measurement


def write_recording(path: Path, seconds: float) -> None:
    """Write noise whose level changes like that of speech, a minute at a time."""
    rng = np.random.default_rng(1234)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        for start in np.arange(0, seconds, 60):
            time_axis = np.arange(round(min(60, seconds - start) * SAMPLE_RATE)) / SAMPLE_RATE
            file.write(0.1 * np.sin(2 * np.pi * 1.5 * time_axis) ** 2 * rng.standard_normal(len(time_axis)))


def peak_megabytes() -> float:
    """Return the peak memory of this process so far."""
    divisor = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / divisor


def measure(model: str, short: str, path: str) -> tuple[int, float, float]:
    """Score a recording; return the number of windows, megabytes and seconds."""
    import torch

    from antideepfake.inference.detector import Detector, load_detector
    from antideepfake.lobes import MeanPooling, UtteranceEncoder, assemble_detector
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.training.hparams import build_front_end

    if Path(model).is_dir():
        detector = load_detector(model)
    else:
        front_end = build_front_end(FRONT_ENDS / f"{model}.yaml")
        encoder = UtteranceEncoder(front_end, MeanPooling())
        modules = assemble_detector(encoder, torch.nn.Linear(front_end.model.config.hidden_size, 2))
        detector = Detector(modules, {"metadata": ModelMetadata(), "label_encoder": None}, {"device": "cpu"})
    list(detector.score_files([short]))
    before, start = peak_megabytes(), time.perf_counter()
    (result,) = detector.score_files([path])
    if result.error:
        raise InputError(result.error)
    return result.windows, peak_megabytes() - before, time.perf_counter() - start


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder, or front end such as w2v_small")
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 20, 120], help="lengths (default: 2 20 120)")
    parser.add_argument("--format", default="wav", choices=["wav", "flac", "ogg", "mp3"], help="form of the recordings")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(*measure(args.model, *args.measure))
        return 0
    print(f"{'minutes':>8}{'windows':>9}{'MB more':>9}{'s':>8}{'audio s per s':>15}")
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder, f"short.{args.format}")
        write_recording(short, SHORT)
        for minutes in args.minutes:
            path = Path(folder, f"long.{args.format}")
            write_recording(path, 60 * minutes)
            command = [sys.executable, __file__, args.model, "--measure", str(short), str(path)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            windows, megabytes, seconds = map(float, done.stdout.split()[-3:])
            print(
                f"{minutes:>8g}{windows:>9.0f}{megabytes:>9.0f}{seconds:>8.1f}{60 * minutes / seconds:>15.1f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    run_program(main)
