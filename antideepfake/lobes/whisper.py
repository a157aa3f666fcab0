"""The encoder of Whisper as a front end whose output does not depend on padding, without padding to 30 seconds.

It is computed here rather than by ``transformers``, whose encoder has no mask and takes longer to import than torch.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.lobes.masks import whole_lengths
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd

WINDOW, HOP = 400, 160  # samples: 25 and 10 ms
POSITIONS = 1500  # frames of 20 ms: the table of every published Whisper ends at 30 s
LONGEST = (2 * POSITIONS + 1) * HOP - 1  # samples
# Whisper was trained on waveforms in [-1, 1], and its features keep the level. Waveforms come with unit variance, so
# they are scaled to -26 dB relative to full scale, the nominal level of speech (ITU-T P.56 and G.191).
LEVEL = 10 ** (-26 / 20)


@dataclass
class WhisperConfig:
    """Sizes and dropout of an encoder, named as those of other encoders; the defaults are those of Whisper tiny."""

    hidden_size: int = 384
    num_hidden_layers: int = 4
    num_attention_heads: int = 6
    intermediate_size: int = 1536
    num_mel_bins: int = 80
    hidden_dropout: float = 0.0
    activation_dropout: float = 0.0
    attention_dropout: float = 0.0
    layerdrop: float = 0.0


class Stem(torch.nn.Module):
    """The two convolutions below the transformer.

    Arguments
    ---------
    config : WhisperConfig
        Its ``num_mel_bins`` and ``hidden_size`` are used.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.checkpoints = False
        self.conv1 = torch.nn.Conv1d(config.num_mel_bins, config.hidden_size, 3, padding=1)
        self.conv2 = torch.nn.Conv1d(config.hidden_size, config.hidden_size, 3, padding=1, stride=2)

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Turn ``log_mel`` ([mels, steps]) into features ([(steps + 1) // 2, size])."""
        if self.training and self.checkpoints:
            return checkpoint(self._convolve, log_mel, use_reentrant=False)
        return self._convolve(log_mel)

    def _convolve(self, log_mel: torch.Tensor) -> torch.Tensor:
        gelu = torch.nn.functional.gelu
        return gelu(self.conv2(gelu(self.conv1(log_mel)))).T


class Attention(torch.nn.Module):
    """Attention with several heads; keys have no bias.

    Arguments
    ---------
    config : WhisperConfig
        Its ``hidden_size``, ``num_attention_heads`` and ``attention_dropout`` are used.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads, self.dropout = config.num_attention_heads, config.attention_dropout
        self.q_proj, self.v_proj = torch.nn.Linear(size, size), torch.nn.Linear(size, size)
        self.k_proj = torch.nn.Linear(size, size, bias=False)
        self.out_proj = torch.nn.Linear(size, size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Attend over ``hidden`` ([batch, frames, size]) where ``mask`` ([batch, 1, 1, frames]) is True."""
        query, key, value = (
            linear(hidden).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
        dropout = self.dropout if self.training else 0.0
        attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, dropout)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class Layer(torch.nn.Module):
    """A layer of the transformer: normalization comes before attention and before the feed-forward part.

    Arguments
    ---------
    config : WhisperConfig
        Of the whole encoder.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.self_attn_layer_norm = torch.nn.LayerNorm(config.hidden_size)
        self.fc1 = torch.nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = torch.nn.GELU()
        self.activation_dropout = torch.nn.Dropout(config.activation_dropout)
        self.fc2 = torch.nn.Linear(config.intermediate_size, config.hidden_size)
        self.final_layer_norm = torch.nn.LayerNorm(config.hidden_size)
        self.dropout = torch.nn.Dropout(config.hidden_dropout)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Turn ``hidden`` ([batch, frames, size]) into the same shape; the mask is that of :class:`Attention`."""
        hidden = hidden + self.dropout(self.self_attn(self.self_attn_layer_norm(hidden), mask))
        inner = self.activation_dropout(self.activation(self.fc1(self.final_layer_norm(hidden))))
        return hidden + self.dropout(self.fc2(inner))


class Transformer(torch.nn.Module):
    """Whisper's layers for any number of frames up to 1500, with a mask.

    Arguments
    ---------
    config : WhisperConfig
        Of the whole encoder.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config, self.checkpoints = config, False
        # fixed, as in Whisper's own training
        positions = torch.empty(POSITIONS, config.hidden_size)
        positions.copy_(torch.from_numpy(sinusoids(POSITIONS, config.hidden_size)))
        self.embed_positions = torch.nn.Embedding.from_pretrained(positions)
        self.dropout = torch.nn.Dropout(config.hidden_dropout)
        self.layers = torch.nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.layer_norm = torch.nn.LayerNorm(config.hidden_size)

    def forward(self, hidden: torch.Tensor, attention_mask: torch.Tensor | None = None) -> SimpleNamespace:
        """Encode ``hidden`` ([batch, frames, size]); the mask ([batch, frames]) is False where there is padding."""
        mask = None if attention_mask is None else attention_mask[:, None, None, :]
        hidden = self.dropout(hidden + self.embed_positions.weight[: hidden.shape[1]])
        for layer in self.layers:
            if self.training and torch.rand(()) < self.config.layerdrop:
                continue
            if self.training and self.checkpoints:
                hidden = checkpoint(layer, hidden, mask, use_reentrant=False)
            else:
                hidden = layer(hidden, mask)
        return SimpleNamespace(last_hidden_state=self.layer_norm(hidden))  # as the encoders of transformers


class WhisperEncoder(torch.nn.Module):
    """Whisper without its decoder, with the parts and the methods that this package uses of other encoders.

    Arguments
    ---------
    config : WhisperConfig
        Of the architecture.
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor = Stem(config)
        self.encoder = Transformer(config)

    def gradient_checkpointing_enable(self, settings: dict[str, bool]) -> None:
        """Keep only the inputs of parts in training; ``settings`` are ``{"use_reentrant": False}``."""
        self.feature_extractor.checkpoints = self.encoder.checkpoints = True


def sinusoids(positions: int, size: int) -> np.ndarray:
    """Give Whisper's code of positions: sines, then cosines, of wavelengths from 2 pi to 20,000 pi frames.

    Computed by NumPy, since torch would import its compiler to count on the meta device.

    Arguments
    ---------
    positions, size : int
        Number of positions, and size of their code: even, and at least 4.

    Returns
    -------
    np.ndarray
        Shape [positions, size].

    Example
    -------
    >>> sinusoids(2, 4).round(3)
    array([[0.   , 0.   , 1.   , 1.   ],
           [0.841, 0.   , 0.54 , 1.   ]])
    """
    angles = np.arange(positions)[:, None] * 10_000 ** -np.linspace(0, 1, size // 2)
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


def mel_filters(mels: int) -> np.ndarray:
    """Give Whisper's filters: triangles of equal area on Slaney's mel scale, linear below 1 kHz, from 0 to 8 kHz.

    They are those of ``librosa.filters.mel``, which torchaudio's, in single precision, equal only to about 1e-5.

    Arguments
    ---------
    mels : int
        Number of filters.

    Returns
    -------
    np.ndarray
        Gains at the frequencies of a spectrum of 400 samples, shape [mels, 201].

    Example
    -------
    >>> mel_filters(80).shape, mel_filters(80)[:2, :4].round(4)
    ((80, 201), array([[0.    , 0.0249, 0.    , 0.    ],
           [0.    , 0.002 , 0.0229, 0.    ]]))
    """
    kilohertz = 15.0  # mel at 1 kHz; from there on, 27 mel are a factor of 6.4
    top = kilohertz + 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4)
    edges = np.linspace(0, top, mels + 2)
    edges = np.where(edges < kilohertz, edges * 1000 / kilohertz, 1000 * 6.4 ** ((edges - kilohertz) / 27))
    slopes = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1) - edges[:, None]
    widths = np.diff(edges)[:, None]
    triangles = np.minimum(slopes[:-2] / widths[:-1], -slopes[2:] / widths[1:]).clip(0)
    return triangles * 2 / (edges[2:] - edges[:-2])[:, None]


class Whisper(SelfSupervisedFrontEnd):
    """The encoder of Whisper (Radford et al. 2022): a transformer over log mel spectra, trained to recognize speech.

    The spectrum is Whisper's: logarithms are limited to 80 dB below the maximum of the utterance. Unlike there, an
    utterance is not padded to 30 s: frames get the first positions, and padding of a batch has no effect. An utterance
    of more than 30 s is encoded in parts of equal length. Recognition discards what detection needs: prefer the lower
    layers (``all_layers``) to the last.

    Arguments
    ---------
    all_layers, **settings
        As for :class:`antideepfake.lobes.self_supervised.SelfSupervisedFrontEnd`; the defaults are those of Whisper
        tiny. ``num_mel_bins`` is 80, in large-v3 128.

    Example
    -------
    >>> front_end = Whisper(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32).eval()
    >>> frames, lengths = front_end(torch.randn(2, 16000), torch.tensor([1.0, 0.5]))
    >>> frames.shape, lengths * 50
    (torch.Size([2, 50, 16]), tensor([50., 25.]))
    """

    receptive_field = WINDOW
    hop = 2 * HOP

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        # not buffers: they stay in float32 in any precision of the weights, and exist on the meta device
        with torch.device("cpu"):
            self.filters = torch.from_numpy(mel_filters(self.model.config.num_mel_bins)).float()
            self.window = torch.hann_window(WINDOW)

    @classmethod
    def make_config(cls, **settings: Any) -> WhisperConfig:
        """Make the configuration of the encoder."""
        return WhisperConfig(**settings)

    @classmethod
    def make_model(cls, config: WhisperConfig) -> WhisperEncoder:
        """Build the encoder with random weights."""
        return WhisperEncoder(config)

    def encode(self, waveforms: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms of any lengths ([time]) into frames; those over 30 s are encoded in equal parts."""
        parts = [waveform.tensor_split(-(-len(waveform) // LONGEST)) for waveform in waveforms]
        frames, lengths = super().encode([part for utterance in parts for part in utterance])
        if len(frames) == len(waveforms):
            return frames, lengths
        counts = whole_lengths(lengths, frames.shape[-2]).tolist()
        encoded = iter(part[..., :count, :] for part, count in zip(frames, counts, strict=True))
        joined = [torch.cat([next(encoded) for _ in utterance], -2) for utterance in parts]
        counts = [utterance.shape[-2] for utterance in joined]
        padded = [
            torch.nn.functional.pad(utterance, (0, 0, 0, max(counts) - utterance.shape[-2])) for utterance in joined
        ]
        return torch.stack(padded), torch.tensor(counts, device=frames.device) / max(counts)

    def extract(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn one waveform ([time], at most 30 s) into the transformer's input ([frames, size])."""
        return self.model.feature_extractor(self.log_mel(waveform).to(self.dtype))

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn one waveform ([time]) of unit variance into Whisper's log mel spectrum ([mels, time // 160])."""
        filters, window = self.filters.to(waveform.device), self.window.to(waveform.device)
        with torch.autocast(waveform.device.type, enabled=False):  # bfloat16 would round the spectrum to 8 bits
            spectrum = torch.stft(waveform.float() * LEVEL, WINDOW, HOP, window=window, return_complex=True)
            power = spectrum[:, :-1].abs().square()  # Whisper leaves out the last step
            log_mel = (filters @ power).clamp(min=1e-10).log10()
        return (log_mel.clamp(min=log_mel.max() - 8.0) + 4.0) / 4.0

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features: the convolutions give the size of the transformer."""
        return features
