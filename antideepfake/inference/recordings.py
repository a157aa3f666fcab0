"""Scoring of recordings of any length, whatever computes the network: torch or ONNX Runtime. It needs no torch."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from antideepfake.audio.samples import (
    SAMPLE_RATE,
    Samples,
    require_length,
    split_samples,
    stream_samples,
)
from antideepfake.audio.speech import LEAST_SPEECH, SpeechActivity
from antideepfake.errors import InputError
from antideepfake.inference.items import Item, open_item, read_items, to_signal
from antideepfake.inference.scores import FileScore, WindowScore
from antideepfake.inference.timeline import Timeline, average_windows
from antideepfake.inference.windows import cut_windows
from antideepfake.model_folder.calibration import Calibration
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.out_of_distribution import OODDetector
from antideepfake.model_folder.windowing import Windowing

NOT_FINITE = "the output of the detector is not a finite number"


class Output(NamedTuple):
    """The output for a waveform. ``frames`` are the scores of its frames; empty where they were not computed."""

    logits: tuple[float, float]
    embedding: np.ndarray
    frames: np.ndarray


class _Window(NamedTuple):
    """A scored window: its start in seconds and its share of speech."""

    start: float
    speech: float
    output: Output


@dataclass
class _Job:
    """A recording on its way: what is known of it so far."""

    name: str
    error: str = ""
    duration: float = 0.0
    activity: SpeechActivity | None = None
    whole: Output | None = None
    windows: list[_Window] = field(default_factory=list)

    def judged(self) -> list[Output]:
        """Give the outputs for the score: of the utterance, or of the windows with speech; of all if none has any."""
        if self.whole:
            return [self.whole]
        speech = [window.output for window in self.windows if not window.speech < LEAST_SPEECH]
        return speech or [window.output for window in self.windows]


class _Piece(NamedTuple):
    """A waveform to score: a whole recording, or a window of one."""

    job: _Job
    samples: Samples
    start: float = 0.0
    speech: float = nan
    is_window: bool = False


class RecordingScorer(ABC):
    """The part of a detector that turns recordings into batches of samples, and their outputs into scores."""

    ood_detector: OODDetector | None = None
    max_samples: int | None = None
    """Largest number of samples of a waveform; None if there is no limit."""

    @property
    @abstractmethod
    def metadata(self) -> ModelMetadata:
        """Of the model folder."""

    @property
    @abstractmethod
    def min_samples(self) -> int:
        """The receptive field of the front end: least number of samples of a waveform."""

    @property
    @abstractmethod
    def frame_seconds(self) -> float | None:
        """Time between frames whose weighted mean score is that of an utterance; None if there are no such frames."""

    @abstractmethod
    def weights_digest(self) -> str:
        """Give a short text that identifies the weights and the precision of scoring."""

    @abstractmethod
    def score_batch(self, batch: list[Samples], needs_frames: bool) -> list[Output]:
        """Score samples at 16 kHz, not normalized, shape [time] each; independently of each other."""

    def score_files(
        self,
        items: Iterable[Item] | str | os.PathLike,
        batch_seconds: float = 16.0,
        num_workers: int = 0,
        progress: bool = False,
        windowing: Windowing | None = None,
        timeline: bool = False,
    ) -> Iterator[FileScore]:
        """Score recordings in order; one that cannot be read is reported and does not stop the others.

        A recording of up to ``windowing.utterance_seconds`` is one utterance. A longer one is scored in windows, read
        one after the other, so that memory does not grow with its length. Windows with less than a tenth of speech are
        left out of its score, unless all are.

        Arguments
        ---------
        items : iterable
            Paths of audio files of any format, rate and number of channels;
            :class:`antideepfake.audio.recording.Recording` for one channel or stream of a file; or pairs of samples and
            their rate in Hz, where samples are an array or tensor of floats or integers, shape [time] or
            [time, channels]. With ``num_workers`` 0 they may be a generator of more recordings than fit into memory. A
            single path is allowed.
        batch_seconds : float
            Audio in a batch, padding included, in seconds. On a CPU, more than 16 is not faster; a GPU needs 100 or
            more. A longer utterance forms a batch of its own.
        num_workers : int
            Processes that read files; 0 reads them in this process, which reads long recordings in any case.
        progress : bool
            Show a progress bar on standard error.
        windowing : Windowing, optional
            How long recordings are cut; by default as the model folder says.
        timeline : bool
            Give a timeline for short recordings too.

        Yields
        ------
        FileScore
            One for each item.
        """
        if isinstance(items, (str, os.PathLike)):
            items = [items]
        windowing = windowing or self.metadata.windowing()
        calibration = self.metadata.log_likelihood_ratio()
        total = len(items) if isinstance(items, Sized) else None
        # Read some batches ahead and sort them by length: little padding, bounded memory.
        ahead: list[_Piece] = []
        ended: list[_Job] = []
        seconds = 0.0
        with tqdm(total=total, desc="scoring", unit="file", disable=not progress) as bar:
            for job, piece in self._cut_items(items, num_workers, windowing, timeline):
                if piece:
                    ahead.append(piece)
                    seconds += len(piece.samples) / SAMPLE_RATE
                else:
                    ended.append(job)
                if seconds > 8 * batch_seconds or max(len(ahead), len(ended)) == 1024:
                    self._score_pieces(ahead, batch_seconds)
                    yield from self._finish_jobs(ended, windowing, calibration)
                    bar.update(len(ended))
                    ahead, ended, seconds = [], [], 0.0
            self._score_pieces(ahead, batch_seconds)
            yield from self._finish_jobs(ended, windowing, calibration)
            bar.update(len(ended))

    def stream(
        self, chunks: Iterable[Any], sample_rate: int = SAMPLE_RATE, windowing: Windowing | None = None
    ) -> Iterator[WindowScore]:
        """Score a stream window by window, while it is recorded.

        The windows are those of :meth:`score_files`, with the same scores to 1e-4. A window is given as soon as its
        last sample has arrived and, at rates other than 16 kHz, the samples that resampling needs: at most 20 ms later.

        Arguments
        ---------
        chunks : iterable
            Arrays, tensors or lists of samples, of any length: floats or integers, shape [time] or [time, channels].
        sample_rate : int
            Hz.
        windowing : Windowing, optional
            Length and hop of the windows; by default as the model folder says.

        Yields
        ------
        WindowScore
            In order of time. The last window ends with the stream.

        Raises
        ------
        InputError
            When the samples are invalid, or, at the end, when all were silent.
        """
        name = "the stream"
        blocks = (
            block
            for chunk in chunks
            if len(chunk)
            for block in split_samples(to_signal(chunk, name), sample_rate, name)
        )
        waveform = stream_samples(blocks, sample_rate, name)
        for window in cut_windows(waveform, windowing or self.metadata.windowing(), SpeechActivity()):
            self._require_length(window.samples, name)
            (output,) = self.score_batch([window.samples], needs_frames=False)
            if not _is_finite(output):
                raise InputError(f"{name}: {NOT_FINITE}")
            start, end = window.start / SAMPLE_RATE, (window.start + len(window.samples)) / SAMPLE_RATE
            yield WindowScore(start, end, output.logits, window.speech, self.metadata.threshold)

    def _cut_items(
        self, items: Iterable[Item], num_workers: int, windowing: Windowing, timeline: bool
    ) -> Iterator[tuple[_Job, _Piece | None]]:
        """Read items in order and yield what is to be scored of each; then the job with None, when it has ended."""
        for item, (name, samples) in read_items(items, windowing.utterance_seconds, num_workers):
            job = _Job(name)
            try:
                if isinstance(samples, str):
                    job.error = samples
                elif samples is None:
                    yield from self._cut_windows(job, open_item(item, name), windowing)
                else:
                    job.duration = len(samples) / SAMPLE_RATE
                    if timeline:
                        yield from self._cut_windows(job, [samples], windowing)
                    self._require_length(samples, name)
                    yield job, _Piece(job, samples)
            except InputError as error:
                job.error = str(error)
            yield job, None

    def _cut_windows(self, job: _Job, blocks: Iterable[Samples], windowing: Windowing) -> Iterator[tuple[_Job, _Piece]]:
        job.activity = SpeechActivity()
        for window in cut_windows(blocks, windowing, job.activity):
            start, seconds = window.start / SAMPLE_RATE, len(window.samples) / SAMPLE_RATE
            job.duration = start + seconds
            if len(window.samples) >= self.min_samples:
                self._require_length(window.samples, job.name)
                yield job, _Piece(job, window.samples, start, window.speech, True)

    def _require_length(self, samples: Samples, name: str) -> None:
        require_length(len(samples), name, self.min_samples)
        if self.max_samples and len(samples) > self.max_samples:
            raise InputError(
                f"{name}: too long to be scored at once; the model takes at most {self.max_samples / SAMPLE_RATE:.0f} "
                "s, so leave out --whole, or choose shorter windows"
            )

    def _score_pieces(self, pieces: list[_Piece], batch_seconds: float) -> None:
        """Score pieces in batches of about the same length; the outputs go to their jobs."""
        batches: list[list[_Piece]] = []
        for piece in sorted(pieces, key=lambda piece: len(piece.samples)):
            samples = len(piece.samples)
            if not batches or samples * (len(batches[-1]) + 1) > batch_seconds * SAMPLE_RATE:
                batches.append([])
            batches[-1].append(piece)
        for batch in batches:
            needs_frames = any(piece.is_window for piece in batch)
            outputs = self.score_batch([piece.samples for piece in batch], needs_frames)
            for piece, output in zip(batch, outputs, strict=True):
                if not _is_finite(output):
                    piece.job.error = f"{piece.job.name}: {NOT_FINITE}"
                elif piece.is_window:
                    piece.job.windows.append(_Window(piece.start, piece.speech, output))
                else:
                    piece.job.whole = output

    def _finish_jobs(
        self, jobs: list[_Job], windowing: Windowing, calibration: Calibration | None
    ) -> Iterator[FileScore]:
        """Combine the outputs for each recording."""
        for job in jobs:
            job.windows.sort(key=lambda window: window.start)
            if not job.error and not job.judged():
                job.error = f"{job.name}: too short; the front end needs at least {self.min_samples} samples"
        embeddings = {
            index: np.mean([output.embedding for output in job.judged()], 0)
            for index, job in enumerate(jobs)
            if not job.error
        }
        ood: dict[int, bool] = {}
        if self.ood_detector and embeddings:
            ood = dict(zip(embeddings, self.ood_detector.is_ood(np.stack(list(embeddings.values()))), strict=True))
        threshold = self.metadata.threshold
        for index, job in enumerate(jobs):
            if job.error:
                yield FileScore(job.name, (nan, nan), threshold, job.error)
                continue
            judged = [output.logits for output in job.judged()]
            yield FileScore(
                job.name,
                judged[0] if job.whole else windowing.combine(judged, threshold),
                threshold,
                "",
                calibration,
                bool(ood.get(index)),
                embeddings[index],
                len(judged),
                job.duration,
                job.activity.seconds() if job.activity else nan,
                self._make_timeline(job, job.activity, windowing) if job.activity else None,
            )

    def _make_timeline(self, job: _Job, activity: SpeechActivity, windowing: Windowing) -> Timeline:
        step, seconds = windowing.hop_seconds, windowing.window_seconds
        outputs = [window.output for window in job.windows]
        values: list[Any] = [output.logits[1] - output.logits[0] for output in outputs]
        if self.frame_seconds:
            step = seconds = self.frame_seconds
            values = [output.frames for output in outputs]
        scores = average_windows([window.start for window in job.windows], values, seconds, step, job.duration)
        return Timeline(step, job.duration, scores, activity.steps(step, len(scores)))


def _is_finite(output: Output) -> bool:
    fake, real = output.logits
    return isfinite(real - fake)
