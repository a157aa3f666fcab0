#!/usr/bin/env python
"""Measure how fast detectors score on this machine, and how batch size and precision change the scores.

The detectors are model folders, or front ends of hparams/front_ends with random weights, which do not affect the speed.
For each, the program compares the plain route (unmodified transformers, one file at a time, float32) with score_files
in float32 and bfloat16 at several batch sizes. It reports seconds of audio per second of wall time (the median of
interleaved rounds), the largest change of a score, and the rank correlation with the scores of the plain route.
"""

import argparse
import copy
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy.stats
import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from tqdm import tqdm

from antideepfake.audio.waveform import SAMPLE_RATE, make_waveform, read_audio, to_mono_16k
from antideepfake.cli.program import run_program
from antideepfake.corpora.walk import find_audio
from antideepfake.errors import InputError
from antideepfake.inference.detector import Detector
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.detector import UtteranceEncoder, assemble_detector, compute_logits
from antideepfake.lobes.self_supervised import ConvolutionalFrontEnd
from antideepfake.model_folder.folder import build_modules, load_weights
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES
from antideepfake.training.hparams import build_front_end

FRONT_ENDS = Path(__file__).parents[1] / "hparams" / "front_ends"
SHORTEST, LONGEST = 2.0, 6.0  # length of the clips in seconds


def make_clips(count: int) -> list[torch.Tensor]:
    """Generate different clips that resemble voiced speech, of 2 to 6 s at 16 kHz."""
    rng = np.random.default_rng(1234)
    clips = []
    for _ in range(count):
        time_axis = np.arange(round(rng.uniform(SHORTEST, LONGEST) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = rng.uniform(80, 300) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 4) * time_axis))
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        voice = sum(np.sin(k * phase) / k ** rng.uniform(0.5, 2) for k in range(1, 20))
        loudness = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(1, 5) * time_axis)
        clip = loudness * voice + rng.uniform(0.01, 0.5) * rng.standard_normal(len(time_axis))
        clips.append(torch.from_numpy(0.1 * clip).float())
    return clips


def read_clips(folder: str, count: int) -> list[torch.Tensor]:
    """Read the first ``count`` clips of 2 to 6 s in a folder."""
    clips: list[torch.Tensor] = []
    for path in find_audio(Path(folder)):
        clip = to_mono_16k(*read_audio(path))
        if SHORTEST <= len(clip) / SAMPLE_RATE <= LONGEST:
            clips.append(clip)
        if len(clips) == count:
            return clips
    raise InputError(
        f"{folder}: contains {len(clips)} clips of {SHORTEST:g} to {LONGEST:g} s, not {count}; reduce --clips"
    )


def read_modules(folder: str) -> torch.nn.ModuleDict:
    """Read the modules of a model folder."""
    modules = build_modules(Path(folder, "config.json"))
    load_weights(modules, Path(folder, FILES["model"]))
    return modules.eval()


def random_modules(name: str, clips: list[torch.Tensor]) -> torch.nn.ModuleDict:
    """Build a detector with random weights whose scores vary about as much as those of a trained detector.

    Its classifier projects on the first principal component of the embeddings of the clips, scaled to a standard
    deviation of 4.
    """
    path = FRONT_ENDS / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in FRONT_ENDS.glob("*.yaml")))
        raise InputError(f"{name}: not a model folder, and not a front end of hparams/front_ends; use one of {names}")
    torch.manual_seed(1234)
    front_end = build_front_end(path).eval()
    encoder = UtteranceEncoder(front_end, MeanPooling())
    with torch.inference_mode():
        embeddings = torch.cat(
            [encoder(make_waveform(clip, SAMPLE_RATE, "the clip")[None], torch.ones(1)) for clip in clips]
        )
    centered = embeddings - embeddings.mean(0)
    direction = torch.linalg.svd(centered, full_matrices=False).Vh[0]
    direction = direction * 4 / (centered @ direction).std()
    classifier = torch.nn.Linear(len(direction), 2)
    with torch.no_grad():
        classifier.weight.copy_(torch.stack([-direction / 2, direction / 2]))
        classifier.bias.copy_(-classifier.weight @ embeddings.mean(0))
    return assemble_detector(encoder, classifier)


def plain_route(modules: torch.nn.ModuleDict, device: str) -> Callable[[list[torch.Tensor]], list[float]]:
    """Return a function that scores one clip at a time in float32, with the encoder of transformers if it has one."""
    copies = {name: copy.deepcopy(modules[name]).to(device) for name in ("embedding_model", "classifier")}
    encoder: Any = copies["embedding_model"]
    if isinstance(encoder.front_end, ConvolutionalFrontEnd) and not encoder.front_end.all_layers:
        ours = encoder.front_end.model
        theirs = encoder.front_end.model_class(ours.config).eval().to(device)
        theirs.load_state_dict(ours.state_dict())

        def logits(clip: torch.Tensor) -> torch.Tensor:
            frames = theirs(clip[None]).last_hidden_state
            return copies["classifier"](encoder.back_end(frames, torch.ones(1, device=device)))
    else:

        def logits(clip: torch.Tensor) -> torch.Tensor:
            return compute_logits(copies, clip[None], torch.ones(1, device=device))

    def score(clips: list[torch.Tensor]) -> list[float]:
        with torch.inference_mode():
            pairs = [logits(make_waveform(clip, SAMPLE_RATE, "the clip").to(device))[0].tolist() for clip in clips]
        return [real - fake for fake, real in pairs]

    return score


def fast_route(
    modules: torch.nn.ModuleDict, device: str, precision: str, batch_seconds: float
) -> Callable[[list[torch.Tensor]], list[float]]:
    """Return a function that scores clips with score_files."""
    hparams = {"metadata": ModelMetadata(), "label_encoder": CategoricalEncoder()}
    detector = Detector(copy.deepcopy(modules), hparams, {"device": device})
    detector.prepare(precision)

    def score(clips: list[torch.Tensor]) -> list[float]:
        items = [(clip, SAMPLE_RATE) for clip in clips]
        return [result.score for result in detector.score_files(items, batch_seconds)]

    return score


def measure(
    name: str,
    clips: list[torch.Tensor],
    device: str,
    precisions: list[str],
    batch_seconds: list[float],
    rounds: int,
) -> list[str]:
    """Measure one detector; return the lines of a table."""
    modules = read_modules(name) if os.path.isdir(name) else random_modules(name, clips)
    routes = {("plain", "fp32", 0.0): plain_route(modules, device)}
    for precision in precisions:
        for seconds in batch_seconds:
            routes["batched", precision, seconds] = fast_route(modules, device, precision, seconds)
    del modules
    total = sum(map(len, clips)) / SAMPLE_RATE
    speeds: dict[tuple[str, str, float], list[float]] = {key: [] for key in routes}
    scores: dict[tuple[str, str, float], np.ndarray] = {}
    with tqdm(total=(rounds + 1) * len(routes), desc=name, unit="run") as bar:
        for turn in range(rounds + 1):  # the first round warms up: it allocates memory and packs weights
            for key, route in routes.items():
                start = time.perf_counter()
                scores[key] = np.array(route(clips))
                if turn:
                    speeds[key].append(total / (time.perf_counter() - start))
                bar.update()
    plain = next(iter(routes))
    lines = []
    for key in routes:
        speed, shift = median(speeds[key]), np.abs(scores[key] - scores[plain]).max()
        rank = scipy.stats.spearmanr(scores[key], scores[plain]).statistic
        batch = f"{key[2]:g}" if key[2] else "1 file"
        ratio = speed / median(speeds[plain])
        line = f"{Path(name).name:<16}{key[0]:<9}{batch:>7} {key[1]:<6}{speed:>8.1f}{ratio:>8.2f}"
        lines.append(f"{line}{shift:>13.1e}{rank:>10.5f}")
    return lines


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/benchmark_scoring.py w2v_small mms_300m",
    )
    parser.add_argument("models", nargs="+", metavar="model", help="name in hparams/front_ends, or model folder")
    parser.add_argument("--data_folder", help="folder with clips of 2 to 6 s (default: generate clips)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.add_argument("--clips", type=int, default=60, help="number of clips (default: 60)")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], help="fp32, bf16 (default: both)")
    parser.add_argument(
        "--batch_seconds", type=float, nargs="+", default=[8.0, 32.0], help="audio per batch in seconds (default: 8 32)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="report the median of this many rounds (default: 3)")
    args = parser.parse_args()

    clips = read_clips(args.data_folder, args.clips) if args.data_folder else make_clips(args.clips)
    seconds = sum(map(len, clips)) / SAMPLE_RATE
    print(f"{len(clips)} clips, {seconds:.0f} s; {torch.get_num_threads()} threads; torch {torch.__version__}")
    print(f"{'model':<16}{'route':<9}{'batch s':>7} {'prec.':<6}{'audio/s':>8}{'x plain':>8}", end="")
    print(f"{'score shift':>13}{'rank cor.':>10}")
    for name in args.models:
        print("\n".join(measure(name, clips, args.device, args.precision, args.batch_seconds, args.rounds)), flush=True)
    return 0


if __name__ == "__main__":
    run_program(main)
