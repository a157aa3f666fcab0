"""Self-supervised speech encoders of ``transformers`` as front ends whose output does not depend on padding.

The frames of an utterance are the same alone and in any batch. Every utterance passes the convolutions alone, since
the group normalization of wav2vec 2.0 Base and HuBERT Base computes statistics over time; after that, masks keep
padding out of the positional convolution and the attention.

The classes build random weights from the settings of an architecture. :func:`antideepfake.checkpoints.load_pretrained`
loads trained ones.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
import torchaudio
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError
from antideepfake.lobes.masks import length_mask, whole_lengths
from antideepfake.lobes.settings import check_settings

# Frames that pass the convolutions at once: intermediate results fit into a processor's caches, and long recordings
# into memory.
CPU_CHUNK, GPU_CHUNK = 100, 3000
# Fields of transformers' configurations that define an architecture; the others concern pre-training or other heads.
ARCHITECTURE = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "do_stable_layer_norm",
    "layer_norm_eps",
    "feat_extract_norm",
    "feat_extract_activation",
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "conv_bias",
    "feat_proj_layer_norm",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "conv_pos_batch_norm",
    "num_buckets",
    "max_bucket_distance",
    "feature_projection_input_dim",
    "num_mel_bins",
    "position_embeddings_type",
    "left_max_position_embeddings",
    "right_max_position_embeddings",
    "conv_depthwise_kernel_size",
)
MOST_LAYERS = 200  # the deepest published encoder has 48
DROPOUT = (
    "hidden_dropout",
    "activation_dropout",
    "attention_dropout",
    "feat_proj_dropout",
    "conformer_conv_dropout",
    "layerdrop",
)


def _read_config(config: Any) -> dict[str, Any]:
    """Give the architecture and the dropout of a configuration."""
    values = {name: getattr(config, name) for name in (*ARCHITECTURE, *DROPOUT) if hasattr(config, name)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


class SelfSupervisedFrontEnd(torch.nn.Module, ABC):
    """Base class of self-supervised front ends, and of Whisper, which is used like them.

    Arguments
    ---------
    all_layers : bool
        Return all hidden states, [batch, layers + 1, frames, size], instead of the last, [batch, frames, size]. State 0
        is the input of the first layer, the last state is the encoder's output.
    final_norm : bool
        Whether the last state is normalized at the end of the encoder, if the encoder does this. Without
        ``all_layers`` it always is.
    **settings
        Of the architecture, named as in ``transformers``, with the defaults there. All kinds of dropout and layer drop
        are 0 unless given; the masking of frames, which belongs to pre-training, is off.
    weights_source : str, optional
        Where trained weights of this architecture are published. Nothing is loaded here: a training YAML passes it on
        to :func:`antideepfake.checkpoints.start_from`.
    weights_sha256 : str, optional
        SHA-256 of these weights, as :meth:`antideepfake.checkpoints.Checkpoint.sha256` computes it: others are refused.

    Raises
    ------
    InputError
        When a setting is unknown or malformed, or settings contradict each other.
    """

    published_as: ClassVar[str]
    """Name of its classes in ``transformers``, without ``Config`` and ``Model``."""
    receptive_field: int
    """Least number of samples for a frame."""

    def __init__(
        self,
        all_layers: bool = False,
        weights_source: str | None = None,
        weights_sha256: str | None = None,
        final_norm: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__()
        if "pretrained" in settings:  # the name in version 0.1
            message = "the setting 'pretrained' of a front end is now 'weights_source'; the old name will be removed"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            weights_source = settings.pop("pretrained")
        self.weights_source, self.weights_sha256 = weights_source, weights_sha256
        name, defaults = type(self).__name__, self.defaults()
        kinds = {key: list[int] if isinstance(value, list) else type(value) for key, value in defaults.items()}
        choices = {"all_layers": all_layers, "final_norm": final_norm}
        check_settings(name, settings | choices, kinds | dict.fromkeys(choices, bool))
        self.all_layers, self.final_norm = all_layers, final_norm
        values = {**defaults, **settings}
        layers, size, heads = (values[key] for key in ("num_hidden_layers", "hidden_size", "num_attention_heads"))
        if layers > MOST_LAYERS:
            raise InputError(f"{name}: num_hidden_layers is {layers}; it must be at most {MOST_LAYERS}")
        if size % heads:
            raise InputError(f"{name}: num_attention_heads is {heads}; it must divide the hidden_size, {size}")
        try:
            self.model: Any = self.make_model(self.make_config(**values))
        except Exception as error:  # transformers and torch raise many types for contradictory settings
            reason = " ".join(str(error).split())
            raise InputError(f"{name}: cannot be built of these settings ({reason})") from None

    @classmethod
    def make_config(cls, **settings: Any) -> Any:
        """Make the configuration of the encoder."""
        import transformers  # takes longer to import than torch, and Whisper and the filter banks do without

        config_class = getattr(transformers, f"{cls.published_as}Config")
        return config_class(**settings, apply_spec_augment=False, mask_time_prob=0.0)

    @classmethod
    def make_model(cls, config: Any) -> torch.nn.Module:
        """Build the encoder with random weights."""
        import transformers

        return getattr(transformers, f"{cls.published_as}Model")(config)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """All settings with their defaults."""
        return {name: 0.0 if name in DROPOUT else value for name, value in _read_config(cls.make_config()).items()}

    @property
    def architecture(self) -> dict[str, Any]:
        """All settings but dropout: they must agree for weights to fit."""
        config = _read_config(self.model.config)
        return {"kind": type(self).__name__} | {name: config[name] for name in ARCHITECTURE if name in config}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the architecture and of dropout that build this front end, without those at their default."""
        config = _read_config(self.model.config)
        return {name: config[name] for name, value in self.defaults().items() if config[name] != value}

    @property
    def output_settings(self) -> dict[str, bool]:
        """The settings of what ``forward`` returns, without those at their default."""
        return {"all_layers": True} | ({} if self.final_norm else {"final_norm": False}) if self.all_layers else {}

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the encoder."""
        return next(self.parameters()).dtype

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms into frames.

        Arguments
        ---------
        waveforms : torch.Tensor
            Normalized waveforms at 16 kHz, padded at the end; shape [batch, time].
        relative_lengths : torch.Tensor
            Relative to the padded length; shape [batch].

        Returns
        -------
        frames : torch.Tensor
            Shape [batch, frames, size], or [batch, layers + 1, frames, size] with ``all_layers``.
        relative_lengths : torch.Tensor
            Of the frames, [batch].

        Raises
        ------
        ValueError
            When a waveform is shorter than ``receptive_field``.
        """
        lengths = whole_lengths(relative_lengths, waveforms.shape[1]).tolist()
        if min(lengths) < self.receptive_field:
            raise ValueError(f"a waveform has {min(lengths)} samples; a frame needs {self.receptive_field}")
        return self.encode([waveform[:length] for waveform, length in zip(waveforms, lengths, strict=True)])

    def encode(self, waveforms: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn waveforms of any lengths ([time], at least ``receptive_field``) into frames, as ``forward`` does."""
        features = [self.extract(waveform) for waveform in waveforms]
        counts = [len(item) for item in features]
        frame_lengths = torch.tensor(counts, device=features[0].device) / max(counts)
        hidden = self.project(pad_sequence(features, batch_first=True))
        mask = None if min(counts) == max(counts) else length_mask(frame_lengths, hidden.shape[1])
        return self.contextualize(hidden, mask), frame_lengths

    def contextualize(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Apply the transformer to its input.

        Arguments
        ---------
        hidden : torch.Tensor
            Projected features, shape [batch, frames, size].
        mask : torch.Tensor, optional
            False where there is padding, shape [batch, frames]; None: there is none.

        Returns
        -------
        torch.Tensor
            The frames, as ``forward`` returns them.
        """
        states: dict[int, torch.Tensor] = {}
        hooks = self._record(states) if self.all_layers else []
        try:
            last = self.model.encoder(hidden, attention_mask=mask).last_hidden_state
        finally:
            for hook in hooks:
                hook.remove()
        if not self.all_layers:
            return last
        depth = len(self.model.encoder.layers)
        for index in range(1, depth + 1):  # layers skipped by layer drop in training: their output is their input
            states.setdefault(index, states[index - 1])
        if self.final_norm:
            states[depth] = last
        return torch.stack([states[index] for index in range(depth + 1)], 1)

    def _record(self, states: dict[int, torch.Tensor]) -> list[torch.utils.hooks.RemovableHandle]:
        """Store the input of the first layer as state 0, and the output of the n-th layer as state n."""

        def store(index: int, output: Any) -> None:
            states[index] = output[0] if isinstance(output, tuple) else output

        modules = [self.model.encoder.dropout, *self.model.encoder.layers]
        return [
            module.register_forward_hook(lambda _, __, output, index=index: store(index, output))
            for index, module in enumerate(modules)
        ]

    @abstractmethod
    def extract(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn one waveform ([time]) into the encoder's features ([frames, feature_size])."""

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Turn features ([batch, frames, feature_size]) into the input of the transformer."""
        hidden = self.model.feature_projection(features)
        return hidden[0] if isinstance(hidden, tuple) else hidden


class TimeConvolution(torch.nn.Module):
    """A convolution over time on [time, channels], computed as one product with windows that overlap in memory.

    In this layout the normalization over channels that follows needs no transposition.

    Arguments
    ---------
    conv : torch.nn.Conv1d
        The new module has its weights, under the same names.
    """

    def __init__(self, conv: torch.nn.Conv1d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.in_channels, self.kernel_size, self.stride = conv.in_channels, conv.kernel_size[0], conv.stride[0]

    def matrix(self) -> torch.Tensor:
        """Give the weights as those of a linear layer, [out_channels, kernel_size x in_channels]."""
        return self.weight.transpose(1, 2).flatten(1)

    def windows(self, x: torch.Tensor) -> torch.Tensor:
        """Give the windows of ``x`` ([time, in_channels]), [frames, kernel_size x in_channels]; a view."""
        return x.unfold(0, self.kernel_size, self.stride).transpose(1, 2).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``x`` ([time, in_channels]) without padding to [frames, out_channels]."""
        return torch.nn.functional.linear(self.windows(x), self.matrix(), self.bias)


class ConvolutionalFrontEnd(SelfSupervisedFrontEnd):
    """An encoder that begins with convolutions over the waveform: wav2vec 2.0, HuBERT, WavLM."""

    checkpoint_chunks = False
    """In training, recompute the activations of the convolutions for the gradients instead of storing them."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if getattr(self.model.config, "conv_pos_batch_norm", False):
            raise InputError(
                "conv_pos_batch_norm is not supported: batch normalization would depend on padding; use another encoder"
            )
        self.receptive_field, self.hop = 1, 1
        for layer in self.model.feature_extractor.conv_layers:
            self.receptive_field += (layer.conv.kernel_size[0] - 1) * self.hop
            self.hop *= layer.conv.stride[0]
            layer.conv = TimeConvolution(layer.conv)
        if self.receptive_field > SAMPLE_RATE:
            raise InputError(
                f"{type(self).__name__}: conv_kernel and conv_stride give a frame of {self.receptive_field} samples; "
                f"it must have at most {SAMPLE_RATE}, one second"
            )

    def extract(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn one waveform ([time]) into features ([frames, feature_size]), chunk by chunk."""
        waveform = waveform.float().unsqueeze(1)  # bfloat16 would round a waveform to 8 bits
        first = self.model.feature_extractor.conv_layers[0]
        weight, bias = first.conv.matrix().float(), first.conv.bias
        bias = None if bias is None else bias.float()
        if isinstance(first.layer_norm, torch.nn.GroupNorm):
            with torch.autocast(waveform.device.type, enabled=False):
                weight, bias = _fold_group_norm(weight, first.layer_norm, first.conv.windows(waveform))
        frames = (len(waveform) - self.receptive_field) // self.hop + 1
        size = CPU_CHUNK if waveform.device.type == "cpu" else GPU_CHUNK
        convolve: Callable[..., torch.Tensor] = self._convolve
        if self.checkpoint_chunks and self.training:  # there is no dropout inside
            convolve = partial(checkpoint, self._convolve, use_reentrant=False, preserve_rng_state=False)
        chunks = []
        for start in range(0, frames, size):
            samples = (min(size, frames - start) - 1) * self.hop + self.receptive_field
            chunks.append(convolve(waveform[start * self.hop : start * self.hop + samples], weight, bias))
        return torch.cat(chunks)

    def _convolve(self, chunk: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Apply the extractor to a chunk of a waveform ([samples, 1]), with these weights in the first layer."""
        windows = self.model.feature_extractor.conv_layers[0].conv.windows(chunk)
        with torch.autocast(chunk.device.type, enabled=False):
            x = torch.nn.functional.linear(windows, weight, bias).to(self.dtype)
        for index, layer in enumerate(self.model.feature_extractor.conv_layers):
            if index:
                x = layer.conv(x)
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, torch.nn.LayerNorm):
                x = norm(x)
            x = layer.activation(x)
        return x


def _fold_group_norm(
    weight: torch.Tensor, norm: torch.nn.GroupNorm, windows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Merge a linear map and the normalization over time of its output into one linear map.

    Mean and variance of a linear map of windows follow from the mean and covariance of the windows, which are small.

    Arguments
    ---------
    weight : torch.Tensor
        Shape [channels, size]. A bias would have no effect.
    norm : torch.nn.GroupNorm
        With one group per channel.
    windows : torch.Tensor
        All windows of an utterance, shape [steps, size].

    Returns
    -------
    weight, bias : torch.Tensor
        Shapes [channels, size] and [channels].
    """
    # The variance of a filter with little output is a small difference of large numbers; MPS has no float64.
    windows = windows.to(torch.float32 if windows.device.type == "mps" else torch.float64)
    mean = windows.mean(0)
    centered = windows - mean
    covariance = centered.T @ centered / len(windows)
    exact = weight.to(windows.dtype)
    variance = ((exact @ covariance) * exact).sum(1)
    folded = exact * (norm.weight * torch.rsqrt(variance + norm.eps)).unsqueeze(1)
    return folded.to(weight.dtype), (norm.bias - folded @ mean).to(weight.dtype)


class Wav2Vec2(ConvolutionalFrontEnd):
    """wav2vec 2.0 (Baevski et al. 2020), including MMS (Pratap et al. 2023) and XLS-R (Babu et al. 2021).

    Arguments
    ---------
    all_layers, **settings
        As for :class:`SelfSupervisedFrontEnd`; the defaults of ``transformers.Wav2Vec2Config`` are those of wav2vec 2.0
        Base.

    Example
    -------
    >>> tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    >>> front_end = Wav2Vec2(**tiny).eval()
    >>> frames, lengths = front_end(torch.randn(2, 16000), torch.tensor([1.0, 0.5]))
    >>> frames.shape, lengths * 49
    (torch.Size([2, 49, 16]), tensor([49., 24.]))
    """

    published_as = "Wav2Vec2"


class HuBERT(ConvolutionalFrontEnd):
    """HuBERT (Hsu et al. 2021).

    Arguments
    ---------
    all_layers, **settings
        As for :class:`SelfSupervisedFrontEnd`; the defaults of ``transformers.HubertConfig`` are those of HuBERT Base.

    Example
    -------
    >>> front_end = HuBERT(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32).eval()
    >>> front_end(torch.randn(1, 16000), torch.ones(1))[0].shape
    torch.Size([1, 49, 16])
    """

    published_as = "Hubert"


class WavLM(ConvolutionalFrontEnd):
    """WavLM (Chen et al. 2022): a transformer with gated relative positions.

    Arguments
    ---------
    all_layers, **settings
        As for :class:`SelfSupervisedFrontEnd`; the defaults of ``transformers.WavLMConfig`` are those of WavLM Base.

    Example
    -------
    >>> front_end = WavLM(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32).eval()
    >>> front_end(torch.randn(1, 16000), torch.ones(1))[0].shape
    torch.Size([1, 49, 16])
    """

    published_as = "WavLM"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        from antideepfake.lobes.layered_attention import LayeredAttention  # needs transformers

        for layer in self.model.encoder.layers:
            layer.attention = LayeredAttention.with_weights_of(layer.attention)


class Wav2Vec2BERT(SelfSupervisedFrontEnd):
    """w2v-BERT 2.0 (Barrault et al. 2023): conformers over pairs of log mel spectra, 20 ms apart.

    Arguments
    ---------
    all_layers, **settings
        As for :class:`SelfSupervisedFrontEnd`; the defaults of ``transformers.Wav2Vec2BertConfig`` are those of
        w2v-BERT 2.0.

    Example
    -------
    >>> front_end = Wav2Vec2BERT(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> front_end.eval()(torch.randn(1, 16000), torch.ones(1))[0].shape
    torch.Size([1, 49, 16])
    """

    published_as = "Wav2Vec2Bert"
    receptive_field = 560  # two windows of 400 samples, 160 apart
    hop = 320

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if self.model.config.feature_projection_input_dim != 160:
            size = self.model.config.feature_projection_input_dim
            raise InputError(f"Wav2Vec2BERT: feature_projection_input_dim is {size}; it must be 160")

    def extract(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turn one waveform ([time]) into pairs of log mel energies ([frames, 160]).

        Each of the 80 energies is normalized over time, so the level of the waveform has no effect.
        """
        energies = torchaudio.compliance.kaldi.fbank(
            waveform.float().unsqueeze(0) * 2**15, num_mel_bins=80, sample_frequency=SAMPLE_RATE, dither=0.0
        )
        energies = (energies - energies.mean(0)) / (energies.var(0) + 1e-7).sqrt()
        return energies[: len(energies) // 2 * 2].reshape(-1, 160).to(self.dtype)
