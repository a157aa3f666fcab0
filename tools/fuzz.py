#!/usr/bin/env python
"""Fuzz the readers: read damaged files and count crashes, hangs, excess memory and unclear errors.

The program makes valid files of each kind from generated signals and random weights, and damages them: it flips bits,
replaces fields, and removes, repeats and joins pieces. The readers run in a separate process. An error other than
InputError, a hang, a crash of the process and excess memory count as failures. The program saves the input and the
traceback of each failure to --output. The same seed makes the same inputs. Exit status: 1 if there are failures.
"""

import argparse
import faulthandler
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
import pandas as pd
import safetensors.torch
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from tqdm import tqdm

from antideepfake.audio.probe import probe
from antideepfake.audio.waveform import SAMPLE_RATE, read_waveform
from antideepfake.checkpoints.key_mapping import read_checkpoint
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Evaluator
from antideepfake.inference.detector import load_detector
from antideepfake.model_folder.calibration import Logistic, describe_calibration
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import OOD_DETECTOR
from antideepfake.model_folder.out_of_distribution import fit_ood_detector
from antideepfake.protocol.arrow import write_arrow
from antideepfake.protocol.table import COLUMNS, LABELS, read_protocol, write_protocol
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import read_scores
from antideepfake.scoring.submissions import read_submission
from antideepfake.seeds import derive_seed

TIMEOUT = 30.0  # seconds per input
MEMORY = 2e9  # bytes by which an input may increase the peak memory of the process
ADDRESS_SPACE = 12 << 30  # bytes; protects the computer, because MEMORY is checked only after an input was read
FORMATS = {  # file extension -> format and subtypes of soundfile
    "wav": ("WAV", ("PCM_16", "PCM_24", "FLOAT", "ULAW")),
    "flac": ("FLAC", ("PCM_16",)),
    "mp3": ("MP3", ("MPEG_LAYER_III",)),
    "ogg": ("OGG", ("VORBIS", "OPUS")),
    "aiff": ("AIFF", ("PCM_16",)),
    "w64": ("W64", ("PCM_16",)),
    "rf64": ("RF64", ("PCM_16",)),
    "caf": ("CAF", ("PCM_16",)),
}
FFMPEG_FORMATS = {  # file extension -> codec and sample rate in Hz
    "m4a": ("aac", 16000),
    "mov": ("pcm_s16le", 16000),
    "webm": ("libopus", 48000),
    "aac": ("aac", 16000),
    "3gp": ("libopencore_amrnb", 8000),
    "amr": ("libopencore_amrnb", 8000),
    "avi": ("pcm_s16le", 16000),
    "wv": ("wavpack", 16000),
}
CONVOLUTIONAL = """
front_end: !new:antideepfake.lobes.LogFilterBank
  n_filters: 20
back_end: !new:antideepfake.lobes.ConvolutionalEncoder
  n_features: 20
  channels: [4, 4]
  embedding_size: 16
"""
WAV2VEC2 = """
front_end: !new:antideepfake.lobes.Wav2Vec2
  hidden_size: 16
  num_hidden_layers: 2
  num_attention_heads: 2
  intermediate_size: 32
  conv_dim: [8, 8, 8, 8, 8, 8, 8]
back_end: !new:antideepfake.lobes.MeanPooling
"""
MODULES = """
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
  front_end: !ref <front_end>
  back_end: !ref <back_end>
classifier: !new:torch.nn.Linear
  in_features: 16
  out_features: 2
"""
FAIRSEQ = (  # patterns of tensor names in transformers, and their replacements in fairseq
    (r"(conv_layers\.\d+)\.conv", r"\1.0"),
    (r"(conv_layers\.\d+)\.layer_norm", r"\1.2"),
    (r"feature_projection\.projection", "post_extract_proj"),
    (r"feature_projection\.layer_norm", "layer_norm"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original0", "pos_conv.0.weight_g"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original1", "pos_conv.0.weight_v"),
    (r"pos_conv_embed\.conv", "pos_conv.0"),
    (r"\.attention\.", ".self_attn."),
    (r"(layers\.\d+)\.layer_norm", r"\1.self_attn_layer_norm"),
    (r"feed_forward\.intermediate_dense", "fc1"),
    (r"feed_forward\.output_dense", "fc2"),
)
SIZES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
TEXTS = [b"", b"-1", b"0", b"0.5", b"1e9", b"1000000000", b"1099511627776", b"1e400", b"-1e308", b"9" * 5000]
TEXTS += [b"nan", b"Infinity", b"null", b"true", b"[]", b"{}", b"[[1]]", b'{"a": 1}', b'""', b'"a"', b'"', b",", b"\t"]
TEXTS += [b"\n", b"\r", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"a" * 200_000, b"[" * 100_000, b'{"a":' * 100_000]


def make_audio(folder: Path) -> None:
    """Write recordings in each format, mono or stereo."""
    rng = np.random.default_rng(1)
    for suffix, (kind, subtypes) in FORMATS.items():
        for number, subtype in enumerate(subtypes):
            samples = 0.1 * rng.standard_normal((8000, 1 + number % 2))
            soundfile.write(folder / f"{subtype}.{suffix}", samples, 16000, format=kind, subtype=subtype)
    for suffix, (codec, rate) in FFMPEG_FORMATS.items():
        with av.open(str(folder / f"ffmpeg.{suffix}"), "w") as container:
            stream = container.add_stream(codec, rate=rate, layout="mono")
            samples = (3000 * rng.standard_normal((1, 8000))).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.rate = rate
            stream.codec_context.open()
            size = stream.codec_context.frame_size or 1024
            for converted in av.AudioResampler(stream.codec_context.format, "mono", rate, size).resample(frame):
                container.mux(stream.encode(converted))
            container.mux(stream.encode(None))


def exercise_audio(path: Path) -> None:
    """Read the header, the whole and a segment of a recording."""

    def read_header() -> None:
        row = probe(path)
        assert 0 < row["Duration"] < float("inf") and row["AudioChannel"] > 0, row

    def read_all() -> None:
        assert torch.isfinite(read_waveform(path)).all()

    def read_segment() -> None:
        assert 0 < len(read_waveform(path, start=0.1, duration=0.2)) <= round(0.2 * SAMPLE_RATE) + 1

    _try_all(read_header, read_all, read_segment)


def make_protocols(folder: Path) -> None:
    """Write a protocol as CSV and as Arrow."""
    rows = [
        [
            f"A-{number}",
            LABELS[number % 2],
            1.5,
            16000,
            f"$ROOT/{number}.wav",
            "-",
            "a, b",
            "test",
            1,
            "PCM_S",
            16,
            "EN",
        ]
        for number in range(20)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_protocol(table, folder / "protocol.csv")
    write_protocol(table.assign(Weight=1.25), folder / "weighted.csv")
    write_arrow([table[:10], table[10:]], folder / "protocol.arrow")


def exercise_protocols(path: Path) -> None:
    """Read all values of a protocol."""
    table = read_protocol(path)
    assert len(table.to_numpy()) and table["Label"].isin(LABELS).all() and (table["Duration"] > 0).all()


def make_scores(folder: Path) -> None:
    """Write a score file with its provenance, and a submission in each format."""
    rng = np.random.default_rng(1)
    lines = [(f"A-{number}", number % 2, *rng.normal(0, 1, 2)) for number in range(30)]
    scores = "".join(f'{name},"[{fake}, {real}]",{label}\n' for name, label, fake, real in lines)
    (folder / "scores.csv").write_text("ID,Score,Label\n" + scores)
    metadata = ModelMetadata(threshold=0.25, training_corpora=["Mini"], training_attacks=["world"])
    ScoreProvenance("0a1b fp32", "0.1", "2026-11-23", metadata).save(folder / "scores.csv")
    words = ("spoof", "bonafide")
    forms = {
        "two": "".join(f"{name}.flac {real}\n" for name, _, _, real in lines),
        "four": "".join(f"{name} - {words[label]} {real}\n" for name, label, _, real in lines),
        "labels": "".join(f"{real} {words[label]}\n" for _, label, _, real in lines),
        "header": "filename\tcm-score\n" + "".join(f"{name}\t{real}\n" for name, _, _, real in lines),
    }
    for form, text in forms.items():
        (folder / f"{form}.txt").write_text(text)


def exercise_scores(path: Path) -> None:
    """Read scores in any format, and evaluate them if they have both classes."""
    if path.suffix == ".json":
        read_provenance(path.with_suffix(""))
        return

    def evaluate(read: Callable[[Path], pd.DataFrame]) -> None:
        scores = read(path)
        if "Label" in scores and {"real", "fake"} <= set(scores["Label"]):
            names = scores if "ID" in scores else scores.assign(ID=range(len(scores)))
            metrics = Evaluator(n_resamples=20).evaluate(names, "fuzz").overall.metrics
            assert 0 <= metrics["eer"].value <= 1, metrics["eer"]

    _try_all(lambda: evaluate(read_scores), lambda: evaluate(read_submission))


def make_modules(text: str) -> dict[str, Any]:
    """Build the modules of a small detector with random weights."""
    torch.manual_seed(1)
    hparams = load_hyperpyyaml(text + MODULES)
    return {name: hparams[name].eval() for name in ("embedding_model", "classifier")}


def make_checkpoints(folder: Path) -> None:
    """Write a wav2vec 2.0 detector in torch's two formats and as safetensors, and an encoder as transformers does."""
    modules = make_modules(WAV2VEC2)
    front_end = modules["embedding_model"].front_end
    state = {f"proj_fc.{name}": value for name, value in modules["classifier"].state_dict().items()}
    for name, value in front_end.model.state_dict().items():
        for pattern, replacement in FAIRSEQ:
            name = re.sub(pattern, replacement, name)
        state[f"m_ssl.model.{name}"] = value
    content = {"model": state, "args": argparse.Namespace(encoder_attention_heads=2), "step": 1}
    torch.save(content, folder / "zip.pt")
    torch.save(content, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, folder / "weights.safetensors")
    front_end.model.save_pretrained(folder / "encoder")


def exercise_checkpoints(path: Path) -> None:
    """Read a checkpoint and build its front end."""
    read_checkpoint(path, num_attention_heads=2).build()


def make_folders(folder: Path) -> None:
    """Write a model folder for each front end."""
    calibration = describe_calibration(Logistic([1.5], -0.5))
    metadata = ModelMetadata(threshold=0.25, training_corpora=["Mini"], calibration=calibration)
    for number, text in enumerate((CONVOLUTIONAL, WAV2VEC2)):
        path = folder / str(number)
        write_model_folder(path, text + MODULES, make_modules(text), metadata)
        fit_ood_detector(np.random.default_rng(1).standard_normal((40, 16))).save(path / OOD_DETECTOR)
        for name in ("README.md", "hyperparams.yaml"):  # not read when the folder is loaded
            (path / name).unlink()


def exercise_folders(path: Path) -> None:
    """Load a model folder and score half a second of noise."""
    samples = 0.1 * np.random.default_rng(1).standard_normal(8000)
    (result,) = load_detector(path).score_files([(samples, SAMPLE_RATE)])
    assert result.error or (np.isfinite(result.score) and 0 <= result.probability <= 1), result


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "audio": (make_audio, exercise_audio),
    "protocols": (make_protocols, exercise_protocols),
    "scores": (make_scores, exercise_scores),
    "checkpoints": (make_checkpoints, exercise_checkpoints),
    "folders": (make_folders, exercise_folders),
}


def _try_all(*calls: Callable[[], None]) -> None:
    """Make all calls; raise an InputError only if every call raises one."""
    errors = []
    for call in calls:
        try:
            call()
        except InputError as error:
            errors.append(error)
    if len(errors) == len(calls):
        raise errors[0]


def mutate(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage the content of a file at one to four positions, usually one, so that readers still read much of it."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        # half of the positions are in the header; lengths cover all orders of magnitude
        start = int(rng.integers(min(len(content), 256 if rng.random() < 0.5 else len(content)) + 1))
        end = min(start + int(2 ** rng.uniform(0, 12)), len(content))
        piece = content[start:end]
        match rng.integers(10):
            case 0:
                piece = bytes([content[start] ^ 1 << rng.integers(8)]) + piece[1:] if piece else b""
            case 1:
                width = int(rng.choice([2, 4, 8]))
                number = int(rng.choice(np.array(SIZES, np.uint64))) % (1 << 8 * width)
                piece, end = number.to_bytes(width, "little")[:: rng.choice([1, -1])], start + width
            case 2:
                end = len(content)
                piece = b""
            case 3:
                cut = int(rng.integers(len(other) + 1))
                piece, end = other[cut:], len(content)
            case 4:
                piece = piece * int(2 ** rng.uniform(1, 8))
            case 5:
                piece = rng.bytes(int(2 ** rng.uniform(0, 8))) + piece
            case 6:
                piece = b""
            case 7 | 8:  # a word or number, with or without quotes
                words = list(re.finditer(rb'"[^"\n]{0,80}"|[\w.+-]+|[^\w\s]', content[:100_000]))
                if words:
                    start, end = words[rng.integers(len(words))].span()
                piece = TEXTS[rng.integers(len(TEXTS))]
            case _:
                digits = [found.start() for found in re.finditer(rb"\d", content[:100_000])]
                if digits:
                    start = digits[rng.integers(len(digits))]
                    piece, end = b"%d" % rng.integers(10), start + 1
        content = content[:start] + piece + content[end:]
    return content


def make_input(originals: list[Path], target: Path, rng: np.random.Generator) -> Path:
    """Copy an original to ``target`` with its suffix, and damage the copy; in a folder, damage one of the files."""
    original = originals[rng.integers(len(originals))]
    target = target.with_name(target.name + "".join(original.suffixes))
    (shutil.copytree if original.is_dir() else shutil.copyfile)(original, target)
    damaged, other = (_pick_file(path, rng) for path in (target, originals[rng.integers(len(originals))]))
    damaged.write_bytes(mutate(damaged.read_bytes(), other.read_bytes(), rng))
    return target


def _pick_file(path: Path, rng: np.random.Generator) -> Path:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return files[rng.integers(len(files))]


@dataclass
class Counts:
    """Outcomes of the inputs of a kind."""

    accepted: int = 0
    refused: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0  # seconds
    peak: float = 0.0  # bytes

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.accepted + self.refused + self.failures.total()


def work(kind: str, seed: int, originals: list[Path], scratch: Path, log: IO[str], ends: list[Connection]) -> None:
    """Receive the numbers of inputs, exercise these inputs, and send the outcomes. Run this in a separate process."""
    connection, parents = ends
    parents.close()  # so that this process ends when its parent ends
    os.setsid()  # a group that can be killed with the processes that it starts, and that Ctrl-C does not reach
    for stream in (1, 2):  # C libraries also write to these descriptors
        os.dup2(log.fileno(), stream)
    faulthandler.enable(log)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    exercise = KINDS[kind][1]
    while True:
        number = connection.recv()
        path = make_input(originals, scratch / str(number), np.random.default_rng(derive_seed(seed, kind, number)))
        outcome, text, before, start = "accepted", "", _peak(), time.monotonic()
        faulthandler.dump_traceback_later(TIMEOUT, exit=True, file=log)
        try:
            exercise(path)
        except InputError:
            outcome = "refused"
        except BaseException as error:  # panics of safetensors are not derived from Exception
            outcome, text = type(error).__name__, traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        if _peak() - before > MEMORY:
            outcome, text = "ExcessMemory", f"{outcome}, with {(_peak() - before) / 1e9:.1f} GB more\n{text}"
        connection.send((outcome, text, time.monotonic() - start, _peak()))
        (shutil.rmtree if path.is_dir() else os.unlink)(path)


def _peak() -> float:
    """Return the peak memory of this process or of any process that it started, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(of).ru_maxrss for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


class Worker:
    """A process that exercises inputs. It is replaced when it ends."""

    def __init__(self, kind: str, seed: int, originals: list[Path], scratch: Path) -> None:
        self.log = (scratch / "log").open("w+", errors="replace")
        context = multiprocessing.get_context("fork")  # all modules are already imported
        self.connection, other = ends = context.Pipe()
        self.process = context.Process(
            target=work, args=(kind, seed, originals, scratch, self.log, ends[::-1]), daemon=True
        )
        self.process.start()
        other.close()

    def run(self, number: int) -> tuple[str, str, float, float]:
        """Exercise an input; return its outcome, the traceback, the seconds and the peak memory in bytes."""
        start = time.monotonic()
        try:
            self.connection.send(number)
            return self.connection.recv()
        except (EOFError, OSError):  # the process has ended
            self.process.join()
            code = self.process.exitcode or 0
            self.log.seek(0)
            return signal.Signals(-code).name if code < 0 else "Timeout", self.log.read(), time.monotonic() - start, 0.0

    def stop(self) -> None:
        """Kill the process and the processes that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()  # a process that has just started has no group yet
        self.process.join()
        self.log.close()


def fuzz(kind: str, seed: int, minutes: float, output: Path, limit: float = float("inf")) -> Counts:
    """Exercise at most ``limit`` inputs of a kind for some minutes; save those that fail to ``output``."""
    counts = Counts()
    make = KINDS[kind][0]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as scratch:
        make(Path(folder))
        originals, path = sorted(Path(folder).iterdir()), Path(scratch)
        worker = Worker(kind, seed, originals, path)
        form = "{desc}: {percentage:3.0f}%|{bar:20}| {remaining} left{postfix}"
        try:
            with tqdm(total=round(60 * minutes), desc=kind, bar_format=form, delay=0.5) as bar:
                start = time.monotonic()
                while (passed := time.monotonic() - start) < 60 * minutes and counts.inputs < limit:
                    bar.set_postfix(inputs=counts.inputs, failures=counts.failures.total(), refresh=False)
                    bar.update(passed - bar.n)
                    number = counts.inputs
                    outcome, text, seconds, peak = worker.run(number)
                    counts.longest, counts.peak = max(counts.longest, seconds), max(counts.peak, peak)
                    if outcome in ("accepted", "refused"):
                        setattr(counts, outcome, getattr(counts, outcome) + 1)
                        continue
                    counts.failures[outcome] += 1
                    kept = output / f"{kind}_{number}_{outcome}"
                    make_input(originals, kept, np.random.default_rng(derive_seed(seed, kind, number)))
                    kept.with_name(kept.name + ".traceback").write_text(text)
                    worker.stop()
                    worker = Worker(kind, seed, originals, path)
        finally:
            worker.stop()
    return counts


def main() -> int:
    """Parse the command line, fuzz each kind, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/fuzz.py audio scores --minutes 20 --seed 1234 --output failures",
    )
    parser.add_argument("kinds", nargs="*", metavar="kind", help=f"kind of file: {', '.join(KINDS)} (default: all)")
    parser.add_argument("--minutes", type=float, default=1.0, help="minutes per kind (default: 1)")
    parser.add_argument("--seed", type=int, default=1234, help="seed of the inputs (default: 1234)")
    parser.add_argument(
        "--output", default="fuzz_failures", help="folder for inputs that fail (default: fuzz_failures)"
    )
    args = parser.parse_args()
    for kind in args.kinds:
        if kind not in KINDS:
            raise InputError(f"the kind '{kind}' is unknown; use {', '.join(KINDS)}")
    output = Path(args.output)
    if output.exists() and any(output.iterdir()):
        raise InputError(f"{output}: already exists; choose another --output or remove it")
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # a process with OpenMP threads cannot be forked
    failed = 0
    print(f"{'kind':<12}{'inputs':>9}{'accepted':>10}{'refused':>9}{'failures':>10}{'longest, s':>12}{'peak, GB':>10}")
    for kind in args.kinds or KINDS:
        counts = fuzz(kind, args.seed, args.minutes, output)
        failed += counts.failures.total()
        print(
            f"{kind:<12}{counts.inputs:>9}{counts.accepted:>10}{counts.refused:>9}{counts.failures.total():>10}"
            f"{counts.longest:>12.1f}{counts.peak / 1e9:>10.2f}"
            + "".join(f"  {count} {name}" for name, count in counts.failures.most_common()),
            flush=True,
        )
    if failed:
        print(f"{failed} failures; their inputs and tracebacks are in {output}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    run_program(main)
