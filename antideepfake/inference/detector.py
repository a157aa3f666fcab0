"""Load a detector and score recordings from Python."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.utils.logger import get_logger
from tqdm import tqdm
from yaml import YAMLError

from antideepfake.audio.speech import FRAME, LEAST_SPEECH, SpeechActivity
from antideepfake.audio.waveform import (
    SAMPLE_RATE,
    WaveformNormalizer,
    finish_waveform,
    normalize,
    split_samples,
    stream_samples,
)
from antideepfake.checkpoints.loading import fetch_folder
from antideepfake.errors import InputError
from antideepfake.inference.items import Item, open_item, read_items, to_signal
from antideepfake.inference.packing import can_pack, copy_for_inference, share_weights
from antideepfake.inference.scores import FileScore, WindowScore
from antideepfake.inference.timeline import Timeline, average_windows
from antideepfake.inference.windows import cut_windows
from antideepfake.lobes.masks import whole_lengths
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd
from antideepfake.model_folder.folder import build_modules, load_label_encoder, load_weights
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES, OLD_OOD_DETECTOR, OOD_DETECTOR
from antideepfake.model_folder.out_of_distribution import OODDetector, read_ood_detector
from antideepfake.model_folder.windowing import Windowing

logger = get_logger(__name__)

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class _Job:
    """A recording on its way: what is known of it so far."""

    name: str
    error: str = ""
    duration: float = 0.0
    activity: SpeechActivity | None = None
    whole: "_Output | None" = None
    windows: "list[_Output]" = field(default_factory=list)


class _Piece(NamedTuple):
    """A waveform to score: a whole recording, or a window of one."""

    job: _Job
    waveform: torch.Tensor
    start: float = 0.0
    speech: float = nan
    is_window: bool = False


class _Output(NamedTuple):
    """The output for a piece. ``frames`` are the scores of its frames; empty where they were not computed."""

    start: float
    speech: float
    logits: tuple[float, float]
    embedding: np.ndarray
    frames: np.ndarray


class Detector(EncoderClassifier):
    """SpeechBrain's ``EncoderClassifier``, which also scores many recordings at once and in half precision.

    Load one with :func:`load_detector`. ``Detector.from_hparams(source=folder, savedir=...)`` works too but, as with
    every SpeechBrain model, the folder's hyperparams.yaml can run code.

    Example
    -------
    >>> from antideepfake.lobes import MeanPooling, UtteranceEncoder, Wav2Vec2, assemble_detector
    >>> front_end = Wav2Vec2(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> modules = assemble_detector(UtteranceEncoder(front_end, MeanPooling()), torch.nn.Linear(16, 2))
    >>> hparams = {"metadata": ModelMetadata(), "label_encoder": CategoricalEncoder()}
    >>> detector = Detector(modules, hparams, {"device": "cpu"})
    >>> (result,) = detector.score_files([(np.random.default_rng(1).standard_normal(8000), 8000)])
    >>> result.path, result.decision in ("real", "fake"), 0 <= result.probability <= 1, result.embedding.shape
    ('item 0', True, True, (16,))
    """

    ood_detector: OODDetector | None = None
    _precision = "fp32"
    _digest = ""
    _copies: tuple[torch.nn.Module, ...] = ()  # in a tuple, as a module would become part of state_dict

    def prepare(self, precision: str = "fp32") -> None:
        """Set the precision of :meth:`score_files`. Call it again after changing weights.

        Scoring computes with a copy of the front end, made at the first score: in this precision and, on a CPU, with
        packed weights. ``mods`` stay as they were loaded, for ``encode_batch``, ``state_dict`` and export. The weights
        of a model folder are mapped from its file, so the operating system can free their memory while the copy is
        used.

        Arguments
        ---------
        precision : str
            ``fp32`` or ``bf16``. In bfloat16 a self-supervised front end computes all but the first convolution;
            pooling, classifier and front ends of other kinds stay in float32. A CPU without bfloat16 arithmetic uses
            float32, with a warning, since emulation is many times slower.

        Raises
        ------
        InputError
            When the precision is unknown.
        """
        if precision not in PRECISIONS:
            raise InputError(f"the precision '{precision}' is unknown; use {' or '.join(PRECISIONS)}")
        if precision == "bf16" and self.device_type == "cpu" and not can_pack(torch.bfloat16):
            logger.warning("this processor has no bfloat16 arithmetic, and emulating it is slow: using float32 instead")
            precision = "fp32"
        self._precision, self._digest, self._copies = precision, "", ()

    def _scoring_encoder(self) -> torch.nn.Module:
        """Give the embedding model that scores, made at the first call."""
        if not self._copies:
            encoder: Any = self.mods["embedding_model"]
            dtype, on_cpu = PRECISIONS[self._precision], self.device_type == "cpu"
            if isinstance(encoder.front_end, SelfSupervisedFrontEnd) and (on_cpu or dtype != torch.float32):
                front_end = copy_for_inference(encoder.front_end, dtype, pack=on_cpu)
                encoder = share_weights(encoder)
                encoder.front_end = front_end
            self._copies = (encoder,)
        return self._copies[0]

    def weights_digest(self) -> str:
        """Give a short text that identifies the weights and the precision of scoring."""
        if not self._digest:
            digest = hashlib.blake2b(digest_size=8)
            for name, value in self.mods.state_dict().items():
                digest.update(name.encode())
                digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
            self._digest = f"{digest.hexdigest()} {self._precision}"
        return self._digest

    @torch.inference_mode()
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
        windowing = windowing or self.hparams.metadata.windowing()
        total = len(items) if isinstance(items, Sized) else None
        # Read some batches ahead and sort them by length: little padding, bounded memory.
        ahead: list[_Piece] = []
        ended: list[_Job] = []
        seconds = 0.0
        with tqdm(total=total, desc="scoring", unit="file", disable=not progress) as bar:
            for job, piece in self._cut_items(items, num_workers, windowing, timeline):
                if piece:
                    ahead.append(piece)
                    seconds += len(piece.waveform) / SAMPLE_RATE
                else:
                    ended.append(job)
                if seconds > 8 * batch_seconds or max(len(ahead), len(ended)) == 1024:
                    self._score_pieces(ahead, batch_seconds)
                    for job in ended:
                        yield self._finish_job(job, windowing)
                    bar.update(len(ended))
                    ahead, ended, seconds = [], [], 0.0
            self._score_pieces(ahead, batch_seconds)
            for job in ended:
                yield self._finish_job(job, windowing)
            bar.update(len(ended))

    @torch.inference_mode()
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
        name, job = "the stream", _Job("the stream")
        blocks = (
            block
            for chunk in chunks
            if len(chunk)
            for block in split_samples(to_signal(chunk, name), sample_rate, name)
        )
        waveform = stream_samples(blocks, sample_rate, name)
        for window in cut_windows(waveform, windowing or self.hparams.metadata.windowing(), SpeechActivity()):
            job.windows.clear()
            start = window.start / SAMPLE_RATE
            samples = finish_waveform([window.samples], name, self._min_samples)
            self._score_pieces([_Piece(job, samples, start, window.speech, True)], 0)
            if job.error:
                raise InputError(job.error)
            end = start + len(window.samples) / SAMPLE_RATE
            yield WindowScore(start, end, job.windows[0].logits, window.speech, self.hparams.metadata.threshold)

    @property
    def _min_samples(self) -> int:
        return self.mods["embedding_model"].front_end.receptive_field

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
                    yield job, _Piece(job, finish_waveform([samples], name, self._min_samples))
            except InputError as error:
                job.error = str(error)
            yield job, None

    def _cut_windows(
        self, job: _Job, blocks: Iterable[torch.Tensor], windowing: Windowing
    ) -> Iterator[tuple[_Job, _Piece]]:
        job.activity = SpeechActivity()
        for window in cut_windows(blocks, windowing, job.activity):
            start, seconds = window.start / SAMPLE_RATE, len(window.samples) / SAMPLE_RATE
            job.duration = start + seconds
            if len(window.samples) >= self._min_samples:
                yield job, _Piece(job, normalize(window.samples), start, window.speech, True)

    def _score_pieces(self, pieces: list[_Piece], batch_seconds: float) -> None:
        batch: list[_Piece] = []
        for piece in sorted(pieces, key=lambda piece: len(piece.waveform)):
            if batch and len(piece.waveform) * (len(batch) + 1) > batch_seconds * SAMPLE_RATE:
                self._score_batch(batch)
                batch = []
            batch.append(piece)
        if batch:
            self._score_batch(batch)

    def _score_batch(self, batch: list[_Piece]) -> None:
        """Score pieces of about the same length; the outputs go to their jobs."""
        padded = torch.nn.utils.rnn.pad_sequence([piece.waveform for piece in batch], batch_first=True)
        lengths = torch.tensor([len(piece.waveform) / padded.shape[1] for piece in batch])
        encoder: Any = self._scoring_encoder()
        frames, frame_lengths = encoder.encode(padded.to(self.device), lengths.to(self.device))
        embeddings = encoder.back_end(frames, frame_lengths)
        classifier = self.mods["classifier"]
        logits = classifier(embeddings).float().tolist()
        vectors = embeddings.float().cpu().numpy()
        frame_scores = [np.empty(0)] * len(batch)
        if self._scores_frames and any(piece.is_window for piece in batch):
            values = classifier(encoder.back_end.frame_embeddings(frames)).double()
            counts = whole_lengths(frame_lengths, values.shape[1]).tolist()
            scores = (values[..., 1] - values[..., 0]).cpu().numpy()
            frame_scores = [row[:count] for row, count in zip(scores, counts, strict=True)]
        for piece, (fake, real), vector, scores in zip(batch, logits, vectors, frame_scores, strict=True):
            if not isfinite(real - fake):
                piece.job.error = f"{piece.job.name}: the output of the detector is not a finite number"
            output = _Output(piece.start, piece.speech, (fake, real), vector, scores)
            if piece.is_window:
                piece.job.windows.append(output)
            else:
                piece.job.whole = output

    @property
    def _scores_frames(self) -> bool:
        """Whether the score of an utterance is the mean of scores of its frames: mean pooling, linear classifier."""
        encoder: Any = self.mods["embedding_model"]
        has_frames = hasattr(encoder.back_end, "frame_embeddings") and hasattr(encoder.front_end, "hop")
        return has_frames and isinstance(self.mods["classifier"], torch.nn.Linear)

    def _finish_job(self, job: _Job, windowing: Windowing) -> FileScore:
        """Combine the outputs for a recording."""
        metadata = self.hparams.metadata
        windows = sorted(job.windows, key=lambda output: output.start)
        judged = (
            [job.whole] if job.whole else [output for output in windows if not output.speech < LEAST_SPEECH] or windows
        )
        if job.error or not judged:
            error = job.error or f"{job.name}: too short; the front end needs at least {self._min_samples} samples"
            return FileScore(job.name, (nan, nan), metadata.threshold, error)
        logits = judged[0].logits
        if not job.whole:
            logits = windowing.combine([output.logits for output in judged], metadata.threshold)
        embedding = np.mean([output.embedding for output in judged], 0)
        return FileScore(
            job.name,
            logits,
            metadata.threshold,
            "",
            metadata.log_likelihood_ratio(),
            bool(self.ood_detector and self.ood_detector.is_ood(embedding[None])[0]),
            embedding,
            len(judged),
            job.duration,
            float(job.activity.frames().sum()) * FRAME / SAMPLE_RATE if job.activity else nan,
            self._make_timeline(job, windows, windowing) if job.activity else None,
        )

    def _make_timeline(self, job: _Job, windows: list[_Output], windowing: Windowing) -> Timeline:
        step, seconds = windowing.hop_seconds, windowing.window_seconds
        values: list[Any] = [output.logits[1] - output.logits[0] for output in windows]
        if self._scores_frames:
            step = seconds = self.mods["embedding_model"].front_end.hop / SAMPLE_RATE
            values = [output.frames for output in windows]
        scores = average_windows([output.start for output in windows], values, seconds, step, job.duration)
        assert job.activity
        return Timeline(step, job.duration, scores, job.activity.steps(step, len(scores)))


def load_detector(
    source: str | os.PathLike, device: str = "cpu", precision: str = "fp32", trust_code: bool = False
) -> Detector:
    """Load a model folder.

    Arguments
    ---------
    source : str or Path
        A model folder, or the id of one on the Hugging Face Hub, ``owner/name``.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    precision : str
        As for :meth:`Detector.prepare`.
    trust_code : bool
        Load a folder without config.json through its hyperparams.yaml, which can run any code. Detectors with modules
        from outside this project have no config.json: set it for your own.

    Returns
    -------
    Detector
        In evaluation mode.

    Raises
    ------
    InputError
        When the folder is not a model folder or is damaged, or the device does not exist.
    """
    folder = fetch_folder(source, ("config.json", "hyperparams.yaml", OOD_DETECTOR, OLD_OOD_DETECTOR, *FILES.values()))
    plain = (folder / "config.json").is_file()
    for name in ("config.json" if plain else "hyperparams.yaml", *FILES.values()):
        if not (folder / name).is_file():
            raise InputError(f"{source}: not a model folder; it contains no {name}")
    try:
        torch.empty(1, device=device).cpu()  # fails on meta, which has no memory
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device '{device}' cannot be used: {str(error).splitlines()[0]}") from None
    if plain:
        detector = _load_plain(folder, device)
    elif trust_code:
        try:
            detector = Detector.from_hparams(source=str(folder), savedir=None, run_opts={"device": device})
        except (YAMLError, KeyError, AttributeError, ImportError, TypeError, ValueError) as error:
            raise InputError(f"{source}/hyperparams.yaml: not from a model folder ({error})") from None
    else:
        raise InputError(
            f"{source}: contains no config.json, and its hyperparams.yaml can run code; pass trust_code to trust it"
        )
    reference = next((folder / name for name in (OOD_DETECTOR, OLD_OOD_DETECTOR) if (folder / name).exists()), None)
    detector.ood_detector = read_ood_detector(reference) if reference else None
    sizes = {value.shape[-1] for value in detector.mods["classifier"].state_dict().values() if value.dim()}
    if detector.ood_detector and len(detector.ood_detector.mean) not in sizes:
        raise InputError(f"{reference}: fitted to embeddings of another model; fit it again or delete it")
    detector.prepare(precision)
    return detector


def _load_plain(folder: Path, device: str) -> Detector:
    """Load a model folder from its config.json."""
    modules = build_modules(folder / "config.json")
    load_weights(modules, folder / FILES["model"])
    label_encoder, metadata = CategoricalEncoder(), ModelMetadata()
    load_label_encoder(label_encoder, folder / FILES["label_encoder"])
    metadata.load(folder / FILES["metadata"])
    hparams = {
        "modules": modules,
        "label_encoder": label_encoder,
        "metadata": metadata,
        "audio_normalizer": WaveformNormalizer(),
    }
    return Detector(modules, hparams, {"device": device})
