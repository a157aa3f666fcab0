"""Training steps, relative to those of transformers on the same clips."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.inputs import Inputs
from benchmarks.loading import write_protocol
from benchmarks.measure import Measurement, call, start_clock
from benchmarks.scoring import has_bfloat16

STEPS = 3
SECONDS = 4
BATCH = 4  # clips
LEARNING_RATE = 1e-6


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurements: steps in each precision, after a first one that is not measured."""
    steps = inputs.count(STEPS)
    clips = inputs.clips(BATCH * (steps + 1), str(SECONDS))
    protocol = inputs.make(f"training_{steps}.csv", write_protocol, clips)
    plain = call(train_plain, inputs.transformers, clips)
    work = BATCH * SECONDS * steps
    precisions = {"float32": "fp32", **({"bfloat16": "bf16"} if has_bfloat16() else {})}
    return [
        Measurement(f"steps, {name}", work, "s", plain, call(train, inputs.model, protocol, inputs.folder, precision))
        for name, precision in precisions.items()
    ]


def take_steps(batches: Iterable[Any], compute_loss: Callable[[Any], Any], parameters: list[Any]) -> None:
    """Take a step of AdamW for each batch, and measure from the second on."""
    import torch

    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
    for number, batch in enumerate(batches):
        if number == 1:
            start_clock()
        compute_loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 100)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def train(model: str, protocol: str, data_folder: str, precision: str) -> None:
    """Train a detector of this package."""
    import torch
    from speechbrain.dataio.batch import PaddedBatch
    from torch.utils.data import DataLoader

    from antideepfake.dataio.batches import BatchPlan, PlannedBatches
    from antideepfake.dataio.datasets import make_dataset
    from antideepfake.lobes.detector import compute_logits
    from antideepfake.model_folder.folder import load_modules
    from antideepfake.protocol.table import read_protocol

    torch.manual_seed(1)
    modules = load_modules(model)
    table = read_protocol(protocol)
    plan = PlannedBatches(BatchPlan(table["Duration"], BATCH * SECONDS, 1, seed=1))
    loader: DataLoader = DataLoader(
        make_dataset(table, data_folder, seed=1), batch_sampler=plan, collate_fn=PaddedBatch
    )

    def compute_loss(batch: PaddedBatch) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = compute_logits(dict(modules.items()), *batch.waveform)
            return torch.nn.functional.cross_entropy(logits, torch.as_tensor(batch.target))

    take_steps(loader, compute_loss, list(modules.train().parameters()))


def train_plain(model: str, clips: str) -> None:
    """Train a detector of transformers."""
    import soundfile
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    torch.manual_seed(1)
    extractor = AutoFeatureExtractor.from_pretrained(model)
    detector = AutoModelForAudioClassification.from_pretrained(model).train()
    paths = sorted(Path(clips).iterdir())

    def read() -> Iterable[Any]:
        for start in range(0, len(paths), BATCH):
            samples = [soundfile.read(path, dtype="float32")[0] for path in paths[start : start + BATCH]]
            yield extractor(samples, sampling_rate=16000, return_tensors="pt", padding=True)

    labels = torch.arange(BATCH) % 2
    take_steps(read(), lambda batch: detector(**batch, labels=labels).loss, list(detector.parameters()))
