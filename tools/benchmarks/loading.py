"""Loading of training clips from files and from tar shards, relative to a data loader around soundfile.

For a shared file system, set the environment variable TMPDIR to a folder of it, and run the program on several nodes at
the same time.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.inputs import Inputs
from benchmarks.measure import Measurement, antideepfake, call, run, start_clock

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from antideepfake.dataio.batches import PlannedBatches

CLIPS = 1000
SECONDS = 4
BATCH_SECONDS = 100
SHARD_MB = 50


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurements: files and shards, from the disk and from its cache, and files with RawBoost."""
    count = inputs.count(CLIPS, 20)
    work = count * SECONDS
    clips = inputs.clips(count, str(SECONDS))
    files = inputs.make(f"clips_{count}.csv", write_protocol, clips)
    folder = inputs.folder / f"shards_{count}"
    if not folder.exists():
        command = antideepfake("shard", files, "--output", folder, "--data_folder", inputs.folder, "--quiet")
        run((*command, "--shard_mb", str(SHARD_MB)), inputs.folder)
    shards = folder / files.name
    measurements = []
    for source, forgotten in (("disk", [clips, folder]), ("cache", ["", ""])):
        plain = call(load_plain, clips, inputs.cores, forgotten[0])
        for name, protocol, where in (("files", files, forgotten[0]), ("shards", shards, forgotten[1])):
            own = call(load, protocol, inputs.folder, inputs.cores, where)
            measurements.append(Measurement(f"{name}, {source}", work, "s", plain, own))
    without = call(load, files, inputs.folder, inputs.cores, "")
    return [*measurements, Measurement("RawBoost, to without", work, "s", without, (*without, "rawboost"))]


def write_protocol(path: str, clips: str) -> None:
    """Write the protocol of the clips of a folder."""
    from antideepfake.corpora.build import build_protocol

    folder = Path(clips)
    rows = [
        {"ID": file.stem, "Label": ("fake", "real")[number % 2], "Path": f"{folder.name}/{file.name}"}
        for number, file in enumerate(sorted(folder.iterdir()))
    ]
    build_protocol(rows, folder.parent, path, quiet=True)


def forget(folder: str) -> None:
    """Remove the contents of the files of a folder from the cache of the system."""
    import os

    for path in Path(folder).iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())  # what is not written yet cannot be removed
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def load(protocol: str, data_folder: str, num_workers: str, forgotten: str, augmentation: str = "") -> None:
    """Read an epoch with the data loader of training, after a folder was forgotten, if one is given."""
    loader, _ = make_loader(protocol, data_folder, num_workers, 1, augmentation)
    if forgotten:
        forget(forgotten)
    start_clock()
    for _ in loader:
        pass


def make_loader(
    protocol: str, data_folder: str, num_workers: str, num_buckets: int, augmentation: str = ""
) -> "tuple[DataLoader, PlannedBatches]":
    """Return the data loader of training and its batches; with RawBoost if any augmentation is named."""
    from speechbrain.dataio.batch import PaddedBatch
    from torch.utils.data import DataLoader

    from antideepfake.augment.rawboost import RawBoost
    from antideepfake.dataio.batches import BatchPlan, PlannedBatches
    from antideepfake.dataio.datasets import make_dataset
    from antideepfake.protocol.table import read_protocol

    table = read_protocol(protocol)
    dataset = make_dataset(table, data_folder, augmentation=RawBoost(5) if augmentation else None, seed=1)
    batches = PlannedBatches(BatchPlan(table["Duration"].to_numpy(), BATCH_SECONDS, num_buckets, seed=1))
    loader: DataLoader = DataLoader(
        dataset, batch_sampler=batches, num_workers=int(num_workers), collate_fn=PaddedBatch
    )
    return loader, batches


def load_plain(clips: str, num_workers: str, forgotten: str) -> None:
    """Read an epoch with a data loader around soundfile, without checks, labels and normalization."""
    import soundfile
    import torch
    from torch.utils.data import DataLoader

    def collate(paths: list[Path]) -> torch.Tensor:
        waveforms = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
        return torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)

    paths = sorted(Path(clips).iterdir())
    size = BATCH_SECONDS // SECONDS
    loader = DataLoader(paths, size, shuffle=True, num_workers=int(num_workers), collate_fn=collate)  # type: ignore
    if forgotten:
        forget(forgotten)
    start_clock()
    for _ in loader:
        pass
