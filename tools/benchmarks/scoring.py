"""Scoring of clips and of a long recording, relative to transformers in a loop over files."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.inputs import Inputs, count_seconds
from benchmarks.measure import Measurement, antideepfake, call

CLIPS = 20
LONG = 40.0  # seconds
WINDOW, HOP = 4, 2  # seconds; those of 'antideepfake score'


def list_measurements(inputs: Inputs) -> Iterator[Measurement]:
    """Yield the measurements, making the inputs of each: clips in each form and precision, and a long recording."""
    clips = inputs.clips(inputs.count(CLIPS, 2), "2-6")
    recording = inputs.clips(1, f"{max(LONG * inputs.scale, 2 * WINDOW):g}")
    scored, windows = inputs.folder / "plain.csv", inputs.folder / "plain_windows.csv"
    plain = call(score_plain, inputs.transformers, clips, scored)

    def score(name: str, *detector: object) -> Measurement:
        output = inputs.folder / f"scores_{name.replace(' ', '_')}.csv"
        own = antideepfake("score", *detector, clips, "--output", output, "--overwrite", "--quiet")
        compare = partial(compare_scores, scored, output)
        return Measurement(f"clips, {name}", count_seconds(clips), "s", plain, own, compare)

    yield score("float32", inputs.model, "--device", "cpu")
    if has_bfloat16():
        yield score("bfloat16", inputs.model, "--device", "cpu", "--precision", "bf16")
    yield score("ONNX", inputs.onnx)
    yield score("ONNX int8", inputs.int8)
    output = inputs.folder / "scores_windows.csv"
    own = antideepfake("score", inputs.model, recording, "--window_seconds", WINDOW, "--hop_seconds", HOP)
    own += ("--device", "cpu", "--output", str(output), "--overwrite", "--quiet")
    plain = call(score_plain, inputs.transformers, recording, windows, WINDOW, HOP)
    yield Measurement("long recording", count_seconds(recording), "s", plain, own)


def has_bfloat16() -> bool:
    """Check whether the processor has instructions for bfloat16."""
    information = Path("/proc/cpuinfo")
    words = information.read_text().split() if information.exists() else []
    return "avx512_bf16" in words or "bf16" in words


def score_plain(model: str, folder: str, output: str, window: str = "", hop: str = "") -> None:
    """Score one file after the other with transformers, in windows if their length and distance are given."""
    import numpy as np
    import soundfile
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    extractor = AutoFeatureExtractor.from_pretrained(model)
    detector = AutoModelForAudioClassification.from_pretrained(model).eval()
    with torch.inference_mode(), open(output, "w") as file:
        for path in sorted(Path(folder).iterdir()):
            samples, rate = soundfile.read(path, dtype="float32")
            pieces = [samples]
            if window:
                size, step = int(window) * rate, int(hop) * rate
                pieces = [samples[start : start + size] for start in range(0, len(samples) - size + 1, step)]
            scores = []
            for piece in pieces:
                fake, real = detector(**extractor(piece, sampling_rate=rate, return_tensors="pt")).logits[0].tolist()
                scores.append(real - fake)
            file.write(f"{path.name},{np.mean(scores)}\n")


def compare_scores(plain: Path, own: Path) -> float:
    """Return the largest difference between the scores of both routes."""
    from antideepfake.scoring.score_file import iterate_scores

    expected = dict(line.split(",") for line in plain.read_text().splitlines())
    return max(abs(score - float(expected[Path(name).name])) for name, score, _ in iterate_scores(own))
