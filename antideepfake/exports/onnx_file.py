"""A detector as one ONNX file, which ONNX Runtime runs without torch."""

import json
import logging
import os
import tempfile
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from speechbrain.lobes.models import ECAPA_TDNN

from antideepfake.audio.samples import SAMPLE_RATE
from antideepfake.errors import InputError
from antideepfake.exports.graph import DetectorGraph
from antideepfake.files import atomic_path
from antideepfake.inference.detector import Detector
from antideepfake.inference.onnx_detector import FORMAT, OnnxDetector, load_onnx_detector
from antideepfake.lobes.whisper import LONGEST, Whisper

OPSET = 20
LARGEST = 2**31 - 1  # bytes: the limit of a file in the format of ONNX, which is a Protocol Buffer
NAMES = ("logits", "embeddings", "frame_scores", "frame_counts")


def write_onnx(path: str | os.PathLike, detector: Detector, quantize: str | None = None) -> float:
    """Write a detector as an ONNX file, with its metadata.

    The inputs are ``samples`` (float32, [batch, time], at 16 kHz, not normalized, padded at the end) and ``lengths``
    (int64, [batch], in samples). The outputs are ``logits`` ([batch, 2], fake first) and ``embeddings``; with mean
    pooling and a linear classifier also ``frame_scores`` ([batch, frames]) and ``frame_counts`` ([batch]).

    Arguments
    ---------
    path : str or Path
        The file, ``.onnx``.
    detector : Detector
        The model, on the CPU. Its front end is one of this package.
    quantize : str, optional
        ``int8``: store the weights of linear layers as 8-bit integers, and round their inputs when the model runs. The
        steps of this rounding depend on all of a batch, so utterances are then scored one at a time.

    Returns
    -------
    float
        The largest difference of a logit between the file and the detector, on ten generated signals.

    Raises
    ------
    InputError
        When the packages ``onnx`` and ``onnxscript`` are missing, the front end has no form in ONNX, or the file would
        exceed 2 GB.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch needs it)
    except ImportError:
        raise InputError(
            "writing ONNX needs the packages onnx and onnxscript; install speechbrain-antideepfake[onnx]"
        ) from None
    if Path(path).suffix != ".onnx":
        raise InputError(f"{path}: choose a name that ends in .onnx")
    graph = DetectorGraph(detector).eval()
    size = sum(value.nbytes for value in graph.state_dict().values())
    if size > LARGEST:
        raise InputError(f"the weights have {size / 1e9:.1f} GB; an ONNX file can have at most 2 GB")
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder, "exported.onnx")
        _export(graph, exported)
        if quantize:
            exported = _quantize(exported)
        model = onnx.load(exported)
    onnx.helper.set_model_props(model, _describe(detector, quantize))
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)
    return measure_difference(detector, load_onnx_detector(path))


def _export(graph: DetectorGraph, path: Path) -> None:
    # an example with padding, so that no branch for batches without it is taken
    example = torch.randn(2, 2 * SAMPLE_RATE), torch.tensor([2 * SAMPLE_RATE, SAMPLE_RATE + 1])
    with torch.no_grad(), _quiet(), _ecapa_for_any_batch(), _plain_attention():
        program: Any = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["samples", "lengths"],
            output_names=NAMES[: 4 if graph.scores_frames else 2],
            dynamic_shapes={"samples": {0: "batch", 1: "time"}, "lengths": {0: "batch"}},
            verbose=False,
        )
    program.save(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the advice that torch's exporter and ONNX Runtime's quantization log on every call."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _ecapa_for_any_batch() -> Iterator[None]:
    """Let SpeechBrain's ECAPA-TDNN mask any number of utterances: the size of its own masks is that of the example."""

    def length_to_mask(lengths: torch.Tensor, max_len: int, device: torch.device) -> torch.Tensor:
        return (torch.arange(max_len, device=device) < lengths.unsqueeze(1)).to(lengths.dtype)

    with mock.patch.object(ECAPA_TDNN, "length_to_mask", length_to_mask):
        yield


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Compute attention step by step: exported from torch's own function, it checks every weight for NaN.

    Encoders that are not in training have neither dropout nor a causal mask, so these arguments have no effect.
    """

    def attend(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
    ) -> torch.Tensor:
        scores = query * (scale or query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = torch.where(attn_mask, 0.0, torch.finfo(scores.dtype).min)
        return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ value

    with mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", attend):
        yield


def _quantize(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantized = path.with_name("quantized.onnx")
    # Convolutions stay in float32: ONNX Runtime computes them more slowly in integers. Weights take 7 of the 8 bits:
    # products of pairs of 8 bits overflow on processors with AVX2 or AVX-512 but without VNNI.
    with _quiet():
        quantize_dynamic(
            path,
            quantized,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
    return quantized


def _describe(detector: Detector, quantize: str | None) -> dict[str, str]:
    """Describe the detector for programs and people: texts by name."""
    metadata, front_end = detector.metadata, detector.mods["embedding_model"].front_end
    values = {
        "format": FORMAT,
        "sample_rate": str(SAMPLE_RATE),
        "classes": ",".join(metadata.classes),
        "threshold": repr(metadata.threshold),
        "license": metadata.license,
        "provenance": metadata.provenance,
        "windowing": json.dumps(asdict(metadata.windowing())),
        "metadata": json.dumps(asdict(metadata)),
        "weights": " ".join([detector.weights_digest(), "onnx", quantize or ""]).strip(),
        "quantized": quantize or "",
        "min_samples": str(detector.min_samples),
        "normalize": json.dumps(detector.mods["embedding_model"].normalize),  # which the network does itself
        "frame_seconds": repr(detector.frame_seconds or 0.0),
    }
    if isinstance(front_end, Whisper):
        values["max_samples"] = str(LONGEST)
    if detector.ood_detector:
        values["ood_detector"] = b64encode(detector.ood_detector.to_bytes()).decode()
    return values


def measure_difference(detector: Detector, exported: OnnxDetector) -> float:
    """Measure the largest difference of a logit on ten generated signals of one to four seconds."""
    rng = np.random.default_rng(1234)
    signals = []
    for level, seconds in zip(np.geomspace(0.01, 0.3, 10), rng.permutation(np.linspace(1, 4, 10)), strict=True):
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        voice = sum(np.sin(2 * np.pi * 120 * harmonic * time) / harmonic for harmonic in range(1, 20))
        syllables = np.square(np.sin(2 * np.pi * 2 * time))
        signals.append((level * (voice * syllables + 0.1 * rng.standard_normal(len(time)))).astype(np.float32))
    items = [(signal, SAMPLE_RATE) for signal in signals]
    logits = [np.array([result.logits for result in model.score_files(items)]) for model in (detector, exported)]
    return float(np.abs(logits[0] - logits[1]).max())
