"""Losses: from logits [batch, 2] and targets [batch], 0 for fake and 1 for real, to a number.

They are called like ``torch.nn.CrossEntropyLoss``, the usual one.
"""

import torch


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
