"""The encoder of Whisper as a front end whose output does not depend on padding, without padding to 30 seconds."""

from typing import Any

import torch
import transformers
from transformers.audio_utils import mel_filter_bank
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer, WhisperPreTrainedModel, sinusoids

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.lobes.masks import whole_lengths
from antideepfake.lobes.self_supervised import SelfSupervisedFrontEnd

WINDOW, HOP = 400, 160  # samples: 25 and 10 ms
POSITIONS = 1500  # frames of 20 ms: the table of every published Whisper ends at 30 s
LONGEST = (2 * POSITIONS + 1) * HOP - 1  # samples
# Whisper was trained on waveforms in [-1, 1], and its features keep the level. Waveforms come with unit variance, so
# they are scaled to -26 dB relative to full scale, the nominal level of speech (ITU-T P.56 and G.191).
LEVEL = 10 ** (-26 / 20)


class WhisperEncoderConfig(transformers.WhisperConfig):
    """Whisper's configuration, whose fields can be called by the names that other encoders give them."""

    attribute_map = {  # noqa: RUF012  (as in transformers)
        **transformers.WhisperConfig.attribute_map,
        "intermediate_size": "encoder_ffn_dim",
        "hidden_act": "activation_function",
        "hidden_dropout": "dropout",
        "layerdrop": "encoder_layerdrop",
    }


class Stem(torch.nn.Module):
    """The two convolutions below the transformer.

    Arguments
    ---------
    config : WhisperEncoderConfig
        Its ``num_mel_bins`` and ``hidden_size`` are used.
    """

    def __init__(self, config: WhisperEncoderConfig) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv1d(config.num_mel_bins, config.d_model, 3, padding=1)
        self.conv2 = torch.nn.Conv1d(config.d_model, config.d_model, 3, padding=1, stride=2)

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Turn ``log_mel`` ([mels, steps]) into features ([(steps + 1) // 2, size])."""
        gelu = torch.nn.functional.gelu
        return gelu(self.conv2(gelu(self.conv1(log_mel)))).T


class Transformer(torch.nn.Module):
    """Whisper's layers with a mask, which those of ``transformers`` lack, for any number of frames up to 1500.

    Arguments
    ---------
    config : WhisperEncoderConfig
        Of the whole encoder.
    """

    def __init__(self, config: WhisperEncoderConfig) -> None:
        super().__init__()
        self.config, self.layerdrop = config, config.encoder_layerdrop
        self.embed_positions = torch.nn.Embedding(POSITIONS, config.d_model)
        self.embed_positions.requires_grad_(False)  # fixed sinusoids, as in Whisper's own training
        self.dropout = torch.nn.Dropout(config.dropout)
        self.layers = torch.nn.ModuleList(WhisperEncoderLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = torch.nn.LayerNorm(config.d_model)

    def forward(self, hidden: torch.Tensor, attention_mask: torch.Tensor | None = None) -> BaseModelOutput:
        """Encode ``hidden`` ([batch, frames, size]); the mask ([batch, frames]) is False where there is padding."""
        mask = create_bidirectional_mask(self.config, hidden, attention_mask)
        hidden = self.dropout(hidden + self.embed_positions.weight[: hidden.shape[1]])
        for layer in self.layers:
            if not self.training or torch.rand(()) >= self.layerdrop:
                hidden = layer(hidden, mask)
        return BaseModelOutput(self.layer_norm(hidden))


class WhisperEncoderModel(WhisperPreTrainedModel):
    """Whisper without its decoder.

    Arguments
    ---------
    config : WhisperEncoderConfig
        Of the architecture.
    """

    def __init__(self, config: WhisperEncoderConfig) -> None:
        super().__init__(config)
        self.feature_extractor = Stem(config)
        self.encoder = Transformer(config)
        self.post_init()
        with torch.no_grad():  # after the initialization of all other weights
            self.encoder.embed_positions.weight.copy_(sinusoids(POSITIONS, config.d_model))


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

    config_class = WhisperEncoderConfig
    model_class = WhisperEncoderModel
    receptive_field = WINDOW
    hop = 2 * HOP

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        # not buffers: they stay in float32 in any precision of the weights, and exist on the meta device
        with torch.device("cpu"):
            bins, mels = WINDOW // 2 + 1, self.model.config.num_mel_bins
            filters = mel_filter_bank(bins, mels, 0.0, SAMPLE_RATE / 2, SAMPLE_RATE, norm="slaney", mel_scale="slaney")
            self.filters = torch.from_numpy(filters).float().T
            self.window = torch.hann_window(WINDOW)

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
