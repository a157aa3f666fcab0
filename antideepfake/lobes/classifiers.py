"""Classifiers: from embeddings [batch, size] to the logits of fake (index 0) and real (index 1), [batch, 2].

The usual one is ``torch.nn.Linear``. The score of a detector is the logit of real minus that of fake.
"""

import torch

from antideepfake.lobes.batch_norm import BatchNorm


class OneClassClassifier(torch.nn.Module):
    """The cosine between an embedding and a learned direction, that of bona fide speech.

    Bona fide speech should lie close to the direction, spoofed speech of any kind away from it (Zhang, Jiang, Duan,
    One-class learning towards synthetic voice spoofing detection, 2021). Train it with
    :class:`antideepfake.lobes.OneClassSoftmax`.

    Arguments
    ---------
    in_features : int
        Size of an embedding.

    Example
    -------
    >>> classifier = OneClassClassifier(2)
    >>> _ = classifier.load_state_dict({"weight": torch.tensor([2.0, 0.0])})
    >>> classifier(torch.tensor([[5.0, 0.0], [-3.0, 4.0]]))
    tensor([[ 0.0000,  1.0000],
            [ 0.0000, -0.6000]], grad_fn=<StackBackward0>)
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(in_features))  # every direction is equally likely

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Turn ``embeddings`` ([batch, in_features]) into logits ([batch, 2], float32).

        The logit of fake is 0 and that of real the cosine, so the score is the cosine, in [-1, 1]. An embedding of
        zeros has the score 0.
        """
        cosine = torch.nn.functional.cosine_similarity(embeddings.float(), self.weight.float(), dim=1)
        return torch.stack([torch.zeros_like(cosine), cosine], 1)


class CosineClassifier(torch.nn.Module):
    """The cosines between an embedding and two learned directions, one for each class.

    For losses with a margin, :class:`antideepfake.lobes.MarginSoftmax`, and :class:`antideepfake.lobes.P2SGrad`.

    Arguments
    ---------
    in_features : int
        Size of an embedding.

    Example
    -------
    >>> classifier = CosineClassifier(2)
    >>> _ = classifier.load_state_dict({"weight": torch.tensor([[0.0, 3.0], [2.0, 0.0]])})
    >>> classifier(torch.tensor([[5.0, 0.0], [-3.0, 4.0]])).detach()
    tensor([[ 0.0000,  1.0000],
            [ 0.8000, -0.6000]])
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, in_features))  # every direction is equally likely

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Turn ``embeddings`` ([batch, in_features]) into cosines ([batch, 2], float32), in [-1, 1].

        An embedding of zeros has cosines of 0.
        """
        normalize = torch.nn.functional.normalize
        return normalize(embeddings.float(), dim=1) @ normalize(self.weight.float(), dim=1).T


class BatchNormClassifier(torch.nn.Module):
    """Batch normalization, ReLU, and a linear layer: the classifier of :class:`antideepfake.lobes.MHFA` in WeDefense.

    Arguments
    ---------
    in_features : int
        Size of an embedding.

    Example
    -------
    >>> BatchNormClassifier(8).eval()(torch.randn(3, 8)).shape
    torch.Size([3, 2])
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.norm = BatchNorm(in_features)
        self.linear = torch.nn.Linear(in_features, 2)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Turn ``embeddings`` ([batch, in_features]) into logits ([batch, 2])."""
        return self.linear(self.norm(embeddings).relu())


class SELUClassifier(torch.nn.Module):
    """A linear layer whose two outputs pass a SELU before the softmax.

    The classifier of :class:`antideepfake.lobes.SLS`: Zhang et al., Audio deepfake detection with self-supervised XLS-R
    and SLS classifier (ACM MM 2024).

    Arguments
    ---------
    in_features : int
        Size of an embedding.

    Example
    -------
    >>> SELUClassifier(8)(torch.randn(3, 8)).shape
    torch.Size([3, 2])
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.fc3 = torch.nn.Linear(in_features, 2)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Turn ``embeddings`` ([batch, in_features]) into log-probabilities ([batch, 2]).

        They can be used like any logits: cross-entropy does not change by a second log-softmax.
        """
        return torch.nn.functional.selu(self.fc3(embeddings)).log_softmax(1)
