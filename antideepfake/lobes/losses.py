"""Losses: from logits [batch, 2] and targets [batch], 0 for fake and 1 for real, to a number.

They are called like ``torch.nn.CrossEntropyLoss``, the usual one, which can also weight the classes (``weight``) and
smooth the labels (``label_smoothing``).
"""

from collections.abc import Sequence

import torch
from speechbrain.nnet.losses import AngularMargin


class OneClassSoftmax(torch.nn.Module):
    """Bona fide speech above one margin, spoofed speech below another (OC-softmax).

    With s the score, the mean of log(1 + exp(scale (real_margin - s))) for real and log(1 + exp(scale (s -
    fake_margin))) for fake utterances: Zhang, Jiang, Duan, One-class learning towards synthetic voice spoofing
    detection (2021), equation 4, where s is the cosine that :class:`antideepfake.lobes.OneClassClassifier` gives.

    Arguments
    ---------
    real_margin, fake_margin : float
        Scores in [-1, 1]: bona fide speech should lie above the first, spoofed speech below the second. The defaults
        are the paper's.
    scale : float
        Steepness of the loss beyond a margin; 20 in the paper.

    Example
    -------
    >>> loss = OneClassSoftmax()
    >>> loss(torch.tensor([[0.0, 0.2], [0.0, 0.9]]), torch.tensor([0, 1]))  # both on their margin: log 2
    tensor(0.6931)
    """

    def __init__(self, real_margin: float = 0.9, fake_margin: float = 0.2, scale: float = 20.0) -> None:
        super().__init__()
        self.real_margin, self.fake_margin, self.scale = real_margin, fake_margin, scale

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of ``logits`` ([batch, 2]) for ``targets`` ([batch], 0 or 1), at least in float32."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        scores = logits[:, 1] - logits[:, 0]
        beyond = torch.where(targets == 1, self.real_margin - scores, scores - self.fake_margin)
        return torch.nn.functional.softplus(self.scale * beyond).mean()


class MarginSoftmax(torch.nn.Module):
    """Cross-entropy of cosines whose true class has to win by a margin: AM-softmax and AAM-softmax.

    The margins are SpeechBrain's, and the cosines those of :class:`antideepfake.lobes.CosineClassifier`. In a YAML:

    .. code-block:: yaml

        loss: !new:antideepfake.lobes.MarginSoftmax
            margin: !new:speechbrain.nnet.losses.AdditiveAngularMargin {margin: 0.2, scale: 30.0}

    Arguments
    ---------
    margin : AngularMargin
        ``AngularMargin`` subtracts a margin from the cosine (Wang et al., Additive margin softmax for face
        verification, 2018); ``AdditiveAngularMargin`` adds one, in radians, to the angle (Deng et al., ArcFace, 2019).
        ``scale`` is the factor of the cosines in the softmax; their default of 1 is too low for training.
    weight : sequence of float, optional
        Weights of fake and real utterances; equal by default.

    Example
    -------
    >>> loss = MarginSoftmax(AngularMargin(margin=0.3, scale=20.0))
    >>> loss(torch.tensor([[0.5, 0.2]]), torch.tensor([0]))  # exactly the margin apart: log 2
    tensor(0.6931)
    """

    weight: torch.Tensor | None

    def __init__(self, margin: AngularMargin, weight: Sequence[float] | None = None) -> None:
        super().__init__()
        self.margin = margin
        self.register_buffer("weight", None if weight is None else torch.tensor(weight))

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of cosines, ``logits`` ([batch, 2]), for ``targets`` ([batch], 0 or 1)."""
        classes = torch.nn.functional.one_hot(targets, 2).float()
        return torch.nn.functional.cross_entropy(self.margin(logits.float(), classes), targets, self.weight)


class P2SGrad(torch.nn.Module):
    """The squared distance of cosines from 1 for the true class and 0 for the other, without margins or scales.

    The sum over both classes and the mean over the batch, of the cosines that
    :class:`antideepfake.lobes.CosineClassifier` gives. Its gradient is that of P2SGrad (Zhang et al. 2019): Wang,
    Yamagishi, A comparative study on recent neural spoofing countermeasures for synthetic speech detection (2021).

    Example
    -------
    >>> P2SGrad()(torch.tensor([[0.5, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    tensor(0.1250)
    """

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of cosines, ``logits`` ([batch, 2]), for ``targets`` ([batch], 0 or 1)."""
        classes = torch.nn.functional.one_hot(targets, 2)
        return (logits.float() - classes).square().sum(1).mean()


class FocalLoss(torch.nn.Module):
    """Cross-entropy that counts less for utterances that are already classified well.

    With c the cross-entropy of an utterance, the mean of (1 - exp(-c))^gamma c: Lin et al., Focal loss for dense object
    detection (2017).

    Arguments
    ---------
    gamma : float
        0 gives cross-entropy; 2 in the paper.
    label_smoothing : float
        Part of the target, in [0, 1], that is spread equally over both classes, as in ``torch.nn.CrossEntropyLoss``.
        0.1 makes the targets 0.95 and 0.05.

    Example
    -------
    >>> logits, targets = torch.tensor([[0.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1])
    >>> FocalLoss(gamma=0)(logits, targets), FocalLoss(gamma=2)(logits, targets)
    (tensor(0.3709), tensor(0.0867))
    """

    def __init__(self, gamma: float = 2.0, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.gamma, self.label_smoothing = gamma, label_smoothing

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss of ``logits`` ([batch, 2]) for ``targets`` ([batch], 0 or 1)."""
        entropy = torch.nn.functional.cross_entropy(
            logits.float(), targets, reduction="none", label_smoothing=self.label_smoothing
        )
        return ((1 - torch.exp(-entropy)) ** self.gamma * entropy).mean()
