"""Inputs that several subjects share: a detector in four forms, and clips."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import indent
from typing import Any

from benchmarks.measure import antideepfake, call, run

# The modules of a detector: the mean of the frames, and a linear classifier.
DETECTOR = """front_end:
{front_end}
back_end: !new:antideepfake.lobes.MeanPooling
embedding_model: !new:antideepfake.lobes.UtteranceEncoder
    front_end: !ref <front_end>
    back_end: !ref <back_end>
classifier: !new:torch.nn.Linear
    in_features: {size}
    out_features: 2
"""
SPREAD = 4.0  # standard deviation of the scores, about that of a trained detector


@dataclass(frozen=True)
class Inputs:
    """Where the inputs of measurements are, and how large they are.

    Arguments
    ---------
    folder : Path
        Scratch folder.
    front_end : Path
        YAML of the front end of the detector, whose weights are random.
    scale : float
        Work of each measurement relative to its default.
    cores : int
        Threads of numerical libraries, and workers of data loaders and preparations.
    """

    folder: Path
    front_end: Path
    scale: float
    cores: int

    def count(self, default: int, least: int = 1) -> int:
        """Return a number of rows, files or clips: the default times the scale."""
        return max(least, round(default * self.scale))

    def make(self, name: str, function: Any, *arguments: object) -> Path:
        """Return a file or folder that a function, called with its path and the arguments, writes if it is not there.

        The function runs in a process of its own, see :func:`benchmarks.measure.run`.
        """
        path = self.folder / name
        if not path.exists():
            run(call(function, path, *arguments), self.folder, os.cpu_count() or 1)
        return path

    def clips(self, count: int, seconds: str) -> Path:
        """Return a folder with FLAC clips of noise that is as loud as syllables; ``seconds`` is a length or a range."""
        return self.make(f"clips_{count}_{seconds}", write_clips, count, seconds)

    @cached_property
    def model(self) -> Path:
        """The model folder of the detector."""
        return self.make("model", write_model, self.front_end, self.clips(8, "2-6"))

    def converted(self, name: str, *options: str) -> Path:
        """Return the detector in another form of ``antideepfake convert``."""
        path = self.folder / name
        if not path.exists():
            run(antideepfake("convert", self.model, "--output", path, *options), self.folder, os.cpu_count() or 1)
        return path

    @property
    def transformers(self) -> Path:
        """The detector as a folder of transformers."""
        return self.converted("transformers", "--form", "transformers")

    @property
    def onnx(self) -> Path:
        """The detector as an ONNX file."""
        return self.converted("model.onnx", "--form", "onnx")

    @property
    def int8(self) -> Path:
        """The detector as an ONNX file with weights of 8 bits."""
        return self.converted("int8.onnx", "--form", "onnx", "--quantize", "int8")


def write_clips(folder: str, count: str, seconds: str) -> None:
    """Write clips of one length in seconds, or of a range such as ``2-6``."""
    import numpy as np
    import soundfile

    from antideepfake.audio.samples import SAMPLE_RATE

    rng = np.random.default_rng(1234)
    shortest, _, longest = seconds.partition("-")
    Path(folder).mkdir()
    for number in range(int(count)):
        size = round(rng.uniform(float(shortest), float(longest or shortest)) * SAMPLE_RATE)
        loudness = rng.uniform(0.01, 0.3, size // (SAMPLE_RATE // 5) + 1).repeat(SAMPLE_RATE // 5)[:size]
        color = np.cumsum(rng.standard_normal(size)) * rng.uniform(0, 0.05)  # else all clips sound alike
        noise = loudness * (rng.standard_normal(size) + color - color.mean())
        soundfile.write(Path(folder, f"{number:06}.flac"), noise.clip(-1, 1), SAMPLE_RATE)


def count_seconds(folder: Path) -> float:
    """Return the length of all clips of a folder in seconds."""
    import soundfile

    return sum(soundfile.info(path).duration for path in folder.iterdir())


def write_model(folder: str, front_end: str, clips: str) -> None:
    """Write a detector with random weights whose scores vary about as much as those of a trained one.

    Its classifier projects on the first principal component of the embeddings of the clips.
    """
    import soundfile
    import torch

    from antideepfake.audio.waveform import SAMPLE_RATE, make_waveform
    from antideepfake.lobes import MeanPooling, UtteranceEncoder
    from antideepfake.model_folder.folder import write_model_folder
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.training.hparams import build_front_end

    torch.manual_seed(1234)
    encoder = UtteranceEncoder(build_front_end(front_end), MeanPooling()).eval()
    with torch.inference_mode():
        waveforms = [
            torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in sorted(Path(clips).iterdir())
        ]
        waveforms = [make_waveform(waveform, SAMPLE_RATE, "the clip") for waveform in waveforms]
        embeddings = torch.cat([encoder(waveform[None], torch.ones(1)) for waveform in waveforms])
    centered = embeddings - embeddings.mean(0)
    direction = torch.linalg.svd(centered, full_matrices=False).Vh[0]
    direction = direction * SPREAD / (centered @ direction).std()
    classifier = torch.nn.Linear(len(direction), 2)
    with torch.no_grad():
        classifier.weight.copy_(torch.stack([-direction / 2, direction / 2]))
        classifier.bias.copy_(-classifier.weight @ embeddings.mean(0))
    settings = DETECTOR.format(front_end=indent(Path(front_end).read_text(), "    "), size=len(direction))
    modules = {"embedding_model": encoder, "classifier": classifier}
    write_model_folder(folder, settings, modules, ModelMetadata())
