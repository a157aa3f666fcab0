"""SLS: sensitive layer selection, for utterances of a fixed length."""

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.layer_aggregation import count_layers
from antideepfake.lobes.masks import at_least_float32, length_mask, masked_mean


class SLS(torch.nn.Module):
    """A sum of an encoder's layers with weights that depend on the utterance, pooled over time and features.

    Each layer is described by its mean over time, from which a linear layer, the same for all, computes a weight in (0,
    1). The weighted sum, normalized, is an image of time and features; the maxima of its 3 x 3 squares are mapped to
    the embedding by one large matrix. Zhang et al., Audio deepfake detection with self-supervised XLS-R and SLS
    classifier (ACM MM 2024). Its classifier is :class:`antideepfake.lobes.SELUClassifier`.

    The matrix fixes the number of frames, so a detector with SLS needs :class:`antideepfake.lobes.FixedLength`. All
    states are used but the first, the input of the first layer. The published detector takes the output of the last
    layer as it is: ``final_norm: False`` of the front end.

    Arguments
    ---------
    n_features : int
        Size of a frame.
    n_frames : int
        Frames of an utterance; 201 is what XLS-R gives for 64,600 samples. Up to two more, which the pooling drops, do
        not matter.
    embedding_size : int
        Size of the embedding.

    Raises
    ------
    InputError
        When ``n_features`` or ``n_frames`` is below 3.

    Example
    -------
    >>> head = SLS(n_features=16, n_frames=50, embedding_size=8)
    >>> head(torch.randn(2, 5, 50, 16), torch.ones(2)).shape
    torch.Size([2, 8])
    """

    def __init__(self, n_features: int, n_frames: int = 201, embedding_size: int = 1024) -> None:
        super().__init__()
        if n_features < 3 or n_frames < 3:
            raise InputError(
                f"SLS: n_features is {n_features} and n_frames {n_frames}; they must be 3 or more, as the pooling needs"
            )
        self.n_frames = n_frames
        self.fc0 = torch.nn.Linear(n_features, 1)
        self.first_bn = torch.nn.BatchNorm2d(1)
        self.fc1 = torch.nn.Linear((n_frames // 3) * (n_features // 3), embedding_size)

    def forward(self, states: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``states`` ([batch, layers, n_frames, n_features]) into embeddings ([batch, embedding_size]).

        Raises
        ------
        InputError
            When the front end gives one layer only, or another number of frames.
        """
        if count_layers(states) < 2:
            raise InputError(
                "SLS uses all layers, but the front end returns 1; set all_layers of the front end to True"
            )
        frames = states.shape[2]
        if frames // 3 != self.n_frames // 3:
            raise InputError(
                f"SLS has n_frames {self.n_frames}, but the front end returns {frames}; set fixed_length: "
                f"!new:antideepfake.lobes.FixedLength, and n_frames to what the front end returns for it"
            )
        mask = length_mask(relative_lengths, frames)
        # Padding occurs only without a fixed length; it counts as zeros.
        states = at_least_float32(states[:, 1:]).masked_fill(~mask[:, None, :, None], 0.0)
        means = masked_mean(states.transpose(1, 2).flatten(2), relative_lengths).unflatten(2, (states.shape[1], -1))
        weights = self.fc0(means.squeeze(1)).sigmoid()  # [batch, layers, 1]
        image = (states * weights.unsqueeze(2)).sum(1, keepdim=True)
        selu = torch.nn.functional.selu
        pooled = torch.nn.functional.max_pool2d(selu(self.first_bn(image)), 3)
        return selu(self.fc1(pooled.flatten(1)))
