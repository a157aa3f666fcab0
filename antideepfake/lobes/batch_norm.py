"""Batch normalization and standardization of embeddings, in training also for a batch of one."""

import torch


class BatchNorm(torch.nn.BatchNorm1d):
    """Batch normalization that uses its running averages where a batch has only one value of each feature.

    One value has no variance, and torch refuses it; but the last batch of a pass over the training set, or a batch of
    one long utterance, may be that small.

    Example
    -------
    >>> BatchNorm(3)(torch.ones(1, 3)).shape
    torch.Size([1, 3])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize ``x`` ([batch, size] or [batch, size, time])."""
        if self.training and x.numel() == self.num_features:
            averages = self.running_mean, self.running_var
            return torch.nn.functional.batch_norm(x, *averages, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class Standardization(BatchNorm):
    """Standardize by the averages, over all training batches so far, of their mean and variance.

    Those of a single batch would not do where its utterances are of similar length, on which statistics over time
    depend.

    Example
    -------
    >>> norm = Standardization(1).eval()
    >>> norm.fit(norm(torch.tensor([[1.0], [3.0]]))).flatten()
    tensor([-1.,  1.])
    >>> norm(torch.tensor([[3.0]])).round(decimals=3)
    tensor([[1.]])
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, affine=False, momentum=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardize ``x`` ([batch, size])."""
        if self.training:
            super().forward(x.detach())  # updates the averages
        return torch.nn.functional.batch_norm(x, self.running_mean, self.running_var, eps=self.eps)

    def fit(self, outputs: torch.Tensor) -> torch.Tensor:
        """Change the averages so that what gave ``outputs`` ([utterances, size]) gives the values that are returned.

        They have mean 0 and variance 1, or are all 0 where an output is constant.
        """
        mean, variance = outputs.mean(0), outputs.var(0, correction=0)
        before = self.running_var + self.eps
        self.running_mean += mean * before.sqrt()
        self.running_var.copy_((before * variance - self.eps).clamp(min=0))
        return (outputs - mean) / torch.where(variance > 0, variance, 1.0).sqrt()
