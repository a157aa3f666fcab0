"""Re-synthesize the bona fide speech of a protocol with vocoders."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath

import pandas as pd
import soundfile
import torch
from tqdm import tqdm

from antideepfake.audio.content import parse_entry
from antideepfake.audio.waveform import read_audio
from antideepfake.augment.vocoders import Vocoder, load_vocoder, resynthesize
from antideepfake.corpora.build import BuildReport, build_protocol
from antideepfake.errors import InputError
from antideepfake.files import atomic_path, lock_output
from antideepfake.parallel import map_in_order
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
    scheduler: str | None = None,
) -> BuildReport:
    """Re-synthesize the bona fide utterances of a protocol, and write a protocol of the spoofed results.

    A file ``$ROOT/LibriTTS/a/b.flac`` becomes ``<output_folder>/<vocoder>/a/b.wav``, with the same length and level.
    The function keeps files that an interrupted run completed.

    Arguments
    ---------
    protocol : str or Path
        Protocol of the source utterances.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for in both protocols.
    output_folder : str or Path
        Folder for the results; each vocoder has a subfolder.
    output : str or Path
        Protocol to write.
    vocoders : sequence of str
        Names of vocoders, see :func:`antideepfake.augment.vocoders.load_vocoder`.
    device : str
        Device of neural vocoders.
    num_workers : int
        Number of worker processes for the other vocoders; 0 uses only the main process.
    seed : int
        Seed of the initial phases of Griffin-Lim.
    overwrite : bool
        Whether to re-synthesize existing files.
    quiet : bool
        Whether to hide the progress bar.
    scheduler : str, optional
        Address of a Dask scheduler whose workers run the other vocoders (:func:`antideepfake.parallel.map_in_order`).

    Returns
    -------
    BuildReport
        The numbers of utterances that were written and left out.

    Raises
    ------
    InputError
        When the protocol has no bona fide speech, a vocoder is unknown, or two files would have the same name.
    """
    if os.path.realpath(output) == os.path.realpath(protocol):
        raise InputError(f"{output}: the output would replace the source protocol; choose another --output")
    table = read_protocol(protocol)
    table = table[table["Label"] == "real"]
    if table.empty:
        raise InputError(
            f"{protocol}: contains no real utterances to re-synthesize; add some or choose another protocol"
        )
    folder = Path(output_folder)
    planned = {
        vocoder: _list_rows(table, name, folder, data_folder) for vocoder, name in _name_folders(vocoders).items()
    }
    sources = [resolve_path(path, data_folder).absolute() for path in table["Path"]]
    utterances = []
    with lock_output(folder):
        for vocoder, rows in planned.items():
            load_vocoder(vocoder, device)  # report an unknown name now instead of after hours of work
            todo = [index for index, row in enumerate(rows) if overwrite or not Path(row["Path"]).exists()]
            jobs: list[Job] = [
                (vocoder, device, sources[index], Path(rows[index]["Path"]), derive_seed(seed, rows[index]["ID"]))
                for index in todo
            ]
            workers = (0, None) if vocoder.startswith(NEURAL) else (num_workers, scheduler)
            results = map_in_order(_vocode_file, jobs, *workers, chunk_size=4)
            bar = {"total": len(rows), "initial": len(rows) - len(todo), "desc": rows[0]["Attack"], "unit": "file"}
            for index, reason in zip(todo, tqdm(results, disable=quiet, **bar), strict=True):
                if reason:
                    rows[index]["Reason"] = f"the source: {reason}"
            utterances += rows
        return build_protocol(utterances, data_folder, output, num_workers, quiet)


def _name_folders(vocoders: Sequence[str]) -> dict[str, str]:
    """Return the folder name of each vocoder."""
    if len(set(vocoders)) < len(vocoders):
        raise InputError("--vocoder: a vocoder is listed twice; list each one once")
    names = {vocoder: PurePosixPath(vocoder.partition(":")[2] or vocoder).name for vocoder in vocoders}
    for vocoder, name in names.items():
        if name in ("", ".."):
            raise InputError(f"--vocoder: '{vocoder}' does not end with a name; write its source in full")
        if list(names.values()).count(name) > 1:
            raise InputError(
                f"--vocoder: two vocoders would share the folder {name}; run them with different --output_folder"
            )
    return names


def _list_rows(table: pd.DataFrame, name: str, folder: Path, data_folder: str | os.PathLike) -> list[dict[str, str]]:
    """Return the rows of a vocoder; raise an error if an output file would replace another file."""
    prefix = folder.name.removesuffix("coded")  # LibriTTS-Vo-..., the prefix of the IDs in the paper's protocols
    sources = {os.path.realpath(resolve_path(path, data_folder)) for path in table["Path"]}
    owners: dict[str, str] = {}
    rows = []
    for row in table.itertuples():
        target = str((folder / name / _path_below_corpus(row.Path)).absolute())
        if os.path.realpath(target) in sources:
            raise InputError(f"{row.Path}: its output {target} is also a source; choose another --output_folder")
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
    """Return the path of a file relative to the folder of its corpus, with the suffix .wav."""
    parts = PurePosixPath(path).parts
    if ".." in parts:
        raise InputError(f"{path}: the path contains '..', which may leave the data folder; write it without '..'")
    below = parts[2:] if parts[0] == "$ROOT" and len(parts) > 2 else parts[-1:]
    target = PurePosixPath(*below)
    # entries of a shard differ in what follows its suffix
    return target.with_name(f"{target.name}.wav") if parse_entry(path) else target.with_suffix(".wav")


def _vocode_file(job: Job) -> str:
    """Re-synthesize a file; return the reason if this is impossible, otherwise an empty string."""
    name, device, source, target, seed = job
    try:
        signal, sample_rate = read_audio(source)
    except InputError as error:
        return str(error).removeprefix(f"{source}: ")
    mono = signal.mean(1) if signal.dim() == 2 else signal
    if not torch.isfinite(mono).all():
        return "contains samples that are not finite numbers"
    waveform, rate = resynthesize(_load_once(name, device), mono.double().numpy(), sample_rate, seed)
    with atomic_path(target) as temporary:
        soundfile.write(temporary, waveform, rate, "PCM_16")
    return ""


@cache
def _load_once(name: str, device: str) -> Vocoder:
    """Load a vocoder once per process."""
    torch.set_num_threads(1)  # files are processed in parallel instead
    return load_vocoder(name, device)
