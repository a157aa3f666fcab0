"""Batch normalization of embeddings, in training also for a batch of one."""

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
