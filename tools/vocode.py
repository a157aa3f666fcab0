#!/usr/bin/env python
"""Re-synthesize the real speech of a protocol with vocoders, and write the protocol of what comes of it, all fake.

So LibriTTS-Vocoded and VoxCeleb2-Vocoded are made. A vocoder is world (WORLD), griffin_lim, or a neural one:
speechbrain:SOURCE (HiFi-GAN of SpeechBrain's), transformers:SOURCE (SpeechT5's), SOURCE being a folder or a hub id. A
file $ROOT/LibriTTS/a/b.flac becomes <output_folder>/<vocoder>/a/b.wav, of the same length and level. Run again after an
interruption, it goes on where it stopped.
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path, PurePosixPath

import pandas as pd
import soundfile
import torch
from tqdm import tqdm

from antideepfake.audio.waveform import read_audio
from antideepfake.augment.vocoders import Vocoder, load_vocoder, resynthesize
from antideepfake.cli.preparation import print_report
from antideepfake.cli.program import run_program
from antideepfake.corpora.build import build_protocol
from antideepfake.errors import InputError
from antideepfake.files import atomic_path, lock_output
from antideepfake.protocol.table import read_protocol, resolve_path
from antideepfake.seeds import derive_seed

Job = tuple[str, str, Path, Path, int]  # vocoder, device, source, target, seed
NEURAL = ("speechbrain:", "transformers:")


@cache
def load_once(name: str, device: str) -> Vocoder:
    """Load a vocoder, once in each process."""
    torch.set_num_threads(1)  # the files are what is done in parallel
    return load_vocoder(name, device)


def vocode_file(job: Job) -> str:
    """Re-synthesize a file; gives why it cannot be, or nothing."""
    name, device, source, target, seed = job
    try:
        signal, sample_rate = read_audio(source)
    except InputError as error:
        return str(error).removeprefix(f"{source}: ")
    mono = signal.mean(1) if signal.dim() == 2 else signal
    if not torch.isfinite(mono).all():
        return "holds samples that are not finite numbers"
    waveform, rate = resynthesize(load_once(name, device), mono.double().numpy(), sample_rate, seed)
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
    if ".." in parts:
        raise InputError(f"{path}: leads out of its folder by '..'; write the path without it")
    below = parts[2:] if parts[0] == "$ROOT" and len(parts) > 2 else parts[-1:]
    return PurePosixPath(*below).with_suffix(".wav")


def name_vocoders(vocoders: list[str]) -> dict[str, str]:
    """Give each vocoder the name of its folder."""
    names = {vocoder: PurePosixPath(vocoder.partition(":")[2] or vocoder).name for vocoder in vocoders}
    for vocoder, name in names.items():
        if name in ("", ".."):
            raise InputError(f"--vocoder: '{vocoder}' gives no name for a folder; name its source in full")
        if list(names.values()).count(name) > 1:
            raise InputError(
                f"--vocoder: two vocoders would share the folder {name}; run them with two --output_folder"
            )
    return names


def list_rows(table: pd.DataFrame, name: str, folder: Path, data_folder: str) -> list[dict[str, str]]:
    """Give the rows of a vocoder's speech; refuse a file that would take the place of another."""
    prefix = folder.name.removesuffix("coded")  # LibriTTS-Vo-..., as the paper's identifiers begin
    sources = {os.path.realpath(resolve_path(path, data_folder)) for path in table["Path"]}
    owners: dict[str, str] = {}
    rows = []
    for row in table.itertuples():
        target = str((folder / name / place_below(row.Path)).absolute())
        if os.path.realpath(target) in sources:
            raise InputError(f"{row.Path}: {target} is a source itself; choose another --output_folder")
        if target in owners:
            raise InputError(f"{owners[target]} and {row.Path} would both become {target}; rename one")
        owners[target] = row.Path
        rows.append(
            {
                "ID": f"{prefix}-{name}-{row.ID.partition('-')[2] or row.ID}",
                "Label": "fake",
                "Path": target,
                "Attack": name,
                "Speaker": row.Speaker,
                "Proportion": row.Proportion,
                "Language": row.Language,
            }
        )
    return rows


def main() -> int:
    """Parse the command line, check, and vocode."""
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
        raise InputError(f"{args.protocol}: holds no real speech to re-synthesize")
    names = name_vocoders(args.vocoder)
    planned = {v: list_rows(table, name, args.output_folder, args.data_folder) for v, name in names.items()}
    with lock_output(args.output_folder):
        return vocode(args, table, planned)


def vocode(args: argparse.Namespace, table: pd.DataFrame, planned: dict[str, list[dict[str, str]]]) -> int:
    """Vocode; write the protocol."""
    utterances = []
    for vocoder, rows in planned.items():
        load_vocoder(vocoder, args.device)  # a wrong name is told before hours of work
        sources = [resolve_path(path, args.data_folder) for path in table["Path"]]
        todo = [number for number, row in enumerate(rows) if not Path(row["Path"]).exists()]
        jobs: list[Job] = []
        for number in todo:
            seed = derive_seed(args.seed, rows[number]["ID"])
            jobs.append((vocoder, args.device, sources[number], Path(rows[number]["Path"]), seed))
        num_workers = 0 if vocoder.startswith(NEURAL) else args.num_workers
        with tqdm(
            total=len(rows), initial=len(rows) - len(todo), desc=rows[0]["Attack"], unit="file", disable=args.quiet
        ) as bar:
            for number, reason in zip(todo, map_jobs(jobs, num_workers), strict=True):
                if reason:
                    rows[number]["Reason"] = f"the source: {reason}"
                bar.update()
        utterances += rows
    report = build_protocol(utterances, args.data_folder, args.output, args.num_workers, args.quiet)
    return print_report(report, args.output)


if __name__ == "__main__":
    run_program(main)
