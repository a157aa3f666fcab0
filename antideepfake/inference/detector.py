"""Load a detector and score recordings from Python."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from math import exp, isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.utils.logger import get_logger
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from yaml import YAMLError

from antideepfake.audio.ffmpeg import scale_integers
from antideepfake.audio.waveform import SAMPLE_RATE, WaveformNormalizer, make_waveform, read_waveform
from antideepfake.checkpoints.loading import fetch_folder
from antideepfake.errors import InputError
from antideepfake.inference.packing import can_pack, copy_for_inference, share_weights
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd
from antideepfake.model_folder.calibration import Calibration
from antideepfake.model_folder.decision import decide
from antideepfake.model_folder.folder import build_modules, load_label_encoder, load_weights
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES, OLD_OOD_DETECTOR, OOD_DETECTOR
from antideepfake.model_folder.out_of_distribution import OODDetector, read_ood_detector

logger = get_logger(__name__)

Item = str | os.PathLike | tuple[Any, int]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


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
        Input of the classifier, shape [embedding_size], float32; empty if the file could not be read.
    """

    path: str
    logits: tuple[float, float]
    threshold: float
    error: str = ""
    calibration: Calibration | None = field(default=None, repr=False, compare=False)
    is_ood: bool = False
    embedding: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32), repr=False, compare=False)

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
        """``real``, ``fake`` or ``unsure``, see :func:`antideepfake.model_folder.decide`; empty without a score."""
        if self.error or not isfinite(self.score):
            return ""
        return decide(self.score, self.threshold, self.is_ood)


class _Items(Dataset):
    """Names with waveforms, or with the reason why an item cannot be read."""

    def __init__(self, items: list[Item], min_samples: int) -> None:
        self.items = items
        self.min_samples = min_samples

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[str, torch.Tensor | str]:
        return _read_item(self.items[index], index, self.min_samples)


def _read_item(item: Item, index: int, min_samples: int) -> tuple[str, torch.Tensor | str]:
    name = f"item {index}"
    try:
        if isinstance(item, (str, os.PathLike)):
            name = os.fspath(item)
            return name, read_waveform(item, min_samples=min_samples)
        samples, sample_rate = item
        return name, make_waveform(_to_signal(samples, name), sample_rate, name, min_samples)
    except InputError as error:
        return name, str(error)
    except Exception as error:  # no item may stop the others
        return name, f"{name}: neither a path nor a pair of samples and their rate ({type(error).__name__}: {error})"


def _to_signal(samples: Any, name: str) -> torch.Tensor:
    """Turn an array, a tensor or a list into a float32 tensor; integers, of any width, are scaled to [-1, 1)."""
    if isinstance(samples, torch.Tensor):
        samples = samples.detach().cpu()
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    array = np.asarray(samples)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: samples of type {array.dtype}; pass floats or integers")
    if array.dtype.kind != "f":
        return torch.from_numpy(scale_integers(array))
    with np.errstate(over="ignore"):  # an overflow becomes infinite, which make_waveform refuses
        # a copy, since torch supports neither negative strides nor foreign byte orders
        return torch.from_numpy(np.array(array, np.float32, order="C"))


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
    ) -> Iterator[FileScore]:
        """Score recordings in order; one that cannot be read is reported and does not stop the others.

        Arguments
        ---------
        items : iterable
            Paths of audio files of any format, rate and number of channels; or pairs of samples and their rate in Hz,
            where samples are an array or tensor of floats or integers, shape [time] or [time, channels]. With
            ``num_workers`` 0 they may be a generator of more recordings than fit into memory. A single path is allowed.
        batch_seconds : float
            Audio in a batch, padding included, in seconds. On a CPU, more than 16 is not faster; a GPU needs 100 or
            more. A longer file forms a batch of its own.
        num_workers : int
            Processes that read files; 0 reads them in this process.
        progress : bool
            Show a progress bar on standard error.

        Yields
        ------
        FileScore
            One for each item.
        """
        if isinstance(items, (str, os.PathLike)):
            items = [items]
        min_samples = self.mods["embedding_model"].front_end.receptive_field
        total = len(items) if isinstance(items, Sized) else None
        waveforms = _read(items, min_samples, num_workers)
        # Read some batches ahead and sort them by length: little padding, bounded memory.
        window: list[tuple[str, torch.Tensor | str]] = []
        seconds = 0.0
        with tqdm(total=total, desc="scoring", unit="file", disable=not progress) as bar:
            for named in waveforms:
                window.append(named)
                seconds += 0 if isinstance(named[1], str) else len(named[1]) / SAMPLE_RATE
                if seconds > 8 * batch_seconds or len(window) == 1024:
                    yield from self._score_window(window, batch_seconds)
                    bar.update(len(window))
                    seconds, window = 0.0, []
            yield from self._score_window(window, batch_seconds)
            bar.update(len(window))

    def _score_window(self, window: list[tuple[str, torch.Tensor | str]], batch_seconds: float) -> Iterator[FileScore]:
        metadata = self.hparams.metadata
        results: dict[int, FileScore] = {}
        readable: list[tuple[int, torch.Tensor]] = []
        for index, (name, item) in enumerate(window):
            if isinstance(item, str):
                results[index] = FileScore(name, (nan, nan), metadata.threshold, item)
            else:
                readable.append((index, item))
        batch: list[tuple[int, torch.Tensor]] = []
        for index, waveform in sorted(readable, key=lambda item: len(item[1])):
            if batch and len(waveform) * (len(batch) + 1) > batch_seconds * SAMPLE_RATE:
                results.update(self._score_batch(window, batch))
                batch = []
            batch.append((index, waveform))
        if batch:
            results.update(self._score_batch(window, batch))
        for index in range(len(window)):
            yield results.pop(index)

    def _score_batch(
        self, window: list[tuple[str, torch.Tensor | str]], batch: list[tuple[int, torch.Tensor]]
    ) -> Iterator[tuple[int, FileScore]]:
        padded = torch.nn.utils.rnn.pad_sequence([waveform for _, waveform in batch], batch_first=True)
        lengths = torch.tensor([len(waveform) / padded.shape[1] for _, waveform in batch])
        embeddings = self._scoring_encoder()(padded.to(self.device), lengths.to(self.device))
        logits = self.mods["classifier"](embeddings).float().tolist()
        threshold, calibration = self.hparams.metadata.threshold, self.hparams.metadata.log_likelihood_ratio()
        vectors = embeddings.float().cpu().numpy()
        ood = self.ood_detector.is_ood(vectors).tolist() if self.ood_detector else [False] * len(vectors)
        for (index, _), (fake, real), is_ood, vector in zip(batch, logits, ood, vectors, strict=True):
            name = window[index][0]
            if isfinite(real - fake):
                yield index, FileScore(name, (fake, real), threshold, "", calibration, is_ood, vector)
            else:
                error = f"{name}: the output of the detector is not a finite number"
                yield index, FileScore(name, (nan, nan), threshold, error)


def _read(items: Iterable[Item], min_samples: int, num_workers: int) -> Iterator[tuple[str, torch.Tensor | str]]:
    """Read items in order: names with waveforms, or with the reason why there is none."""
    if num_workers == 0:
        for index, item in enumerate(items):
            yield _read_item(item, index, min_samples)
        return
    dataset = _Items(list(items), min_samples)
    yield from DataLoader(dataset, batch_size=None, num_workers=num_workers)


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
