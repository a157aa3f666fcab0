"""MHFA: multi-head factorized attentive pooling of all layers of an encoder."""

import torch

from antideepfake.lobes.layer_aggregation import check_layers
from antideepfake.lobes.masks import at_least_float32, length_mask


class MHFA(torch.nn.Module):
    """Attention whose keys and values are two weightings of an encoder's layers.

    Each head weights the frames over time by the keys; all heads share the values. The heads' weighted means, side by
    side, are mapped to the embedding. Peng et al., An attention-based backend allowing efficient fine-tuning of
    transformer models for speaker verification (SLT 2022); the defaults are those of the spoofing detectors of
    WeDefense. Its classifier is :class:`antideepfake.lobes.BatchNormClassifier`.

    Arguments
    ---------
    n_layers : int
        Hidden states: one more than the encoder's layers; the front end needs ``all_layers``.
    n_features : int
        Size of a frame.
    n_heads : int
        Heads of the attention.
    compression_size : int
        Size of keys and values.
    embedding_size : int
        Size of the embedding.
    gradient_factor : float
        Factor of the gradient that reaches the front end; below 1 it changes more slowly than the back end.
    center_features : bool
        Subtract from each frame of each layer the mean over its features. The published weights need it.

    Example
    -------
    >>> pooling = MHFA(n_layers=5, n_features=384)
    >>> pooling(torch.randn(2, 5, 50, 384), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 256])
    """

    def __init__(
        self,
        n_layers: int,
        n_features: int,
        n_heads: int = 32,
        compression_size: int = 128,
        embedding_size: int = 256,
        gradient_factor: float = 0.1,
        center_features: bool = False,
    ) -> None:
        super().__init__()
        self.gradient_factor, self.center_features = gradient_factor, center_features
        self.weights_k = torch.nn.Parameter(torch.ones(n_layers))
        self.weights_v = torch.nn.Parameter(torch.ones(n_layers))
        self.cmp_linear_k = torch.nn.Linear(n_features, compression_size)
        self.cmp_linear_v = torch.nn.Linear(n_features, compression_size)
        self.att_head = torch.nn.Linear(compression_size, n_heads)
        self.pooling_fc = torch.nn.Linear(n_heads * compression_size, embedding_size)

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn all hidden ``states`` ([batch, layers, frames, size]) into embeddings ([batch, embedding_size]).

        Raises
        ------
        InputError
            When the front end gives another number of layers.
        """
        weights, values = self._attend(states, relative_lengths)
        return self.pooling_fc(torch.einsum("bth,btc->bhc", weights, values).flatten(1))

    def attended_frames(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Give the values of each frame times its attention weight, averaged over heads, to locate what is attended to.

        Returns
        -------
        torch.Tensor
            Shape [batch, frames, compression_size]; 0 where there is padding.
        """
        weights, values = self._attend(states, relative_lengths)
        return weights.mean(2, keepdim=True) * values

    def _attend(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give attention weights [batch, frames, heads] and values [batch, frames, compression_size]."""
        check_layers(states, len(self.weights_k))
        states = at_least_float32(states)
        if self.training and states.requires_grad:
            states = states.view_as(states)  # the hook must not change what else the front end's output is used for
            states.register_hook(lambda gradient: gradient * self.gradient_factor)
        if self.center_features:
            states = states - states.mean(3, keepdim=True)
        mask = length_mask(relative_lengths, states.shape[2]).unsqueeze(2)
        keys, values = (
            compress(torch.einsum("l,bltd->btd", weights.softmax(0), states))
            for weights, compress in ((self.weights_k, self.cmp_linear_k), (self.weights_v, self.cmp_linear_v))
        )
        weights = self.att_head(keys).masked_fill(~mask, float("-inf")).softmax(1)
        return weights, values.masked_fill(~mask, 0.0)
