"""Detect speech activity."""

import os
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

RANGE_DB = 35.0  # a frame counts as speech if its power is within this many dB of the loudest frame
SAMPLE_RATE = 16_000  # Hz, of Silero VAD
FRAME = 512  # samples of a frame of Silero VAD: 32 ms
CONTEXT = 64  # samples before a frame that Silero VAD takes, too
LEAST_SPEECH = 0.1  # share of speech from which a part of a recording counts as speech
PROBABILITY = 0.5  # of speech, from which a frame counts as speech: the default of Silero VAD


def find_speech_frames(samples: NDArray[np.floating], frame: int) -> NDArray[np.bool_]:
    """Find the speech frames of a recording with a quiet background.

    Arguments
    ---------
    samples : array
        Shape [time].
    frame : int
        Frame length in samples, such as 160 for 10 ms at 16 kHz.

    Returns
    -------
    array of bool
        Shape [frames]; True for speech. Samples after the last complete frame are ignored. All False for a silent
        recording.

    Example
    -------
    >>> find_speech_frames(np.repeat([0.0, 1.0, 0.01, 0.5], 160), frame=160).tolist()
    [False, True, False, True]
    """
    frames = np.asarray(samples, dtype=np.float64)[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(frames**2, axis=1)
    return power > power.max(initial=0.0) * 10 ** (-RANGE_DB / 10)


class SpeechActivity:
    """Find speech in a recording of any kind, block by block, with Silero VAD.

    Unlike :func:`find_speech_frames`, it tells speech from noise and music. The result does not depend on the size of
    the blocks.

    Example
    -------
    >>> activity = SpeechActivity()
    >>> activity.push(np.zeros(16000, np.float32))
    >>> activity.frames().shape, activity.share(0, 16000)
    ((31,), 0.0)
    """

    def __init__(self) -> None:
        self._is_speech: list[NDArray[np.bool_]] = []
        self._rest = np.zeros(CONTEXT, np.float32)  # the context and the samples of an incomplete frame
        self._state = (np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32))

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next block of a 16 kHz recording; shape [time], full scale is 1."""
        samples = np.concatenate([self._rest, block])
        count = (len(samples) - CONTEXT) // FRAME
        self._rest = samples[count * FRAME :]
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT + FRAME)[::FRAME][:count]
            for part in np.array_split(frames, -(-count // 512)):
                inputs = {"input": np.ascontiguousarray(part), "h": self._state[0], "c": self._state[1]}
                probabilities, *state = _load_model().run(["speech_probs", "hn", "cn"], inputs)
                self._state = (state[0], state[1])
                self._is_speech.append(probabilities.ravel() >= PROBABILITY)

    def frames(self) -> NDArray[np.bool_]:
        """Give the complete frames so far: True for speech; shape [frames], 32 ms each."""
        self._is_speech = [np.concatenate([np.zeros(0, bool), *self._is_speech])]
        return self._is_speech[0]

    def seconds(self) -> float:
        """Give the seconds of speech in the complete frames so far."""
        return float(self.frames().sum()) * FRAME / SAMPLE_RATE

    def share(self, start: int, stop: int) -> float:
        """Give the share of speech from sample ``start`` to ``stop``, of the complete frames; NaN if there are none."""
        inside = self.frames()[-(-start // FRAME) : stop // FRAME]
        return float(inside.mean()) if len(inside) else float("nan")

    def steps(self, step: float, count: int) -> NDArray[np.bool_]:
        """Give whether each step of a timeline contains speech.

        Arguments
        ---------
        step : float
            Length of a step in seconds.
        count : int
            Number of steps.

        Returns
        -------
        array of bool
            Shape [count]. True if speech fills a tenth of the step or more. A step after the last complete frame is
            like that frame.
        """
        frames = self.frames()
        if not len(frames):
            return np.ones(count, bool)
        bounds = np.arange(count + 1) * step * SAMPLE_RATE / FRAME
        first = np.minimum(bounds[:-1].astype(int), len(frames) - 1)
        last = np.clip(np.ceil(bounds[1:] - 1e-6).astype(int), first + 1, len(frames))
        sums = np.concatenate([[0], np.cumsum(frames)])
        return (sums[last] - sums[first]) / (last - first) >= LEAST_SPEECH


@cache
def _load_model() -> Any:
    """Load the model, which the package silero-vad contains."""
    # ONNX Runtime, which runs the model, would report its use to Microsoft; it reads this when it is imported
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    # only the file is needed: importing the package would import torch
    spec = find_spec("silero_vad")
    assert spec and spec.submodule_search_locations
    folder = spec.submodule_search_locations[0]
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    path = os.path.join(folder, "data", "silero_vad_16k_sequence.onnx")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
