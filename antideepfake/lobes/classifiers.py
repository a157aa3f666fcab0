"""Classifiers: from embeddings [batch, size] to the logits of fake (index 0) and real (index 1), [batch, 2].

The usual one is ``torch.nn.Linear``. The score of a detector is the logit of real minus that of fake.
"""

import torch


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
