"""How long the command takes to start, relative to the import of torch."""

import sys

from benchmarks.inputs import Inputs
from benchmarks.measure import Measurement, antideepfake


def list_measurements(inputs: Inputs) -> list[Measurement]:
    """List the measurements: help, and a recording of a second with an ONNX file and with a model folder."""
    torch = (sys.executable, "-c", "import torch")
    recording = inputs.clips(1, "1") / "000000.flac"
    commands = {
        "--help": antideepfake("--help"),
        "evaluate --help": antideepfake("evaluate", "--help"),
        "score, ONNX": antideepfake("score", inputs.onnx, recording, "--quiet"),
        "score, model folder": antideepfake("score", inputs.model, recording, "--device", "cpu", "--quiet"),
    }
    return [Measurement(name, 1, "start", torch, command) for name, command in commands.items()]
