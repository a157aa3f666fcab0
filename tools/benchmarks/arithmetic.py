"""How far scoring and training are from the peak of the processor, in floating-point operations.

Operations of the network are counted (matrix products, convolutions, attention) and divided by the processor time of
each route. The peak is that of a product of large matrices in the same run and precision; for 8-bit integers, that in
float32. The plain routes are those of transformers, if it has the front end.
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

from antideepfake.errors import InputError
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
    try:
        plain = str(inputs.transformers)
    except InputError:  # transformers has no such detector
        plain = ""
    run(call(time_routes, inputs.model, plain, inputs.onnx, inputs.int8, clips, output, rounds), inputs.folder)
    return [Speed(*values) for values in json.loads(output.read_text())]


def has_compiler() -> bool:
    """Check whether there is the C++ compiler that torch.compile uses."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def time_routes(model: str, published: str, onnx: str, int8: str, clips: str, output: str, rounds: str) -> None:
    """Write the speeds as JSON; ``published`` is empty if there are no plain routes."""
    # in the scratch folder, so that each run compiles again and leaves nothing behind
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(output).with_name("compiled"))
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForAudioClassification

    from antideepfake.audio.waveform import read_waveform
    from antideepfake.inference.detector import Detector, load_detector
    from antideepfake.inference.onnx_detector import load_onnx_detector
    from antideepfake.inference.recordings import RecordingScorer
    from antideepfake.lobes.detector import compute_logits
    from antideepfake.model_folder.folder import load_modules

    torch.manual_seed(1)
    paths = sorted(Path(clips).iterdir())
    waveforms = torch.stack([read_waveform(path) for path in paths])
    labels = torch.arange(CLIPS) % 2

    def score(detector: RecordingScorer) -> None:
        list(detector.score_files(paths))

    def score_one_by_one(network: Callable[..., Any]) -> None:
        with torch.no_grad():
            for index in range(CLIPS):
                network(waveforms[index : index + 1])

    def compute(modules: torch.nn.ModuleDict, waveforms: torch.Tensor) -> torch.Tensor:
        return compute_logits(dict(modules.items()), waveforms, torch.ones(len(waveforms)))

    def train(network: torch.nn.Module, compute: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype) -> None:
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            torch.nn.functional.cross_entropy(compute(waveforms), labels).backward()
        network.zero_grad()

    def prepare(precision: str) -> Detector:
        detector = load_detector(model, device="cpu")
        detector.prepare(precision)
        return detector

    frozen, trained = load_modules(model).eval(), load_modules(model).train()
    score_own = partial(score_one_by_one, partial(compute, frozen))
    train_own = partial(train, trained, partial(compute, trained))
    operations = {}
    for name, route in (("scoring", score_own), ("training", partial(train_own, torch.float32))):
        # only the operations of this attention are counted on a CPU
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            route()
        operations[name] = counter.get_total_flops()

    matrix = torch.randn(SIZE, SIZE)
    routes: dict[tuple[str, str], Callable[[], Any]] = {
        ("peak", "float32"): partial(torch.matmul, matrix, matrix),
        ("scoring", "float32"): partial(score, prepare("fp32")),
        ("scoring, ONNX", "float32"): partial(score, load_onnx_detector(onnx)),
        ("scoring, ONNX", "int8"): partial(score, load_onnx_detector(int8)),
        ("training", "float32"): partial(train_own, torch.float32),
    }
    if published:
        plain, taught = (AutoModelForAudioClassification.from_pretrained(published) for _ in range(2))
        compute_plain = partial(lambda network, batch: network(batch).logits, taught.train())
        routes["scoring, plain", "float32"] = partial(score_one_by_one, plain.eval())
        routes["training, plain", "float32"] = partial(train, taught, compute_plain, torch.float32)
    if has_compiler():
        compiled = torch.compile(partial(compute, frozen))
        routes["scoring, torch.compile", "float32"] = partial(score_one_by_one, compiled)
    if has_bfloat16():
        rounded = matrix.bfloat16()
        routes["peak", "bfloat16"] = partial(torch.matmul, rounded, rounded)
        routes["scoring", "bfloat16"] = partial(score, prepare("bf16"))
        routes["training", "bfloat16"] = partial(train_own, torch.bfloat16)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in routes}
    for number in range(int(rounds) + 1):  # the first round warms up
        for key, take in routes.items():
            start = time.process_time()
            take()
            if number:
                times[key].append(time.process_time() - start)
    speeds = []
    for route_name, precision in sorted(routes):
        if route_name != "peak":
            total = operations[route_name.partition(",")[0]] / 1e9
            reference = "float32" if precision == "int8" else precision
            peak = 2e-9 * SIZE**3 / median(times["peak", reference])
            speed = total / median(times[route_name, precision])
            speeds.append(Speed(route_name, precision, total / (CLIPS * SECONDS), speed, peak))
    Path(output).write_text(json.dumps(speeds))
