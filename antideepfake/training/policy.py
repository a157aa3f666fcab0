"""The loss of fine-tuning by reinforcement: group relative policy optimization (GRPO) with a detector as the policy.

The policy samples the label of an utterance, fake or real, with the probabilities of the detector's logits, and is
rewarded for the right label: Wang, Ge, Yamagishi, Does fine-tuning by reinforcement learning improve generalization in
binary speech deepfake detection? (arXiv 2603.02914, 2026). Group relative policy optimization is due to Shao et al.,
DeepSeekMath (arXiv 2402.03300, 2024), the clipping to Schulman et al., Proximal policy optimization algorithms (arXiv
1707.06347, 2017).
"""

import torch

STD_FLOOR = 1e-5
"""Least standard deviation of rewards: keeps rounding errors of equal rewards from being amplified."""


def policy_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    reference_logits: torch.Tensor,
    generator: torch.Generator,
    old_logits: torch.Tensor | None = None,
    n_samples: int = 64,
    beta: float = 0.04,
    clip: float = 0.2,
    sample_from_old: bool = False,
) -> torch.Tensor:
    """Sample labels of a batch from the policy, and compute their loss.

    Arguments
    ---------
    logits : torch.Tensor
        Of the detector in training; shape [batch, 2].
    targets : torch.Tensor
        0 for fake, 1 for real; shape [batch].
    reference_logits : torch.Tensor
        Of the detector before fine-tuning, for the same utterances; shape [batch, 2].
    generator : torch.Generator
        Samples the labels; on the device of the logits.
    old_logits : torch.Tensor, optional
        Of the old policy, the detector some steps ago: the loss weights a sample by the clipped ratio of its current to
        its old probability. Without them, as in the paper's simplified form, there is no ratio.
    n_samples : int
        Labels sampled for an utterance; 64 in the paper.
    beta : float
        Weight of the divergence from the reference.
    clip : float
        As for :func:`sampled_policy_loss`.
    sample_from_old : bool
        Sample labels from ``old_logits``, as textbooks define policy optimization. By default labels are sampled from
        ``logits`` in both forms, as in the released code.

    Returns
    -------
    torch.Tensor
        Scalar, at least in float32. Only its gradient is meaningful: rewards are centered, so the value stays near 0
        while the detector improves.

    Example
    -------
    >>> logits, targets = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 1, 1])
    >>> policy_loss(logits, targets, torch.zeros(4, 2), torch.Generator().manual_seed(1)).backward()
    >>> logits.grad.argmin(1)  # a descent step raises these logits most
    tensor([0, 0, 1, 1])
    """
    source = old_logits if sample_from_old and old_logits is not None else logits
    labels = sample_labels(source, generator, n_samples)
    return sampled_policy_loss(logits, targets, labels, reference_logits, old_logits, beta, clip)


def sample_labels(logits: torch.Tensor, generator: torch.Generator, n_samples: int = 64) -> torch.Tensor:
    """Sample labels with the probabilities of a detector's logits.

    Arguments
    ---------
    logits : torch.Tensor
        Shape [batch, 2].
    generator, n_samples :
        As for :func:`policy_loss`.

    Returns
    -------
    torch.Tensor
        0 for fake, 1 for real; shape [batch, n_samples].

    Example
    -------
    >>> sample_labels(torch.tensor([[0.0, 50.0], [50.0, 0.0]]), torch.Generator().manual_seed(1), 3)
    tensor([[1, 1, 1],
            [0, 0, 0]])
    """
    probabilities = _log_probabilities(logits.detach()).exp()
    return torch.multinomial(probabilities, n_samples, replacement=True, generator=generator)


def sampled_policy_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    labels: torch.Tensor,
    reference_logits: torch.Tensor,
    old_logits: torch.Tensor | None = None,
    beta: float = 0.04,
    clip: float = 0.2,
) -> torch.Tensor:
    """Compute the loss of sampled labels.

    The mean over all samples of the batch of -min(r A, clamp(r, 1 - clip, 1 + clip) A) + beta D. The advantage A is the
    reward of a sample (1 for the right label, else 0) minus the mean over the batch, divided by the standard deviation.
    The ratio r is the current probability of the sampled label divided by its old one. D = q - log q - 1, where q is
    the probability under the reference divided by the current one; its expectation is the Kullback-Leibler divergence
    of the policy from the reference.

    Arguments
    ---------
    logits, targets, reference_logits, old_logits, beta :
        As for :func:`policy_loss`. Without ``old_logits`` r has the value 1, but still a gradient.
    labels : torch.Tensor
        As :func:`sample_labels` returns them; shape [batch, n_samples].
    clip : float
        A sample whose probability has changed by more than this fraction in the direction of its reward has no further
        effect.

    Returns
    -------
    torch.Tensor
        As :func:`policy_loss`.

    Example
    -------
    >>> logits, targets = torch.zeros(1, 2, requires_grad=True), torch.tensor([1])
    >>> sampled_policy_loss(logits, targets, torch.tensor([[0, 1]]), torch.zeros(1, 2)).backward()
    >>> logits.grad
    tensor([[ 0.5000, -0.5000]])
    """
    current = _of_labels(logits, labels)
    reference = _of_labels(reference_logits.detach(), labels)
    old = current.detach() if old_logits is None else _of_labels(old_logits.detach(), labels)

    rewards = (labels == targets.unsqueeze(1)).to(current.dtype)
    advantages = (rewards - rewards.mean()) / rewards.std(correction=0).clamp(min=STD_FLOOR)
    ratios = (current - old).exp()
    gain = torch.minimum(ratios * advantages, ratios.clamp(1 - clip, 1 + clip) * advantages)
    log_ratio = reference - current
    divergence = log_ratio.exp() - log_ratio - 1
    return (beta * divergence - gain).mean()


def _log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(1)


def _of_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the log-probabilities of ``labels`` ([batch, samples])."""
    return _log_probabilities(logits).gather(1, labels)
