"""The results of scoring: a recording, and a window of a stream."""

from dataclasses import dataclass, field
from math import exp, isfinite, nan

import numpy as np

from antideepfake.audio.speech import LEAST_SPEECH
from antideepfake.inference.timeline import Timeline
from antideepfake.model_folder.calibration import Calibration
from antideepfake.model_folder.decision import decide


@dataclass(frozen=True)
class FileScore:
    """The result for one recording.

    Arguments
    ---------
    path : str
        The file; for samples, ``item`` and their index.
    logits : pair of float
        Of fake and of real; NaN if the file could not be read.
    threshold : float
        Of the model folder.
    error : str
        Why the file could not be read; empty if it was.
    calibration : callable, optional
        Of the model folder: maps scores to log-likelihood ratios.
    is_ood : bool
        Whether the recording is out of distribution (:mod:`antideepfake.model_folder.out_of_distribution`); the
        decision is then ``unsure``.
    embedding : numpy.ndarray
        Input of the classifier, shape [embedding_size], float32; the mean over the windows of a long recording; empty
        if the file could not be read.
    windows : int
        Number of windows that the score was combined from; 1 for a recording scored as one utterance.
    duration : float
        Length of the recording in seconds.
    speech : float
        Seconds of speech; NaN if it was not measured: only a timeline needs it.
    timeline : Timeline, optional
        Scores over time, for a long recording or where asked for.
    """

    path: str
    logits: tuple[float, float]
    threshold: float
    error: str = ""
    calibration: Calibration | None = field(default=None, repr=False, compare=False)
    is_ood: bool = False
    embedding: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32), repr=False, compare=False)
    windows: int = 0
    duration: float = field(default=nan, compare=False)
    speech: float = field(default=nan, compare=False)
    timeline: Timeline | None = field(default=None, repr=False, compare=False)

    @property
    def score(self) -> float:
        """Difference of the logits, real minus fake; higher means more likely real."""
        return self.logits[1] - self.logits[0]

    @property
    def probability(self) -> float:
        """P(real), in [0, 1], with equal prior probabilities of real and fake.

        From the calibrated log-likelihood ratio; the softmax of the logits if the model folder has no calibration.
        """
        ratio = float(self.calibration([self.score])[0]) if self.calibration else self.score
        return 1 / (1 + exp(-min(max(ratio, -700.0), 700.0)))

    @property
    def decision(self) -> str:
        """``real``, ``fake`` or ``unsure``, see :func:`antideepfake.model_folder.decide`; empty without a score.

        ``unsure``, too, if speech was looked for and none was found.
        """
        if self.error or not isfinite(self.score):
            return ""
        return decide(self.score, self.threshold, self.is_ood or self.speech == 0)


@dataclass(frozen=True)
class WindowScore:
    """The score of a window of a stream.

    Arguments
    ---------
    start, end : float
        Seconds from the beginning of the stream.
    logits : pair of float
        Of fake and of real.
    speech : float
        Share of the window that is speech. With less than a tenth, the score says nothing.
    threshold : float
        Of the model folder.
    """

    start: float
    end: float
    logits: tuple[float, float]
    speech: float
    threshold: float

    @property
    def score(self) -> float:
        """Difference of the logits, real minus fake; higher means more likely real."""
        return self.logits[1] - self.logits[0]

    @property
    def has_speech(self) -> bool:
        """Whether there is enough speech to judge."""
        return not self.speech < LEAST_SPEECH

    @property
    def decision(self) -> str:
        """``real`` or ``fake``; ``no speech`` if there is nothing to judge."""
        return decide(self.score, self.threshold) if self.has_speech else "no speech"
