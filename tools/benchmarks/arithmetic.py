"""How far scoring and training are from the peak of the processor, in floating-point operations.

Operations are counted in the plain detector of transformers (matrix products, convolutions, attention) and divided by
the processor time of each route. The peak is that of a product of large matrices in the same run and precision.
"""

import json
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


def measure_arithmetic(inputs: Inputs, rounds: int) -> list[Speed]:
    """Measure all routes in turn, in a process with one thread."""
    output = inputs.folder / "arithmetic.json"
    clips = inputs.clips(CLIPS, str(SECONDS))
    run(call(time_routes, inputs.model, inputs.transformers, clips, output, rounds), inputs.folder)
    return [Speed(*values) for values in json.loads(output.read_text())]


def time_routes(model: str, published: str, clips: str, output: str, rounds: str) -> None:
    """Write the speeds as JSON."""
    import soundfile
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    from antideepfake.inference.detector import Detector, load_detector
    from antideepfake.lobes.detector import compute_logits
    from antideepfake.model_folder.folder import load_modules

    torch.manual_seed(1)
    paths = sorted(Path(clips).iterdir())
    samples = [soundfile.read(path, dtype="float32")[0] for path in paths]
    extractor = AutoFeatureExtractor.from_pretrained(published)
    batch = extractor(samples, sampling_rate=16000, return_tensors="pt", padding=True)
    # only the operations of plain attention are counted on a CPU
    plain = AutoModelForAudioClassification.from_pretrained(published, attn_implementation="eager").eval()
    labels = torch.arange(CLIPS) % 2

    def score_plain() -> None:
        with torch.no_grad():
            for index in range(CLIPS):
                plain(**{name: values[index : index + 1] for name, values in batch.items()})

    def train_plain() -> None:
        plain.train()
        plain(**batch, labels=labels).loss.backward()
        plain.zero_grad()
        plain.eval()

    operations = {}
    for name, route in (("scoring", score_plain), ("training", train_plain)):
        with FlopCounterMode(display=False) as counter:
            route()
        operations[name] = counter.get_total_flops()

    modules = load_modules(model)
    modules.train()
    waveforms, lengths = batch["input_values"], torch.ones(CLIPS)

    def score(detector: Detector) -> None:
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
            routes["scoring, plain", precision] = score_plain
            routes["training, plain", precision] = train_plain
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
            peak = 2e-9 * SIZE**3 / median(times["peak", precision])
            speed = total / median(times[route_name, precision])
            speeds.append(Speed(route_name, precision, total / (CLIPS * SECONDS), speed, peak))
    Path(output).write_text(json.dumps(speeds))
