"""ECAPA-TDNN of SpeechBrain as a back end whose output does not depend on padding."""

import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, TDNNBlock

from antideepfake.errors import InputError
from antideepfake.lobes.batch_norm import BatchNorm
from antideepfake.lobes.layer_aggregation import check_one_layer
from antideepfake.lobes.masks import at_least_float32, whole_lengths

KERNEL_SIZES, DILATIONS = [5, 3, 3, 3, 1], [1, 2, 3, 4, 1]  # of the paper
MOST_GROUPS = 64  # 8 in the paper; each adds modules
MOST_PADDING = 4  # frames on either side of a convolution


class ECAPA(torch.nn.Module):
    """ECAPA-TDNN: residual convolutions over time, squeeze and excitation, attentive statistics.

    The network is SpeechBrain's (Desplanques, Thienpondt, Demuynck, ECAPA-TDNN: emphasized channel attention,
    propagation and aggregation in TDNN based speaker verification, 2020). Its convolutions continue an utterance by
    reflection at both ends. In a padded batch they would see padding instead; here, each utterance is reflected at its
    own end before every convolution, so an embedding is the same alone and in any batch.

    Arguments
    ---------
    n_features : int
        Size of a frame.
    channels : int
        Of the convolutions; 512 or 1024 in the paper. The last layer has three times as many.
    embedding_size : int
        Size of the embedding.
    attention_size, se_size : int
        Hidden sizes of the attention, and of squeeze and excitation.
    scale : int
        Groups of channels of a residual block; divides ``channels``.

    Raises
    ------
    InputError
        When ``scale`` does not divide ``channels``.

    Example
    -------
    >>> head = ECAPA(n_features=60, channels=32, embedding_size=16).eval()
    >>> head(torch.randn(2, 50, 60), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        n_features: int,
        channels: int = 512,
        embedding_size: int = 192,
        attention_size: int = 128,
        se_size: int = 128,
        scale: int = 8,
    ) -> None:
        super().__init__()
        if not 2 <= scale <= MOST_GROUPS or channels % scale:
            raise InputError(
                f"ECAPA: scale is {scale}; it must be from 2 to {MOST_GROUPS} and divide channels, {channels}"
            )
        self.network = ECAPA_TDNN(
            n_features,
            lin_neurons=embedding_size,
            channels=[channels] * 4 + [3 * channels],
            kernel_sizes=KERNEL_SIZES,
            dilations=DILATIONS,
            attention_channels=attention_size,
            res2net_scale=scale,
            se_channels=se_size,
        )
        self.network.asp_bn.norm = BatchNorm(6 * channels)

    def forward(self, frames: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``frames`` ([batch, frames, n_features]) into embeddings ([batch, embedding_size]).

        Raises
        ------
        InputError
            When the front end gives several layers.
        """
        check_one_layer(frames)
        counts = whole_lengths(relative_lengths, frames.shape[1]).unsqueeze(1)
        steps = frames.shape[1] + MOST_PADDING  # so that the longest utterance is reflected in the same way
        index = torch.arange(steps, device=frames.device)
        index = torch.where(index < counts, index, 2 * (counts - 1) - index).clamp(min=0).unsqueeze(1)

        def reflect(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
            (x,) = inputs  # [batch, channels, steps]
            return x.gather(2, index.expand(-1, x.shape[1], -1))

        blocks = [module for module in self.network.modules() if isinstance(module, TDNNBlock)]
        hooks = [block.conv.register_forward_pre_hook(reflect) for block in blocks if block.conv.kernel_size > 1]
        x = at_least_float32(frames).gather(1, index.transpose(1, 2).expand(-1, -1, frames.shape[2]))
        try:
            # SpeechBrain's masks include a step that begins before the length: half a step less gives exactly counts.
            return self.network(x, (counts.squeeze(1) - 0.5) / steps).squeeze(1)
        finally:
            for hook in hooks:
                hook.remove()
