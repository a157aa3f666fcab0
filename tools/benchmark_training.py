#!/usr/bin/env python
"""Measure the speed of training on this machine: data loading and a training step, with and without RawBoost.

The program writes clips of noise with the rhythm of speech to a temporary folder, as 16 kHz FLAC, and reads them as in
training. A step consists of the forward and backward pass, gradient clipping and AdamW. The weights are random.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import soundfile
import torch
from speechbrain.dataio.batch import PaddedBatch
from torch.utils.data import DataLoader

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.augment.rawboost import RawBoost
from antideepfake.cli.program import run_program
from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.dataio.datasets import Augmentation, make_dataset
from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.detector import UtteranceEncoder, assemble_detector, compute_logits
from antideepfake.training.hparams import build_front_end

FRONT_ENDS = Path(__file__).parents[1] / "hparams" / "front_ends"
AUGMENTATIONS: dict[str, Augmentation | None] = {"none": None, "RawBoost 5": RawBoost(5)}


def write_clips(folder: Path, count: int, seconds: float) -> pd.DataFrame:
    """Write clips; return their protocol."""
    rng = np.random.default_rng(1234)
    rows = []
    for number in range(count):
        syllables = rng.uniform(0.01, 0.3, int(seconds * 5) + 1).repeat(SAMPLE_RATE // 5)
        signal = rng.standard_normal(len(syllables)) * syllables
        soundfile.write(folder / f"{number}.flac", signal[: int(seconds * SAMPLE_RATE)].clip(-1, 1), SAMPLE_RATE)
        rows.append((str(number), ("fake", "real")[number % 2], f"$ROOT/{number}.flac", seconds))
    return pd.DataFrame(rows, columns=["ID", "Label", "Path", "Duration"])


def make_loader(
    protocol: pd.DataFrame, folder: Path, augmentation: Augmentation | None, batch_seconds: float, num_workers: int
) -> DataLoader:
    """Make the data loader of training for one epoch."""
    dataset = make_dataset(protocol, folder, augmentation=augmentation, seed=1)
    batches = PlannedBatches(BatchPlan(protocol["Duration"], batch_seconds, 1, seed=1))
    return DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=PaddedBatch)


def repeat(loader: DataLoader) -> Iterator[PaddedBatch]:
    """Yield batches endlessly, and read each one again in every epoch."""
    while True:
        yield from loader


def time_rawboost(seconds: float) -> float:
    """Return the median time of RawBoost for a clip in milliseconds, in one thread like a worker process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    waveform = 0.1 * torch.randn(int(seconds * SAMPLE_RATE))
    times = []
    for _ in range(50):
        start = time.perf_counter()
        RawBoost(5)(waveform, rng)
        times.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return 1000 * median(times)


def time_loader(loader: DataLoader, audio_seconds: float) -> float:
    """Return the seconds of audio per second over a whole epoch, including the start of the workers."""
    start = time.perf_counter()
    for _ in loader:
        pass
    return audio_seconds / (time.perf_counter() - start)


def time_steps(batches: Iterator[PaddedBatch], name: str, device: str, precision: str, steps: int) -> float:
    """Return the seconds of audio per second of training: the median over steps, with reading, after a warm-up step."""
    torch.manual_seed(1)
    front_end = build_front_end(FRONT_ENDS / f"{name}.yaml")
    encoder = UtteranceEncoder(front_end, MeanPooling())
    modules = assemble_detector(encoder, torch.nn.Linear(front_end.model.config.hidden_size, 2)).to(device)
    parameters = list(modules.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-6)
    speeds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        batch = next(batches).to(device)
        waveforms, lengths = batch.waveform
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
            logits = compute_logits(dict(modules.items()), waveforms, lengths)
            loss = torch.nn.functional.cross_entropy(logits, torch.as_tensor(batch.target, device=logits.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 100)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()  # waits for a GPU
        speeds.append(lengths.sum().item() * waveforms.shape[1] / SAMPLE_RATE / (time.perf_counter() - start))
    return median(speeds[1:])


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/benchmark_training.py w2v_small --steps 6 --num_workers 0 1 2",
    )
    parser.add_argument(
        "front_end", nargs="?", default="w2v_small", help="name in hparams/front_ends (default: w2v_small)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default: cpu)")
    parser.add_argument("--batch_seconds", type=float, default=20.0, help="audio per batch in seconds (default: 20)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a clip in seconds (default: 4)")
    parser.add_argument("--clips", type=int, default=200, help="number of clips (default: 200)")
    parser.add_argument("--steps", type=int, default=5, help="number of training steps (default: 5)")
    parser.add_argument("--num_workers", type=int, nargs="+", default=[0, 1, 2], help="loader workers (default: 0 1 2)")
    args = parser.parse_args()
    if not (FRONT_ENDS / f"{args.front_end}.yaml").is_file():
        names = ", ".join(sorted(file.stem for file in FRONT_ENDS.glob("*.yaml")))
        raise InputError(f"{args.front_end}: not a front end of hparams/front_ends; use one of {names}")
    print(
        f"clips of {args.seconds:g} s, batches of {args.batch_seconds:g} s; {torch.get_num_threads()} threads; ", end=""
    )
    print(f"torch {torch.__version__}; seconds of audio per second")
    print(f"RawBoost 5 takes {time_rawboost(args.seconds):.1f} ms for a clip")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        protocol = write_clips(folder, args.clips, args.seconds)
        print(f"\n{'loader':<10}{'workers':>8}" + "".join(f"{kind:>14}" for kind in AUGMENTATIONS))
        for workers in args.num_workers:
            loaders = [
                make_loader(protocol, folder, item, args.batch_seconds, workers) for item in AUGMENTATIONS.values()
            ]
            speeds = [time_loader(loader, args.clips * args.seconds) for loader in loaders]
            print(f"{'':<10}{workers:>8}" + "".join(f"{speed:>14.0f}" for speed in speeds), flush=True)
        print(f"\n{'step':<10}{'prec.':>8}" + "".join(f"{kind:>14}" for kind in AUGMENTATIONS))
        for precision in ("fp32", "bf16"):
            print(f"{args.front_end:<10}{precision:>8}", end="")
            for augmentation in AUGMENTATIONS.values():
                batches = repeat(make_loader(protocol, folder, augmentation, args.batch_seconds, 0))
                speed = time_steps(batches, args.front_end, args.device, precision, args.steps)
                print(f"{speed:>14.2f}", end="", flush=True)
            print()
    return 0


if __name__ == "__main__":
    run_program(main)
