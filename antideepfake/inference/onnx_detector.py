"""Score recordings with an ONNX file of ``antideepfake convert --form onnx``, without torch."""

import json
import os
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

import numpy as np

from antideepfake.audio.samples import SAMPLE_RATE, Samples
from antideepfake.errors import InputError
from antideepfake.inference.recordings import Output, RecordingScorer
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.out_of_distribution import OODDetector, parse_ood_detector

SUFFIX = ".onnx"
FORMAT = "antideepfake 1"


def is_onnx(model: str | os.PathLike) -> bool:
    """Return whether a model is an ONNX file, by its suffix.

    Example
    -------
    >>> is_onnx("model.onnx"), is_onnx("models/mms-300m")
    (True, False)
    """
    return os.fspath(model).lower().endswith(SUFFIX)


@dataclass
class OnnxDetector(RecordingScorer):
    """A detector that ONNX Runtime computes on the CPU; :func:`load_onnx_detector` loads one.

    Arguments
    ---------
    session : onnxruntime.InferenceSession
        The network.
    metadata : ModelMetadata
        Of the model folder that it was made from.
    weights : str
        Identifies the weights and their precision.
    min_samples : int
        Receptive field of the front end.
    max_samples : int, optional
        Longest utterance of the network.
    frame_seconds : float, optional
        Time between the frames whose scores average to that of an utterance.
    ood_detector : OODDetector, optional
        Of the model folder.
    """

    session: Any
    metadata: ModelMetadata
    weights: str
    min_samples: int
    max_samples: int | None = None
    frame_seconds: float | None = None
    ood_detector: OODDetector | None = None

    def weights_digest(self) -> str:
        """Give a short text that identifies the weights and the precision of scoring."""
        return self.weights

    def score_batch(self, batch: list[Samples], needs_frames: bool) -> list[Output]:
        """Score samples at 16 kHz, not normalized, shape [time] each; independently of each other."""
        lengths = np.array([len(samples) for samples in batch], np.int64)
        if self.max_samples and lengths.max() > self.max_samples:
            raise InputError(
                f"an utterance has {lengths.max() / SAMPLE_RATE:.1f} s, and the model takes at most "
                f"{self.max_samples / SAMPLE_RATE:.1f} s; score long recordings in windows (without --whole)"
            )
        padded = np.zeros((len(batch), lengths.max()), np.float32)
        for row, samples in zip(padded, batch, strict=True):
            row[: len(samples)] = samples
        logits, embeddings, *frames = self.session.run(None, {"samples": padded, "lengths": lengths})
        frame_scores = [np.empty(0)] * len(batch)
        if needs_frames and frames:
            frame_scores = [row[:count].astype(np.float64) for row, count in zip(*frames, strict=True)]
        return [
            Output((float(fake), float(real)), embedding, scores)
            for (fake, real), embedding, scores in zip(logits, embeddings, frame_scores, strict=True)
        ]


def load_onnx_detector(path: str | os.PathLike) -> OnnxDetector:
    """Load an ONNX file.

    Arguments
    ---------
    path : str or Path
        A file that ``antideepfake convert --form onnx`` wrote.

    Returns
    -------
    OnnxDetector
        It scores as a :class:`antideepfake.inference.Detector` does.

    Raises
    ------
    InputError
        When the file is missing, damaged or of other software.
    """
    # ONNX Runtime would report its use to Microsoft; it reads this when it is imported
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; check the path")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises many types for a damaged file
        raise InputError(f"{path}: not a complete ONNX file ({' '.join(str(error).split())[:200]})") from None
    values = session.get_modelmeta().custom_metadata_map
    if values.get("format") != FORMAT:
        raise InputError(f"{path}: not a detector of this package; 'antideepfake convert --form onnx' writes one")
    try:
        metadata = ModelMetadata(**json.loads(values["metadata"]))
        metadata.check(path)
        ood_detector = None
        if "ood_detector" in values:
            ood_detector = parse_ood_detector(b64decode(values["ood_detector"]), path)
        longest = int(values["max_samples"]) if "max_samples" in values else None
        frame_seconds = float(values["frame_seconds"]) or None
        least = int(values["min_samples"])
        return OnnxDetector(session, metadata, values["weights"], least, longest, frame_seconds, ood_detector)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: its metadata are damaged ({error}); convert the model again") from None
