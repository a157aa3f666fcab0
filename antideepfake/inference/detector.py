"""The detector as one uses it from Python."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp, nan
from pathlib import Path

import torch
from speechbrain.inference.classifiers import EncoderClassifier
from torch.utils.data import DataLoader, Dataset
from yaml import YAMLError

from antideepfake.checkpoints import FILES
from antideepfake.dataio import SAMPLE_RATE, read_waveform
from antideepfake.errors import InputError
from antideepfake.lobes import compute_embeddings, compute_logits


@dataclass(frozen=True)
class FileScore:
    """What the detector says of one file.

    Arguments
    ---------
    path : str
        The file.
    logits : pair of float
        Of fake and of real; not a number where the file could not be read.
    threshold : float
        Of the model folder.
    error : str
        Why the file could not be read; empty when it could.
    """

    path: str
    logits: tuple[float, float]
    threshold: float
    error: str = ""

    @property
    def score(self) -> float:
        """Logit of real minus logit of fake: higher means more likely real."""
        return self.logits[1] - self.logits[0]

    @property
    def probability(self) -> float:
        """The detector's P(real), in [0, 1]: the softmax of the logits, not calibrated."""
        return 1 / (1 + exp(-min(max(self.score, -700.0), 700.0)))

    @property
    def decision(self) -> str:
        """``real`` when the score lies above the threshold, else ``fake``; empty for a file that could not be read."""
        if self.error:
            return ""
        return "real" if self.score > self.threshold else "fake"


class _Files(Dataset):
    """Waveforms of files; of one that cannot be read, why."""

    def __init__(self, paths: list[str], min_samples: int) -> None:
        self.paths = paths
        self.min_samples = min_samples

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor | str:
        try:
            return read_waveform(self.paths[index], min_samples=self.min_samples)
        except InputError as error:
            return str(error)


class Detector(EncoderClassifier):
    """SpeechBrain's ``EncoderClassifier`` with what it lacks.

    Lengths reach every module, so that a score does not depend on what else is in the batch; and many files are scored
    at once.

    Load one with ``Detector.from_hparams(source=folder, savedir=...)``. As with every SpeechBrain model, the folder's
    hyperparams.yaml can run code: load folders that you trust.
    """

    def encode_batch(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None, normalize: bool = False
    ) -> torch.Tensor:
        """Turn normalised waveforms into embeddings.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms as :func:`antideepfake.dataio.read_waveform` gives, padded; shape [batch, time] or [time].
        wav_lens : torch.Tensor, optional
            Relative lengths, shape [batch]; all ones when not given.
        normalize : bool
            Not supported: a detector's embeddings are used as they are.

        Returns
        -------
        torch.Tensor
            Shape [batch, embedding_size].
        """
        if normalize:
            raise ValueError("a detector has no mean_var_norm_emb; normalize must be False")
        wavs = wavs.unsqueeze(0) if wavs.dim() == 1 else wavs
        wav_lens = torch.ones(len(wavs)) if wav_lens is None else wav_lens
        return compute_embeddings(self.mods, wavs.to(self.device), wav_lens.to(self.device))

    def weights_digest(self) -> str:
        """A short text that is the same for the same weights, and for others another."""
        digest = hashlib.blake2b(digest_size=16)
        for name, value in self.mods.state_dict().items():
            digest.update(name.encode() + value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @torch.inference_mode()
    def score_files(
        self, paths: Iterable[str | os.PathLike], batch_seconds: float = 60.0, num_workers: int = 0
    ) -> Iterator[FileScore]:
        """Score files in their order; one that cannot be read is reported and does not stop the others.

        Arguments
        ---------
        paths : iterable of str or Path
            Audio files of any format, rate and number of channels.
        batch_seconds : float
            Audio in a batch, padding included, in seconds. 60 keep both memory and time of a small model low on a CPU;
            a single longer file makes a batch of its own.
        num_workers : int
            Processes that read files; 0 reads them in this one.

        Yields
        ------
        FileScore
            One for each path.
        """
        files = _Files([str(path) for path in paths], self.mods["compute_features"].receptive_field)
        loader = DataLoader(files, batch_size=None, num_workers=num_workers)
        # Some batches' worth of files is read ahead and sorted by length: little padding, bounded memory.
        window: list[torch.Tensor | str] = []
        position, seconds = 0, 0.0
        for item in loader:
            window.append(item)
            seconds += 0 if isinstance(item, str) else len(item) / SAMPLE_RATE
            if seconds > 8 * batch_seconds or len(window) == 1024:
                yield from self._score_window(window, files.paths[position:], batch_seconds)
                position, seconds, window = position + len(window), 0.0, []
        yield from self._score_window(window, files.paths[position:], batch_seconds)

    def _score_window(
        self, window: list[torch.Tensor | str], paths: list[str], batch_seconds: float
    ) -> Iterator[FileScore]:
        logits = [(nan, nan)] * len(window)
        readable = [index for index, item in enumerate(window) if not isinstance(item, str)]
        batch: list[int] = []
        for index in sorted(readable, key=lambda index: len(window[index])):
            if batch and len(window[index]) * (len(batch) + 1) > batch_seconds * SAMPLE_RATE:
                self._score_batch(window, batch, logits)
                batch = []
            batch.append(index)
        if batch:
            self._score_batch(window, batch, logits)
        threshold = self.hparams.metadata.threshold
        for path, item, pair in zip(paths, window, logits, strict=False):
            yield FileScore(path, pair, threshold, item if isinstance(item, str) else "")

    def _score_batch(
        self, window: list[torch.Tensor | str], batch: list[int], logits: list[tuple[float, float]]
    ) -> None:
        waveforms = [waveform for index in batch if isinstance(waveform := window[index], torch.Tensor)]
        padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True).to(self.device)
        lengths = torch.tensor([len(waveform) / padded.shape[1] for waveform in waveforms], device=self.device)
        for index, pair in zip(batch, compute_logits(self.mods, padded, lengths).tolist(), strict=True):
            logits[index] = (pair[0], pair[1])


def load_detector(source: str | os.PathLike, device: str = "cpu") -> Detector:
    """Load a model folder, in place.

    Arguments
    ---------
    source : str or Path
        A model folder.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Returns
    -------
    Detector
        In evaluation mode.

    Raises
    ------
    InputError
        When the folder is not a model folder or is damaged, or the device is not there.
    """
    for name in ("hyperparams.yaml", *FILES.values()):
        if not Path(source, name).is_file():
            raise InputError(f"{source}: not a model folder; it holds no {name}")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device '{device}' cannot be used: {str(error).splitlines()[0]}") from None
    try:
        return Detector.from_hparams(source=str(source), savedir=None, run_opts={"device": device})
    except (YAMLError, KeyError, AttributeError) as error:
        raise InputError(f"{source}/hyperparams.yaml: not that of a model folder ({error})") from None
