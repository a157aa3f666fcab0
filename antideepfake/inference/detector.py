"""Load a detector and score recordings from Python."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from ruamel.yaml.error import YAMLError
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.utils.logger import get_logger
from torch.nn.utils.rnn import pad_sequence

from antideepfake.audio.samples import Samples, normalize
from antideepfake.audio.waveform import WaveformNormalizer
from antideepfake.checkpoints.loading import fetch_folder
from antideepfake.errors import InputError
from antideepfake.inference.packing import can_pack, copy_for_inference, share_weights
from antideepfake.inference.recordings import Output, RecordingScorer
from antideepfake.lobes.masks import whole_lengths
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd
from antideepfake.model_folder.folder import load_label_encoder, load_modules
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES, OLD_OOD_DETECTOR, OOD_DETECTOR
from antideepfake.model_folder.out_of_distribution import read_ood_detector

logger = get_logger(__name__)

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Detector(RecordingScorer, EncoderClassifier):
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
    def score_batch(self, batch: list[Samples], needs_frames: bool) -> list[Output]:
        """Score samples at 16 kHz, not normalized, shape [time] each; independently of each other."""
        encoder: Any = self._scoring_encoder()
        waveforms = [torch.from_numpy(normalize(samples) if encoder.normalize else samples) for samples in batch]
        padded = pad_sequence(waveforms, batch_first=True)
        lengths = torch.tensor([len(samples) / padded.shape[1] for samples in batch])
        inputs = padded.to(self.device), lengths.to(self.device)
        frames, frame_lengths = encoder.encode(*inputs)
        embeddings = encoder.embed(frames, frame_lengths, *inputs)
        classifier = self.mods["classifier"]
        logits = classifier(embeddings).float().tolist()
        frame_scores = [np.empty(0)] * len(batch)
        if needs_frames and self.frame_seconds:
            segments, lengths = encoder.back_end.frame_embeddings(frames, frame_lengths)
            values = classifier(segments).double()
            counts = whole_lengths(lengths, values.shape[1]).tolist()
            scores = (values[..., 1] - values[..., 0]).cpu().numpy()
            frame_scores = [row[:count] for row, count in zip(scores, counts, strict=True)]
        vectors = embeddings.float().cpu().numpy()
        return [Output(tuple(pair), *rest) for pair, *rest in zip(logits, vectors, frame_scores, strict=True)]

    @property
    def metadata(self) -> ModelMetadata:
        """Of the model folder."""
        return self.hparams.metadata

    @property
    def min_samples(self) -> int:
        """The least length of a waveform in samples, as :attr:`antideepfake.lobes.UtteranceEncoder.min_samples`."""
        return self.mods["embedding_model"].min_samples

    @property
    def frame_seconds(self) -> float | None:
        """Time between frames whose weighted mean score is that of an utterance; None if there are no such frames.

        Frames have scores with a linear classifier and a back end that pools frames, unless the length is fixed: then
        frames are those of the first seconds, perhaps repeated. A second branch has no frames.
        """
        encoder: Any = self.mods["embedding_model"]
        return encoder.frame_seconds if isinstance(self.mods["classifier"], torch.nn.Linear) else None


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
        except (YAMLError, yaml.YAMLError, KeyError, AttributeError, ImportError, TypeError, ValueError) as error:
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
    modules = load_modules(folder)
    encoder: Any = modules["embedding_model"]
    label_encoder, metadata = CategoricalEncoder(), ModelMetadata()
    load_label_encoder(label_encoder, folder / FILES["label_encoder"])
    metadata.load(folder / FILES["metadata"])
    hparams = {
        "modules": modules,
        "label_encoder": label_encoder,
        "metadata": metadata,
        "audio_normalizer": WaveformNormalizer(encoder.normalize),
    }
    return Detector(modules, hparams, {"device": device})
