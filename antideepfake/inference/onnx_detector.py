"""Score recordings with an ONNX file of ``antideepfake convert --form onnx``, without torch."""

import json
import os
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import numpy as np

from antideepfake.audio.samples import Samples
from antideepfake.errors import InputError
from antideepfake.inference.recordings import Output, RecordingScorer
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.out_of_distribution import parse_ood_detector

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


class OnnxDetector(RecordingScorer):
    """A detector that ONNX Runtime computes on the CPU; :func:`load_onnx_detector` loads one.

    Arguments
    ---------
    session : onnxruntime.InferenceSession
        The network.
    metadata : ModelMetadata
        Of the model folder that it was made from.
    values : mapping
        The metadata of the file: texts by name.
    path : str or Path
        The file, for error messages.
    """

    def __init__(
        self, session: Any, metadata: ModelMetadata, values: Mapping[str, str], path: str | os.PathLike
    ) -> None:
        self._session, self._metadata, self._weights = session, metadata, values["weights"]
        self._min_samples = int(values["min_samples"])
        self.max_samples = int(values["max_samples"]) if "max_samples" in values else None
        self._rounds_inputs = bool(values["quantized"])
        self._frame_seconds = float(values["frame_seconds"]) or None
        if "ood_detector" in values:
            self.ood_detector = parse_ood_detector(b64decode(values["ood_detector"]), path)

    @property
    def metadata(self) -> ModelMetadata:
        """Of the model folder that the file was made from."""
        return self._metadata

    @property
    def min_samples(self) -> int:
        """The receptive field of the front end: least number of samples of a waveform."""
        return self._min_samples

    @property
    def frame_seconds(self) -> float | None:
        """Time between frames whose weighted mean score is that of an utterance; None if there are no such frames."""
        return self._frame_seconds

    def weights_digest(self) -> str:
        """Give a short text that identifies the weights and the precision of scoring."""
        return self._weights

    def score_batch(self, batch: list[Samples], needs_frames: bool) -> list[Output]:
        """Score samples at 16 kHz, not normalized, shape [time] each; independently of each other."""
        if self._rounds_inputs and len(batch) > 1:
            # inputs of linear layers are rounded to steps of a size that depends on all of the batch
            return [output for samples in batch for output in self.score_batch([samples], needs_frames)]
        lengths = np.array([len(samples) for samples in batch], np.int64)
        padded = np.zeros((len(batch), lengths.max()), np.float32)
        for row, samples in zip(padded, batch, strict=True):
            row[: len(samples)] = samples
        logits, embeddings, *frames = self._session.run(None, {"samples": padded, "lengths": lengths})
        frame_scores = [np.empty(0)] * len(batch)
        if needs_frames and frames:
            frame_scores = [row[:count].astype(np.float64) for row, count in zip(*frames, strict=True)]
        return [
            Output((float(fake), float(real)), embedding, scores)
            for (fake, real), embedding, scores in zip(logits, embeddings, frame_scores, strict=True)
        ]


def load_onnx_detector(path: str | os.PathLike) -> OnnxDetector:
    """Load an ONNX file, to run on all cores or on as many as the environment variable OMP_NUM_THREADS says.

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
    threads = os.environ.get("OMP_NUM_THREADS", "")  # torch, numpy and torchrun keep to it; ONNX Runtime alone does not
    if threads.isdecimal():
        options.intra_op_num_threads = int(threads)
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
        return OnnxDetector(session, metadata, values, path)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: its metadata are damaged ({error}); convert the model again") from None
