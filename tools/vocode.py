#!/usr/bin/env python
"""Re-synthesise the real speech of a protocol with vocoders, and write the protocol of what comes of it, all fake.

So LibriTTS-Vocoded and VoxCeleb2-Vocoded are made. A vocoder is world (WORLD), griffin_lim, or a neural one:
speechbrain:SOURCE (HiFi-GAN of SpeechBrain's), transformers:SOURCE (SpeechT5's), SOURCE being a folder or a hub id. A
file $ROOT/LibriTTS/a/b.flac becomes <output_folder>/<vocoder>/a/b.wav, of the same length and level. Run again after an
interruption, it goes on where it stopped.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path, PurePosixPath

import pandas as pd
import soundfile
import torch
from tqdm import tqdm

from antideepfake.augment.vocoders import Vocoder, load_vocoder, resynthesise
from antideepfake.dataio import read_audio
from antideepfake.errors import InputError, run_program
from antideepfake.files import atomic_path
from antideepfake.protocol import build_protocol, read_protocol, resolve_path, tell_report
from antideepfake.seeds import derive_seed

Job = tuple[str, str, Path, Path, int]  # vocoder, device, source, target, seed
NEURAL = ("speechbrain:", "transformers:")


@cache
def load_once(name: str, device: str) -> Vocoder:
    """Load a vocoder, once in each process."""
    torch.set_num_threads(1)  # the files are what is done in parallel
    return load_vocoder(name, device)


def vocode_file(job: Job) -> str:
    """Re-synthesise a file; gives why it cannot be, or nothing."""
    name, device, source, target, seed = job
    try:
        signal, sample_rate = read_audio(source)
    except InputError as error:
        return str(error).removeprefix(f"{source}: ")
    mono = signal.mean(1) if signal.dim() == 2 else signal
    if not torch.isfinite(mono).all():
        return "holds samples that are not finite numbers"
    waveform, rate = resynthesise(load_once(name, device), mono.double().numpy(), sample_rate, seed)
    with atomic_path(target) as temporary:
        soundfile.write(temporary, waveform, rate, "PCM_16")
    return ""


def map_jobs(jobs: list[Job], num_workers: int) -> Iterator[str]:
    """Do the jobs in their order, in this process (0 workers) or in others."""
    if num_workers == 0:
        yield from map(vocode_file, jobs)
        return
    with ProcessPoolExecutor(num_workers, get_context("spawn")) as pool:
        yield from pool.map(vocode_file, jobs, chunksize=4)


def place_below(path: str) -> PurePosixPath:
    """Give the path of a file below the folder of its corpus, with the suffix .wav."""
    parts = PurePosixPath(path).parts
    return PurePosixPath(*parts[2:] if parts[0] == "$ROOT" else parts[-1:]).with_suffix(".wav")


def main() -> int:
    """Parse the command line; vocode; write the protocol."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/vocode.py data/LibriTTS.csv --data_folder data "
        "--output_folder data/LibriTTS-Vocoded --output data/LibriTTS-Vocoded.csv --vocoder world griffin_lim",
    )
    parser.add_argument("protocol", help="of the source; its real speech is taken")
    parser.add_argument("--data_folder", required=True, help="what $ROOT stands for in both protocols")
    parser.add_argument("--output_folder", required=True, type=Path, help="takes a folder for each vocoder")
    parser.add_argument("--output", required=True, help="the protocol to write")
    parser.add_argument("--vocoder", nargs="+", required=True, help="one or several")
    parser.add_argument("--num_workers", type=int, default=2, help="processes, for world and griffin_lim (default: 2)")
    parser.add_argument("--device", default="cpu", help="for neural vocoders: cpu, cuda, cuda:1 ... (default: cpu)")
    parser.add_argument("--seed", type=int, default=1234, help="of the phases of griffin_lim (default: 1234)")
    parser.add_argument("--trust_code", action="store_true", help="run the hyperparams.yaml of a speechbrain: vocoder")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()
    if any(name.startswith("speechbrain:") for name in args.vocoder) and not args.trust_code:
        raise InputError("a speechbrain: vocoder's hyperparams.yaml can run code; --trust_code says that you trust it")

    if Path(args.output).resolve() == Path(args.protocol).resolve():
        raise InputError(f"{args.output}: this is the source protocol; choose another --output")
    if len(set(args.vocoder)) < len(args.vocoder):
        raise InputError("--vocoder: a vocoder is given twice; give each once")
    if args.num_workers < 0:
        raise InputError(f"--num_workers is {args.num_workers}; it must be 0 or more")
    table = read_protocol(args.protocol)
    table = table[table["Label"] == "real"]
    if table.empty:
        raise InputError(f"{args.protocol}: holds no real speech to re-synthesise")
    prefix = args.output_folder.name.removesuffix("coded")  # LibriTTS-Vo-..., as the paper's identifiers begin
    utterances = []
    for vocoder in args.vocoder:
        name = PurePosixPath(vocoder.partition(":")[2] or vocoder).name
        load_vocoder(vocoder, args.device)  # a wrong name is told before hours of work
        rows = [
            {
                "ID": f"{prefix}-{name}-{row.ID.partition('-')[2] or row.ID}",
                "Label": "fake",
                "Path": str((args.output_folder / name / place_below(row.Path)).absolute()),
                "Attack": name,
                "Speaker": row.Speaker,
                "Proportion": row.Proportion,
                "Language": row.Language,
            }
            for row in table.itertuples()
        ]
        targets = pd.Series([row["Path"] for row in rows])
        if targets.duplicated().any():
            one, other = table["Path"][(targets == targets[targets.duplicated()].iloc[0]).to_numpy()][:2]
            raise InputError(f"{one} and {other} would both become {targets[targets.duplicated()].iloc[0]}; rename one")
        sources = [resolve_path(path, args.data_folder) for path in table["Path"]]
        todo = [number for number, row in enumerate(rows) if not Path(row["Path"]).exists()]
        jobs: list[Job] = []
        for number in todo:
            seed = derive_seed(args.seed, rows[number]["ID"])
            jobs.append((vocoder, args.device, sources[number], Path(rows[number]["Path"]), seed))
        num_workers = 0 if vocoder.startswith(NEURAL) else args.num_workers
        with tqdm(total=len(rows), initial=len(rows) - len(todo), desc=name, unit="file", disable=args.quiet) as bar:
            for number, reason in zip(todo, map_jobs(jobs, num_workers), strict=True):
                if reason:
                    rows[number]["Reason"] = f"the source: {reason}"
                bar.update()
        utterances += rows
    report = build_protocol(utterances, args.data_folder, args.output, args.num_workers, args.quiet)
    return tell_report(report, args.output)


if __name__ == "__main__":
    run_program(main)
