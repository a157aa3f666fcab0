"""A detector as one graph of tensor operations for any batch and any lengths, for ONNX.

The front ends of :mod:`antideepfake.lobes` process utterances one by one, which a graph cannot. Here, masks keep
padding out, and convolutions with a Fourier basis replace short Fourier transforms: those of ONNX Runtime are slower.
"""

from typing import Any

import torch
import torchaudio

from antideepfake.audio.samples import NORMALIZATION_EPS, SAMPLE_RATE
from antideepfake.errors import InputError
from antideepfake.inference.detector import Detector
from antideepfake.inference.packing import share_weights
from antideepfake.lobes import second_branches
from antideepfake.lobes.aasist import AASIST, SSLAASIST
from antideepfake.lobes.front_ends import LogFilterBank, SincFilterBank
from antideepfake.lobes.masks import whole_lengths
from antideepfake.lobes.self_supervised import ConvolutionalFrontEnd, Wav2Vec2BERT
from antideepfake.lobes.whisper import HOP, LEVEL, WINDOW, Whisper


class DetectorGraph(torch.nn.Module):
    """Samples to logits, embeddings and, where the detector has them, scores of frames.

    Arguments
    ---------
    detector : Detector
        The model, on the CPU.

    Raises
    ------
    InputError
        When the front end is none of this package, or the back end takes padding for speech.

    Example
    -------
    >>> from antideepfake.lobes import ConvolutionalEncoder, UtteranceEncoder, assemble_detector
    >>> from antideepfake.model_folder import ModelMetadata
    >>> encoder = UtteranceEncoder(LogFilterBank(20), ConvolutionalEncoder(20, [4], 8))
    >>> modules = assemble_detector(encoder, torch.nn.Linear(8, 2)).eval()
    >>> graph = DetectorGraph(Detector(modules, {"metadata": ModelMetadata()}, {"device": "cpu"}))
    >>> logits, embeddings = graph(0.1 * torch.randn(3, 8000), torch.tensor([8000, 7000, 500]))
    >>> logits.shape, embeddings.shape
    (torch.Size([3, 2]), torch.Size([3, 8]))
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        encoder: Any = detector.mods["embedding_model"]
        self.front_end = make_front_end_graph(encoder.front_end)
        self.back_end, self.classifier = encoder.back_end, detector.mods["classifier"]
        self.layer_aggregation, self.fixed_length = encoder.layer_aggregation, encoder.fixed_length
        self.normalize = encoder.normalize
        self.second_branch = None if encoder.second_branch is None else replace_spectra(encoder.second_branch)
        if isinstance(self.back_end, AASIST | SSLAASIST) and self.fixed_length is None:
            raise InputError(
                f"the back end {type(self.back_end).__name__} cannot tell padding from speech; in ONNX, the detector "
                "needs fixed_length"
            )
        self.scores_frames = detector.frame_seconds is not None

    def forward(self, samples: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Score a batch.

        Arguments
        ---------
        samples : torch.Tensor
            At 16 kHz, not normalized, padded at the end with any values; shape [batch, time].
        lengths : torch.Tensor
            Number of samples of each utterance, int64; shape [batch].

        Returns
        -------
        logits : torch.Tensor
            Of fake and real, shape [batch, 2].
        embeddings : torch.Tensor
            Shape [batch, embedding_size].
        frame_scores, frame_counts : torch.Tensor
            Scores of frames, [batch, frames], and their number, [batch]; only with ``scores_frames``.
        """
        if self.normalize:
            waveforms = normalize_batch(samples, lengths)
        else:
            waveforms = torch.where(mark(lengths, samples), samples, 0.0)
        second = None
        if self.second_branch is not None:
            second = self.second_branch(waveforms, lengths / waveforms.shape[1])
        if self.fixed_length is not None:
            waveforms, _ = self.fixed_length(waveforms, lengths / waveforms.shape[1])
            lengths = torch.full_like(lengths, waveforms.shape[1])
        frames, counts = self.front_end(waveforms, lengths)
        relative_lengths = counts / frames.shape[-2]
        if self.layer_aggregation is not None:
            frames = self.layer_aggregation(frames, relative_lengths)
        embeddings = self.back_end(frames, relative_lengths)
        if second is not None:
            embeddings = torch.cat([embeddings, second], 1)
        outputs = self.classifier(embeddings), embeddings
        if not self.scores_frames:
            return outputs
        segments, relative_lengths = self.back_end.frame_embeddings(frames, relative_lengths)
        logits = self.classifier(segments)
        return *outputs, logits[..., 1] - logits[..., 0], whole_lengths(relative_lengths, segments.shape[1])


def normalize_batch(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Normalize utterances ([batch, time]) as :func:`antideepfake.audio.samples.normalize`; padding becomes 0."""
    mask = mark(lengths, samples)
    counts = lengths.unsqueeze(1).double()  # sums over millions of samples need float64
    mean = torch.where(mask, samples, 0.0).double().sum(1, keepdim=True) / counts
    centered = torch.where(mask, samples - mean.float(), 0.0)
    variance = centered.double().square().sum(1, keepdim=True) / counts
    return centered * torch.rsqrt(variance + NORMALIZATION_EPS).float()


def mark(lengths: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """Mark the steps of a batch ([batch, steps, ...]) that are not padding: True or False, [batch, steps]."""
    return torch.arange(batch.shape[1], device=batch.device) < lengths.unsqueeze(1)


def make_front_end_graph(front_end: torch.nn.Module) -> torch.nn.Module:
    """Make the graph of a front end: waveforms and lengths in samples to frames and their counts."""
    kinds: dict[type, type[torch.nn.Module]] = {
        LogFilterBank: LogFilterBankGraph,
        SincFilterBank: SincFilterBankGraph,
        Whisper: WhisperGraph,
        Wav2Vec2BERT: Wav2Vec2BERTGraph,
        ConvolutionalFrontEnd: ConvolutionalGraph,
    }
    for kind, graph in kinds.items():
        if isinstance(front_end, kind):
            return graph(front_end)
    names = "LogFilterBank, SincFilterBank, Whisper, Wav2Vec2, HuBERT, WavLM, Wav2Vec2BERT"
    raise InputError(f"the front end {type(front_end).__name__} has no form in ONNX; those that have: {names}")


class PowerSpectrum(torch.nn.Module):
    """The power spectrum of overlapping windows, by a convolution with a Fourier basis, and filters over it, if any.

    Arguments
    ---------
    window : torch.Tensor
        A linear map of the samples of a window, shape [size, size]; a plain window function is a diagonal matrix.
    n_fft : int
        Points of the Fourier transform.
    hop : int
        Samples between windows.
    filters : torch.Tensor, optional
        Shape [filters, n_fft // 2 + 1].
    """

    basis: torch.Tensor
    filters: torch.Tensor | None

    def __init__(self, window: torch.Tensor, n_fft: int, hop: int, filters: torch.Tensor | None = None) -> None:
        super().__init__()
        self.hop, self.bins = hop, n_fft // 2 + 1
        angles = 2 * torch.pi / n_fft * torch.arange(self.bins)[:, None].double() * torch.arange(len(window))
        basis = torch.cat([angles.cos(), -angles.sin()]) @ window.double()
        self.register_buffer("basis", basis.float().unsqueeze(1))
        self.register_buffer("filters", None if filters is None else filters.float().unsqueeze(2))

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Turn waveforms ([batch, time]) into power ([batch, windows, filters or bins])."""
        spectrum = torch.nn.functional.conv1d(waveforms.unsqueeze(1), self.basis, stride=self.hop)
        power = spectrum[:, : self.bins].square() + spectrum[:, self.bins :].square()
        if self.filters is not None:  # a convolution, since a linear layer would be quantized
            power = torch.nn.functional.conv1d(power, self.filters)
        return power.transpose(1, 2)


def replace_spectra(second_branch: torch.nn.Module) -> torch.nn.Module:
    """Copy a second branch, with convolutions for its short Fourier transforms; the other parts are shared."""
    copied = share_weights(second_branch)
    for name, part in second_branch.named_modules():
        # from 1024 points on, a convolution is no faster, and its basis has 4 MB
        if isinstance(part, second_branches.PowerSpectrum) and part.n_fft < 1024:
            copied.set_submodule(name, PowerSpectrum(part.window.diag(), part.n_fft, second_branches.HOP))
    return copied


class LogFilterBankGraph(torch.nn.Module):
    """:class:`antideepfake.lobes.LogFilterBank` for a batch."""

    def __init__(self, front_end: LogFilterBank) -> None:
        super().__init__()
        self.size, self.hop = front_end.receptive_field, front_end.hop
        self.power = PowerSpectrum(front_end.window.diag(), front_end.n_fft, self.hop, front_end.filters.T)

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms and lengths into frames and their counts."""
        frames = torch.log(self.power(waveforms) + 1e-6)
        counts = (lengths - self.size) // self.hop + 1
        mask = mark(counts, frames).unsqueeze(2)
        mean = torch.where(mask, frames, 0.0).sum(1, keepdim=True) / counts[:, None, None]
        return torch.where(mask, frames - mean, 0.0), counts


class SincFilterBankGraph(torch.nn.Module):
    """:class:`antideepfake.lobes.SincFilterBank` for a batch."""

    def __init__(self, front_end: SincFilterBank) -> None:
        super().__init__()
        self.front_end = front_end
        self.lost = front_end.receptive_field - 1

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms and lengths into frames and their counts."""
        return self.front_end(waveforms, lengths / waveforms.shape[1])[0], lengths - self.lost


class WhisperGraph(torch.nn.Module):
    """:class:`antideepfake.lobes.Whisper` for a batch."""

    def __init__(self, front_end: Whisper) -> None:
        super().__init__()
        self.front_end = front_end
        self.power = PowerSpectrum(LEVEL * front_end.window.diag(), WINDOW, HOP, front_end.filters)

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms and lengths into frames and their counts."""
        # reflect half a window at both ends of each utterance, wherever it ends
        margin = WINDOW // 2
        indices = torch.arange(-margin, waveforms.shape[1] + margin).abs().unsqueeze(0)
        last = lengths.unsqueeze(1) - 1
        indices = torch.where(indices > last, 2 * last - indices, indices).clamp(min=0)
        log_mel = self.power(waveforms.gather(1, indices))[:, :-1].clamp(min=1e-10).log10()
        steps = lengths // HOP
        mask = mark(steps, log_mel).unsqueeze(2)
        loudest = torch.where(mask, log_mel, -10.0).amax((1, 2), keepdim=True)
        log_mel = torch.where(mask, (torch.maximum(log_mel, loudest - 8.0) + 4.0) / 4.0, 0.0)
        stem, gelu = self.front_end.model.feature_extractor, torch.nn.functional.gelu
        hidden = torch.where(mask.transpose(1, 2), gelu(stem.conv1(log_mel.transpose(1, 2))), 0.0)
        hidden = gelu(stem.conv2(hidden)).transpose(1, 2)
        counts = (steps + 1) // 2
        return self.front_end.contextualize(hidden, mark(counts, hidden)), counts


class Wav2Vec2BERTGraph(torch.nn.Module):
    """:class:`antideepfake.lobes.Wav2Vec2BERT` for a batch."""

    def __init__(self, front_end: Wav2Vec2BERT) -> None:
        super().__init__()
        self.front_end = front_end
        kaldi = torchaudio.compliance.kaldi
        size, n_fft = 400, 512
        # Kaldi subtracts the mean of a window, then 0.97 times the sample before, then applies Povey's window
        center = torch.eye(size, dtype=torch.float64) - 1 / size
        emphasis = torch.eye(size, dtype=torch.float64)
        emphasis[torch.arange(size), (torch.arange(size) - 1).clamp(min=0)] -= 0.97
        povey = torch.hann_window(size, periodic=False, dtype=torch.float64).pow(0.85).diag()
        mels, _ = kaldi.get_mel_banks(80, n_fft, SAMPLE_RATE, 20.0, 0.0, 100.0, -500.0, 1.0)
        filters = torch.nn.functional.pad(mels, (0, 1))  # the bin at the Nyquist frequency has no weight
        self.power = PowerSpectrum(2**15 * povey @ emphasis @ center, n_fft, HOP, filters)

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms and lengths into frames and their counts."""
        energies = self.power(waveforms).clamp(min=torch.finfo(torch.float32).eps).log()
        steps = (lengths - WINDOW) // HOP + 1
        mask = mark(steps, energies).unsqueeze(2)
        size = steps[:, None, None]
        mean = torch.where(mask, energies, 0.0).sum(1, keepdim=True) / size
        centered = torch.where(mask, energies - mean, 0.0)
        variance = centered.square().sum(1, keepdim=True) / (size - 1)
        energies = centered * torch.rsqrt(variance + 1e-7)
        # pairs of steps; of an odd number the last one is left out
        features = torch.cat([energies[:, :-1:2], energies[:, 1::2]], 2)
        counts = steps // 2
        return self.front_end.contextualize(self.front_end.project(features), mark(counts, features)), counts


class ConvolutionalGraph(torch.nn.Module):
    """wav2vec 2.0, HuBERT or WavLM for a batch."""

    def __init__(self, front_end: Any) -> None:
        super().__init__()
        self.front_end: Any = front_end

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms and lengths into frames and their counts."""
        hidden, counts = waveforms.unsqueeze(1), lengths
        for layer in self.front_end.model.feature_extractor.conv_layers:
            conv = layer.conv
            hidden = torch.nn.functional.conv1d(hidden, conv.weight, conv.bias, conv.stride)
            counts = (counts - conv.kernel_size) // conv.stride + 1
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, torch.nn.LayerNorm):
                hidden = norm(hidden.transpose(1, 2)).transpose(1, 2)
            elif norm is not None:
                hidden = self._normalize_groups(norm, hidden, counts)
            hidden = layer.activation(hidden)
        features = hidden.transpose(1, 2)
        return self.front_end.contextualize(self.front_end.project(features), mark(counts, features)), counts

    @staticmethod
    def _normalize_groups(norm: torch.nn.GroupNorm, hidden: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Normalize each channel over time, without padding."""
        mask, size = mark(counts, hidden.transpose(1, 2)).unsqueeze(1), counts[:, None, None]
        mean = torch.where(mask, hidden, 0.0).sum(2, keepdim=True) / size
        variance = torch.where(mask, hidden - mean, 0.0).square().sum(2, keepdim=True) / size
        scaled = (hidden - mean) * torch.rsqrt(variance + norm.eps)
        return scaled * norm.weight[:, None] + norm.bias[:, None]
