"""Re-synthesizing the bona fide speech of a protocol with vocoders."""

import os
from collections.abc import Iterator, Sequence
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
from antideepfake.corpora.build import BuildReport, build_protocol
from antideepfake.errors import InputError
from antideepfake.files import atomic_path, lock_output
from antideepfake.protocol.table import read_protocol, resolve_path
from antideepfake.seeds import derive_seed

Job = tuple[str, str, Path, Path, int]  # vocoder, device, source, target, seed
NEURAL = ("speechbrain:", "transformers:")


def vocode_protocol(
    protocol: str | os.PathLike,
    data_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    output: str | os.PathLike,
    vocoders: Sequence[str],
    device: str = "cpu",
    num_workers: int = 0,
    seed: int = 1234,
    overwrite: bool = False,
    quiet: bool = False,
) -> BuildReport:
    """Re-synthesize the bona fide speech of a protocol, and write the protocol of the result, all fake.

    A file ``$ROOT/LibriTTS/a/b.flac`` becomes ``<output_folder>/<vocoder>/a/b.wav``, of the same length and level.
    Files that an interrupted run finished are kept.

    Arguments
    ---------
    protocol : str or Path
        Of the source.
    data_folder : str or Path
        What ``$ROOT`` stands for in both protocols.
    output_folder : str or Path
        Takes a folder for each vocoder.
    output : str or Path
        Protocol to write.
    vocoders : sequence of str
        As :func:`antideepfake.augment.vocoders.load_vocoder` takes them.
    device : str
        For neural vocoders.
    num_workers : int
        Processes for the others; 0: this one alone.
    seed : int
        Of the phases of Griffin-Lim.
    overwrite : bool
        Re-synthesize files that exist.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    BuildReport
        What was written and what was left out.

    Raises
    ------
    InputError
        When the protocol has no bona fide speech, a vocoder is unknown, or two files would have the same name.
    """
    if os.path.realpath(output) == os.path.realpath(protocol):
        raise InputError(f"{output}: this is the source protocol; choose another --output")
    table = read_protocol(protocol)
    table = table[table["Label"] == "real"]
    if table.empty:
        raise InputError(f"{protocol}: holds no real speech to re-synthesize")
    folder = Path(output_folder)
    planned = {
        vocoder: _list_rows(table, name, folder, data_folder) for vocoder, name in _name_folders(vocoders).items()
    }
    sources = [resolve_path(path, data_folder) for path in table["Path"]]
    utterances = []
    with lock_output(folder):
        for vocoder, rows in planned.items():
            load_vocoder(vocoder, device)  # an unknown name is an error now, not after hours of work
            todo = [index for index, row in enumerate(rows) if overwrite or not Path(row["Path"]).exists()]
            jobs: list[Job] = [
                (vocoder, device, sources[index], Path(rows[index]["Path"]), derive_seed(seed, rows[index]["ID"]))
                for index in todo
            ]
            results = _map_jobs(jobs, 0 if vocoder.startswith(NEURAL) else num_workers)
            bar = {"total": len(rows), "initial": len(rows) - len(todo), "desc": rows[0]["Attack"], "unit": "file"}
            for index, reason in zip(todo, tqdm(results, disable=quiet, **bar), strict=True):
                if reason:
                    rows[index]["Reason"] = f"the source: {reason}"
            utterances += rows
        return build_protocol(utterances, data_folder, output, num_workers, quiet)


def _name_folders(vocoders: Sequence[str]) -> dict[str, str]:
    """Give each vocoder the name of its folder."""
    if len(set(vocoders)) < len(vocoders):
        raise InputError("--vocoder: a vocoder is given twice; give each once")
    names = {vocoder: PurePosixPath(vocoder.partition(":")[2] or vocoder).name for vocoder in vocoders}
    for vocoder, name in names.items():
        if name in ("", ".."):
            raise InputError(f"--vocoder: '{vocoder}' gives no name for a folder; name its source in full")
        if list(names.values()).count(name) > 1:
            raise InputError(
                f"--vocoder: two vocoders would share the folder {name}; run them with two --output_folder"
            )
    return names


def _list_rows(table: pd.DataFrame, name: str, folder: Path, data_folder: str | os.PathLike) -> list[dict[str, str]]:
    """List the utterances of a vocoder; refuse one that would replace another file."""
    prefix = folder.name.removesuffix("coded")  # LibriTTS-Vo-..., as the paper's identifiers begin
    sources = {os.path.realpath(resolve_path(path, data_folder)) for path in table["Path"]}
    owners: dict[str, str] = {}
    rows = []
    for row in table.itertuples():
        target = str((folder / name / _path_below_corpus(row.Path)).absolute())
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


def _path_below_corpus(path: str) -> PurePosixPath:
    """Give the path of a file below the folder of its corpus, with the suffix .wav."""
    parts = PurePosixPath(path).parts
    if ".." in parts:
        raise InputError(f"{path}: leads out of its folder by '..'; write the path without it")
    below = parts[2:] if parts[0] == "$ROOT" and len(parts) > 2 else parts[-1:]
    return PurePosixPath(*below).with_suffix(".wav")


def _map_jobs(jobs: list[Job], num_workers: int) -> Iterator[str]:
    """Do the jobs in their order, in this process (0 workers) or in others."""
    if num_workers == 0:
        yield from map(_vocode_file, jobs)
        return
    with ProcessPoolExecutor(num_workers, get_context("spawn")) as pool:
        yield from pool.map(_vocode_file, jobs, chunksize=4)


def _vocode_file(job: Job) -> str:
    """Re-synthesize a file; gives why it cannot be, or nothing."""
    name, device, source, target, seed = job
    try:
        signal, sample_rate = read_audio(source)
    except InputError as error:
        return str(error).removeprefix(f"{source}: ")
    mono = signal.mean(1) if signal.dim() == 2 else signal
    if not torch.isfinite(mono).all():
        return "holds samples that are not finite numbers"
    waveform, rate = resynthesize(_load_once(name, device), mono.double().numpy(), sample_rate, seed)
    with atomic_path(target) as temporary:
        soundfile.write(temporary, waveform, rate, "PCM_16")
    return ""


@cache
def _load_once(name: str, device: str) -> Vocoder:
    """Load a vocoder, once in each process."""
    torch.set_num_threads(1)  # files are processed in parallel instead
    return load_vocoder(name, device)
