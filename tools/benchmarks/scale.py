"""As many files as ASVspoof 2021 DF has, protocols of ten million rows, and a checkpoint.

The files are 0.1 s long, and the detectors of files and rows are tiny, so that times are those of everything but audio
and networks.
"""

import runpy
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antideepfake.errors import InputError
from benchmarks.inputs import Inputs
from benchmarks.loading import BATCH_SECONDS, make_loader
from benchmarks.measure import Command, Measurement, antideepfake, call, start_clock
from benchmarks.preparation import prepare_plain

if TYPE_CHECKING:
    from antideepfake.training.checkpointer import AtomicCheckpointer

FILES = 611_829  # of ASVspoof 2021 DF
ROWS = 10_000_000
SECONDS = 0.1  # of a file
IN_FOLDER = 1000  # files per folder
KILLED_AFTER = 0.5  # of the files are scored
VALIDATION = 2 * IN_FOLDER  # utterances: a folder of each class
NUM_BUCKETS = 20  # as in post-training
BATCH = 13  # utterances in 100 s
# Bytes on the disk: a file and its entries in two tar files; a row as CSV and as Arrow; two checkpoints.
FILE_BYTES, ROW_BYTES, CHECKPOINT_BYTES = 14_000, 350, 3e9
RECIPES = Path(__file__).parents[2] / "recipes"
FILTER_BANK = Path(__file__).parents[2] / "hparams" / "front_ends" / "log_filter_bank.yaml"
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8, 8],
    "conv_kernel": [10, 8],
    "conv_stride": [5, 4],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurements: many files, many rows, and the checkpoint of the detector that --front_end names."""
    files, rows = inputs.count(FILES, VALIDATION), inputs.count(ROWS, 10_000)
    check_space(inputs.folder, FILE_BYTES * files + ROW_BYTES * rows + CHECKPOINT_BYTES)
    folder = inputs.make("scale", write_front_end)
    tiny = replace(inputs, folder=folder, front_end=FILTER_BANK)
    audio = tiny.make(f"audio_{files}", write_files, files)
    return [*list_files(tiny, audio, files), *list_rows(tiny, audio, files, rows), *list_checkpoints(inputs)]


def check_space(folder: Path, needed: float) -> None:
    """Say how much space the temporary files take; raise an error if the disk has less."""
    free = shutil.disk_usage(folder).free
    sizes = f"{folder}: the files need about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
    if free < needed:
        raise InputError(f"{sizes}; set TMPDIR to a folder of another disk, or pass a smaller --scale")
    print(sizes, file=sys.stderr)


def write_front_end(folder: str) -> None:
    """Write a tiny wav2vec 2.0 with random weights, and its YAML."""
    import torch

    from antideepfake.lobes.self_supervised import Wav2Vec2

    torch.manual_seed(1234)
    encoder = Path(folder, "encoder")
    Wav2Vec2(**TINY).model.save_pretrained(encoder)
    lines = ["!new:antideepfake.lobes.Wav2Vec2", f"weights_source: {encoder}"]
    lines += [f"{name}: {value}" for name, value in TINY.items()]
    Path(folder, "tiny.yaml").write_text("\n".join(lines))


# Many files -----------------------------------------------------------------------------------------------------------


def list_files(inputs: Inputs, audio: Path, count: int) -> list[Measurement]:
    """List the measurements of many files: preparing, reading the protocol, packing, scoring, and resuming."""
    folder, workers = inputs.folder, ("--num_workers", str(inputs.cores), "--overwrite", "--quiet")
    protocol = inputs.make(f"files_{count}.csv", write_protocol, count, count, SECONDS)
    program = str(RECIPES / "OwnData" / "owndata_prepare.py")
    prepare = (sys.executable, program, "--data_folder", str(audio), "--output", str(folder / "own.csv"), *workers)
    tar = ("tar", "-C", str(audio), "-cf", str(folder / "plain.tar"), ".")
    shard = antideepfake("shard", protocol, "--data_folder", audio, "--output", folder / "shards", *workers)
    scored = round(KILLED_AFTER * count)
    plain = call(score_plain, inputs.model, protocol, audio, folder / "plain.csv", scored)
    killed = call(score_and_kill, inputs.model, protocol, audio, folder / "killed", scored)
    resumed = call(resume_score, inputs.model, protocol, audio, folder / "killed", folder / "resumed")
    return [
        Measurement("preparation", count, "files", call(prepare_plain, audio, folder / "plain.csv"), prepare),
        Measurement("protocol", count, "rows", call(read_plain, protocol), call(read, protocol)),
        Measurement("shard", count, "files", tar, shard),
        Measurement("score, killed", scored, "files", plain, killed),
        Measurement("score, resumed", count - scored, "files", killed, resumed),
    ]


def write_files(folder: str, count: str) -> None:
    """Write WAV files of noise in folders of real and fake speech."""
    import io

    import numpy as np
    import soundfile

    from antideepfake.audio.samples import SAMPLE_RATE

    samples, first = round(SECONDS * SAMPLE_RATE), io.BytesIO()
    soundfile.write(first, np.zeros(samples), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    header = first.getvalue()[: -2 * samples]
    rng = np.random.default_rng(1234)
    for number in range(int(count)):
        path = Path(folder, place(number))
        if number % IN_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(header + rng.integers(-3000, 3000, samples, "<i2").tobytes())


def place(number: int) -> str:
    """Return the path of a file; every tenth folder is of real speech.

    Example
    -------
    >>> place(1001)
    'fake/0001/00001001.wav'
    """
    folder = number // IN_FOLDER
    return f"{'fake' if folder % 10 else 'real'}/{folder:04}/{number:08}.wav"


def write_protocol(path: str, rows: str, files: str, seconds: str = "") -> None:
    """Write a protocol whose rows name the files in turn; without a duration, it varies from 2 to 13 s."""
    from antideepfake.protocol.table import COLUMNS

    with open(path, "w") as file:
        file.write(",".join(COLUMNS) + "\n")
        for number in range(int(rows)):
            audio = place(number % int(files))
            label, attack = ("real", "-") if audio.startswith("real") else ("fake", f"A{number % 97}")
            duration = seconds or 2 + number * 7919 % 110 / 10
            file.write(f"Corpus-{number:010},{label},{duration},16000,$ROOT/{audio},{attack},S{number % 50_000},")
            file.write("train,1,PCM_S,16,EN\n")


def score_plain(model: str, protocol: str, data_folder: str, output: str, count: str) -> None:
    """Score one file after the other, without checks."""
    import pandas as pd
    import soundfile
    import torch

    from antideepfake.lobes.detector import compute_logits
    from antideepfake.model_folder.folder import load_modules

    built = load_modules(model).eval()
    modules = dict(built.items())
    length = torch.ones(1)
    with torch.inference_mode(), open(output, "w") as file:
        for path in pd.read_csv(protocol, usecols=["Path"], nrows=int(count))["Path"]:
            samples, _ = soundfile.read(path.replace("$ROOT", data_folder), dtype="float32")
            waveform = torch.from_numpy(samples)
            waveform = torch.nn.functional.layer_norm(waveform, waveform.shape)
            fake, real = compute_logits(modules, waveform[None], length)[0].tolist()
            file.write(f"{path},{real - fake}\n")


def score(model: str, protocol: str, data_folder: str, output: Path) -> Command:
    """Return the command that scores all files."""
    options = ("--device", "cpu", "--data_folder", data_folder, "--output", output, "--quiet")
    return antideepfake("score", model, protocol, *options)


def score_and_kill(model: str, protocol: str, data_folder: str, folder: str, count: str) -> None:
    """Score the files from the beginning in a process, and kill it once so many scores are on the disk."""
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir()
    with subprocess.Popen(score(model, protocol, data_folder, Path(folder, "scores.csv"))) as process:
        while not (parts := list(Path(folder).glob("scores.csv.????????.0.part"))) and process.poll() is None:
            time.sleep(0.1)
        with open(parts[0], "rb") as file:
            lines = 0
            while lines < int(count) and process.poll() is None:
                time.sleep(0.1)
                lines += file.read().count(b"\n")
        process.kill()


def resume_score(model: str, protocol: str, data_folder: str, killed: str, folder: str) -> None:
    """Score the files that remain after :func:`score_and_kill`, in a copy of its folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(killed, folder)
    start_clock()
    subprocess.run(score(model, protocol, data_folder, Path(folder, "scores.csv")), check=True)


# Many rows ------------------------------------------------------------------------------------------------------------


def list_rows(inputs: Inputs, audio: Path, files: int, count: int) -> list[Measurement]:
    """List the measurements of many rows: opening, planning an epoch, the first batch, and a run of one step."""
    text = inputs.make(f"rows_{count}.csv", write_protocol, count, files)
    arrow = inputs.make(f"rows_{count}.arrow", convert, text)
    valid = inputs.make("valid.csv", write_protocol, VALIDATION, VALIDATION, SECONDS)
    open_plain, first_plain = call(read_plain, text), call(load_first_plain, text, audio, inputs.cores)
    first = call(load_first, arrow, audio, inputs.cores, 0)
    step = call(train, arrow, valid, audio, inputs.folder / "tiny.yaml", inputs.folder / "results")
    return [
        Measurement("CSV, open", count, "rows", open_plain, call(read, text)),
        Measurement("Arrow, open", count, "rows", open_plain, call(read, arrow)),
        Measurement("Arrow, plan of an epoch", count, "rows", call(plan_plain, count), call(plan, arrow)),
        Measurement("CSV, first batch", count, "rows", first_plain, call(load_first, text, audio, inputs.cores, 0)),
        Measurement("Arrow, first batch", count, "rows", first_plain, first),
        Measurement("first after resuming", count, "rows", first, call(load_first, arrow, audio, inputs.cores, 0.5)),
        Measurement("run of one step", count, "rows", first, step),
    ]


def convert(arrow: str, protocol: str) -> None:
    """Write a protocol as an Arrow file."""
    from antideepfake.protocol.table import iterate_protocol, write_chunks

    write_chunks(iterate_protocol(protocol), arrow)


def read_plain(protocol: str) -> None:
    """Read a protocol with pandas."""
    import pandas as pd

    start_clock()
    pd.read_csv(protocol)


def read(protocol: str) -> None:
    """Read and check a protocol."""
    import pyarrow.csv  # noqa: F401  # outside the measurement, as pandas is

    from antideepfake.protocol.table import read_protocol

    start_clock()
    read_protocol(protocol)


def plan_plain(count: str) -> None:
    """Put utterances into batches of a fixed number, in random order."""
    from torch.utils.data import BatchSampler, RandomSampler

    start_clock()
    list(BatchSampler(RandomSampler(range(int(count))), BATCH, drop_last=False))


def plan(protocol: str) -> None:
    """Put the utterances of a protocol into batches of similar length, in random order."""
    from antideepfake.dataio.batches import BatchPlan
    from antideepfake.protocol.table import read_protocol

    table = read_protocol(protocol)
    start_clock()
    BatchPlan(table["Duration"].to_numpy(), BATCH_SECONDS, NUM_BUCKETS, seed=1).epoch(0)


def load_first_plain(protocol: str, data_folder: str, num_workers: str) -> None:
    """Read a protocol with pandas, and the first batch with a data loader around soundfile."""
    import pandas as pd
    import soundfile
    import torch
    from torch.utils.data import DataLoader

    def collate(paths: list[str]) -> Any:
        waveforms = [soundfile.read(path.replace("$ROOT", data_folder), dtype="float32")[0] for path in paths]
        return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(waveform) for waveform in waveforms], True)

    start_clock()
    paths = pd.read_csv(protocol)["Path"].array
    loader = DataLoader(paths, BATCH, shuffle=True, num_workers=int(num_workers), collate_fn=collate)  # type: ignore
    next(iter(loader))


def load_first(protocol: str, data_folder: str, num_workers: str, position: str) -> None:
    """Open a protocol, plan an epoch, and read the first batch after a position, such as 0.5 for its middle."""
    from antideepfake.dataio import datasets  # noqa: F401  # outside the measurement, as above

    start_clock()
    loader, batches = make_loader(protocol, data_folder, num_workers, NUM_BUCKETS)
    batches.range = (int(float(position) * len(batches.plan)), len(batches.plan))
    next(iter(loader))


def train(protocol: str, valid: str, data_folder: str, front_end: str, output: str) -> None:
    """Take one step of post-training, validate and export the detector: the whole program, with its start."""
    shutil.rmtree(output, ignore_errors=True)
    folder = RECIPES / "AntiDeepfake" / "PostTraining"
    options = {"front_end": f"!include:{front_end}", "train_protocol": protocol, "valid_protocol": valid}
    options |= {"data_folder": data_folder, "output_folder": output, "max_steps": "1", "n_warmup_steps": "0"}
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    sys.argv = [str(folder / "train.py"), str(folder / "hparams" / "post_training.yaml"), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")


# A checkpoint ---------------------------------------------------------------------------------------------------------


def list_checkpoints(inputs: Inputs) -> list[Measurement]:
    """List the measurements of a checkpoint of a detector and its optimizer."""
    folder, plain, model = inputs.make("checkpoint", save, inputs.model), inputs.folder / "plain.ckpt", inputs.model
    megabytes = sum(path.stat().st_size for path in folder.rglob("*.ckpt")) / 1e6
    written = call(save_plain, plain, model), call(save, folder, model)
    found = call(recover_plain, plain, model), call(recover, folder, model)
    return [
        Measurement("checkpoint, write", megabytes, "MB", *written),
        Measurement("checkpoint, read", megabytes, "MB", *found),
    ]


def build_parts(model: str) -> dict[str, Any]:
    """Return the modules of a detector and an optimizer that has taken a step."""
    import torch

    from antideepfake.model_folder.folder import load_modules

    modules = load_modules(model)
    optimizer = torch.optim.AdamW(modules.parameters())
    for parameter in modules.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return {**dict(modules.items()), "optimizer": optimizer}


def make_checkpointer(folder: str, model: str) -> "AtomicCheckpointer":
    """Return the checkpointer of training."""
    from antideepfake.training.checkpointer import AtomicCheckpointer

    return AtomicCheckpointer(Path(folder), build_parts(model))


def save(folder: str, model: str) -> None:
    """Write a checkpoint as training does; an older one is deleted."""
    checkpointer = make_checkpointer(folder, model)
    start_clock()
    checkpointer.save_and_keep_only()


def recover(folder: str, model: str) -> None:
    """Read the checkpoint as training does when it is resumed."""
    checkpointer = make_checkpointer(folder, model)
    start_clock()
    checkpointer.recover_if_possible()


def save_plain(path: str, model: str) -> None:
    """Write the states with torch."""
    import torch

    parts = build_parts(model)
    start_clock()
    torch.save({name: part.state_dict() for name, part in parts.items()}, path)


def recover_plain(path: str, model: str) -> None:
    """Read the states with torch."""
    import torch

    parts = build_parts(model)
    start_clock()
    for name, state in torch.load(path, weights_only=True).items():
        parts[name].load_state_dict(state)
