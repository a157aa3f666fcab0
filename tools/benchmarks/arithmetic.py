"""How far scoring and training are from the peak of the processor, in floating-point operations.

Operations are counted in the plain detector of transformers (matrix products, convolutions, attention) and divided by
the processor time of each route. The peak is that of a product of large matrices in the same run and precision; for
8-bit integers, that in float32.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.inputs import Inputs
from benchmarks.measure import call, run
from benchmarks.scoring import has_bfloat16

SIZE = 2048  # of the matrices
CLIPS = 4
SECONDS = 4


class Speed(NamedTuple):
    """Billions of floating-point operations: of a route for a second of audio, and of a second of processor time."""

    route: str
    precision: str
    operations: float
    speed: float
    peak: float

    @property
    def seconds(self) -> float:
        """Seconds of audio per second of processor time."""
        return self.speed / self.operations


def measure_arithmetic(inputs: Inputs, rounds: int) -> list[Speed]:
    """Measure all routes in turn, in a process with one thread."""
    output = inputs.folder / "arithmetic.json"
    clips = inputs.clips(CLIPS, str(SECONDS))
    forms = (inputs.model, inputs.transformers, inputs.onnx, inputs.int8)
    run(call(time_routes, *forms, clips, output, rounds), inputs.folder)
    return [Speed(*values) for values in json.loads(output.read_text())]


def has_compiler() -> bool:
    """Check whether there is the C++ compiler that torch.compile uses."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def time_routes(model: str, published: str, onnx: str, int8: str, clips: str, output: str, rounds: str) -> None:
    """Write the speeds as JSON."""
    # next to the output, so that each run compiles anew and leaves nothing behind
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(output).with_name("compiled"))
    import soundfile
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    from antideepfake.inference.detector import load_detector
    from antideepfake.inference.onnx_detector import load_onnx_detector
    from antideepfake.inference.recordings import RecordingScorer
    from antideepfake.lobes.detector import compute_logits
    from antideepfake.model_folder.folder import load_modules

    torch.manual_seed(1)
    paths = sorted(Path(clips).iterdir())
    samples = [soundfile.read(path, dtype="float32")[0] for path in paths]
    extractor = AutoFeatureExtractor.from_pretrained(published)
    batch = extractor(samples, sampling_rate=16000, return_tensors="pt", padding=True)
    labels = torch.arange(CLIPS) % 2

    def score_plain(network: Callable[..., Any]) -> None:
        with torch.no_grad():
            for index in range(CLIPS):
                network(**{name: values[index : index + 1] for name, values in batch.items()})

    def train_plain(network: torch.nn.Module) -> None:
        network.train()
        network(**batch, labels=labels).loss.backward()
        network.zero_grad()
        network.eval()

    # only the operations of eager attention are counted on a CPU
    counted = AutoModelForAudioClassification.from_pretrained(published, attn_implementation="eager").eval()
    operations = {}
    for name, pass_through in (("scoring", score_plain), ("training", train_plain)):
        with FlopCounterMode(display=False) as counter:
            pass_through(counted)
        operations[name] = counter.get_total_flops()
    del counted

    plain = AutoModelForAudioClassification.from_pretrained(published).eval()
    modules = load_modules(model)
    modules.train()
    waveforms, lengths = batch["input_values"], torch.ones(CLIPS)

    def score(detector: RecordingScorer) -> None:
        list(detector.score_files(paths))

    def train(dtype: torch.dtype) -> None:
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            logits = compute_logits(dict(modules.items()), waveforms, lengths)
            torch.nn.functional.cross_entropy(logits, labels).backward()
        modules.zero_grad()

    routes: dict[tuple[str, str], Callable[[], Any]] = {}
    for precision, dtype in (("float32", torch.float32), *([("bfloat16", torch.bfloat16)] if has_bfloat16() else [])):
        matrix = torch.randn(SIZE, SIZE).to(dtype)
        detector = load_detector(model, device="cpu")
        detector.prepare("bf16" if dtype == torch.bfloat16 else "fp32")

        routes["peak", precision] = partial(torch.matmul, matrix, matrix)
        if dtype == torch.float32:
            routes["scoring, plain", precision] = partial(score_plain, plain)
            if has_compiler():
                compiled = torch.compile(AutoModelForAudioClassification.from_pretrained(published).eval())
                routes["scoring, torch.compile", precision] = partial(score_plain, compiled)
            routes["scoring, ONNX", precision] = partial(score, load_onnx_detector(onnx))
            routes["scoring, ONNX", "int8"] = partial(score, load_onnx_detector(int8))
            routes["training, plain", precision] = partial(train_plain, plain)
        routes["scoring", precision] = partial(score, detector)
        routes["training", precision] = partial(train, dtype)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in routes}
    for number in range(int(rounds) + 1):  # the first round warms up
        for key, route in routes.items():
            start = time.process_time()
            route()
            if number:
                times[key].append(time.process_time() - start)
    speeds = []
    for route_name, precision in routes:
        if route_name != "peak":
            total = operations[route_name.partition(",")[0]] / 1e9
            reference = "float32" if precision == "int8" else precision
            peak = 2e-9 * SIZE**3 / median(times["peak", reference])
            speed = total / median(times[route_name, precision])
            speeds.append(Speed(route_name, precision, total / (CLIPS * SECONDS), speed, peak))
    Path(output).write_text(json.dumps(speeds))
