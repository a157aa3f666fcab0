"""The loss of fine-tuning by reinforcement, against numbers worked out by hand."""

import inspect
from math import exp, log, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.training.policy import policy_loss, sample_labels, sampled_policy_loss


def _logits(*probabilities_of_real):
    """Logits, in double precision, of which the softmax has these probabilities of real."""
    rows = [[log(1 - p) + 3.0, log(p) + 3.0] for p in probabilities_of_real]
    return torch.tensor(rows, dtype=torch.float64).requires_grad_()


def _generator(seed=1):
    return torch.Generator().manual_seed(seed)


# Two utterances, four samples each: of the first, real, three are right, of the second, fake, one. Over the eight
# rewards the mean is 1/2 and the deviation 1/2, so that the advantages are 1 for right and -1 for wrong.
TARGETS = torch.tensor([1, 0])
LABELS = torch.tensor([[1, 1, 0, 1], [1, 0, 1, 1]])
ADVANTAGES = [[1, 1, -1, 1], [-1, 1, -1, -1]]


def test_the_simplified_form_by_hand():
    logits = _logits(0.6, 0.3)
    loss = sampled_policy_loss(logits, TARGETS, LABELS, logits, beta=0.04)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)  # ratios are 1 and advantages sum to 0
    loss.backward()
    # d log p(label) / d logit real is 1 - p for real and -p for fake, p being the probability of real
    first = (3 * (1 - 0.6) + 0.6) / 8
    second = (3 * -(1 - 0.3) + -0.3) / 8
    torch.testing.assert_close(logits.grad, -torch.tensor([[-first, first], [-second, second]], dtype=torch.float64))


def test_the_full_form_by_hand():
    now, old, reference = (0.6, 0.3), (0.5, 0.35), (0.8, 0.5)
    found = sampled_policy_loss(_logits(*now), TARGETS, LABELS, _logits(*reference), _logits(*old), beta=0.1, clip=0.1)
    expected = 0.0
    for row, advantages, p, o, q in zip(LABELS.tolist(), ADVANTAGES, now, old, reference, strict=True):
        for label, advantage in zip(row, advantages, strict=True):
            p_label, o_label, q_label = ((x if label else 1 - x) for x in (p, o, q))
            ratio = p_label / o_label
            clipped = min(max(ratio, 0.9), 1.1)
            expected -= min(ratio * advantage, clipped * advantage)
            expected += 0.1 * (q_label / p_label - log(q_label / p_label) - 1)
    assert found.item() == pytest.approx(expected / 8, rel=1e-12)


@pytest.mark.parametrize(
    ("now", "right", "moves"),
    [
        (0.90, True, False),  # likelier by half, and right: enough
        (0.55, True, True),
        (0.30, True, True),  # half as likely, but right: back
        (0.90, False, True),  # likelier, but wrong: back
        (0.30, False, False),  # half as likely, and wrong: enough
        (0.55, False, True),
    ],
)
def test_clipping_stops_large_updates(now, right, moves):
    logits, old = _logits(now, 0.6), _logits(0.6, 0.6)
    # the second utterance, as it was, has the opposite reward: so that rewards differ
    targets = torch.tensor([1, 0] if right else [0, 1])
    loss = sampled_policy_loss(logits, targets, torch.tensor([[1], [1]]), old, old, beta=0.0, clip=0.2)
    loss.backward()
    assert bool(logits.grad[0].any()) == moves
    if moves:
        assert (logits.grad[0, 1] < 0) == right
        assert logits.grad[0, 1].abs().item() == pytest.approx(now * (1 - now) / 0.6 / 2)  # dp / logit over old p


@pytest.mark.parametrize("simplified", [True, False])
def test_many_samples_agree_with_the_exact_gradient(simplified):
    now, old, targets = (0.6, 0.2, 0.7), (0.5, 0.3, 0.7), torch.tensor([1, 0, 0])
    sampled_from = now if simplified else old
    logits = _logits(*now)
    loss = policy_loss(
        logits,
        targets,
        logits,
        _generator(),
        None if simplified else _logits(*old),
        n_samples=200_000,
        beta=0.0,
        clip=1.0,
        sample_from_old=True,  # without an old policy it has no effect
    )
    loss.backward()
    mean = sum(p if t else 1 - p for p, t in zip(sampled_from, targets.tolist(), strict=True)) / 3
    deviation = sqrt(mean * (1 - mean))
    # the expected reward of an utterance is the probability of its label: its slope is p (1 - p)
    slopes = [(1 if t else -1) * p * (1 - p) for p, t in zip(now, targets.tolist(), strict=True)]
    expected = torch.tensor([[slope, -slope] for slope in slopes], dtype=torch.float64) / deviation / 3
    torch.testing.assert_close(logits.grad, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("sample_from_old", [False, True])
def test_labels_are_sampled_from_the_chosen_policy(sample_from_old):
    """Guards against sampling from the old policy by default: the released code samples from the current one."""
    now, old = _logits(0.999999), _logits(0.000001)
    targets, reference = torch.tensor([1]), _logits(0.5)
    found = policy_loss(now, targets, reference, _generator(), old, n_samples=50, sample_from_old=sample_from_old)
    labels = torch.full((1, 50), 0 if sample_from_old else 1)
    assert found.item() == pytest.approx(sampled_policy_loss(now, targets, labels, reference, old).item())


def test_the_divergence_is_kullback_leiblers():
    logits = _logits(0.6).detach().expand(100, 2)
    found = policy_loss(logits, torch.ones(100), _logits(0.8).expand(100, 2), _generator(), n_samples=2000, beta=1.0)
    # the other part of the loss is 0, as ratios are 1
    assert found.item() == pytest.approx(0.6 * log(0.6 / 0.8) + 0.4 * log(0.4 / 0.2), abs=3e-3)


def test_the_divergence_pulls_towards_the_reference():
    logits = _logits(0.6)
    policy_loss(logits, torch.tensor([1]), _logits(0.9), _generator(), beta=1e4).backward()
    assert logits.grad[0, 1] < 0  # a step against the gradient makes real likelier, as for the reference


@given(seed=st.integers(0, 1000), batch=st.integers(1, 5))
def test_at_the_reference_the_divergence_is_nothing(seed, batch):
    logits = torch.randn(batch, 2, generator=_generator(seed), dtype=torch.float64).requires_grad_()
    labels = sample_labels(logits, _generator(seed))
    targets = torch.ones(batch)
    (with_it,) = torch.autograd.grad(sampled_policy_loss(logits, targets, labels, logits, beta=1e3), logits)
    (without,) = torch.autograd.grad(sampled_policy_loss(logits, targets, labels, logits, beta=0.0), logits)
    torch.testing.assert_close(with_it, without, atol=1e-10, rtol=0)
    assert sampled_policy_loss(logits, targets, labels, logits).item() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("right", [True, False])
def test_equal_rewards_give_no_gradient(right):
    logits = _logits(0.5, 0.4, 0.7)
    labels = torch.ones(3, 5, dtype=torch.int64)
    loss = sampled_policy_loss(logits, torch.full((3,), int(right)), labels, logits)
    loss.backward()
    assert loss.item() == 0.0 and not logits.grad.any()


def test_the_samples_are_the_generators():
    logits = torch.randn(5, 2)
    before = torch.get_rng_state()
    first, again, other = (sample_labels(logits, _generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.shape == (5, 64) and first.float().mean(1).tolist() == pytest.approx(
        logits.softmax(1)[:, 1].tolist(), abs=0.2
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_left_at_the_door(dtype):
    logits = torch.tensor([[0.0, 1.0], [2.0, -5.0]], dtype=dtype).requires_grad_()
    loss = sampled_policy_loss(logits, TARGETS, LABELS, torch.zeros(2, 2, dtype=dtype))
    exact = sampled_policy_loss(logits.double(), TARGETS, LABELS, torch.zeros(2, 2).double())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_training_learns_the_labels():
    logits = torch.zeros(6, 2, requires_grad=True)
    targets = torch.tensor([0, 1, 0, 1, 1, 1])
    optimizer, generator = torch.optim.SGD([logits], lr=1.0), _generator()
    for _ in range(30):
        optimizer.zero_grad()
        policy_loss(logits, targets, torch.zeros(6, 2), generator).backward()
        optimizer.step()
    right = logits.softmax(1).gather(1, targets.unsqueeze(1))
    assert right.min() > 0.9
    # what is learned is held near the reference by beta alone
    held = torch.zeros(6, 2, requires_grad=True)
    optimizer = torch.optim.SGD([held], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        policy_loss(held, targets, torch.zeros(6, 2), generator, beta=20.0).backward()
        optimizer.step()
    assert held.softmax(1).gather(1, targets.unsqueeze(1)).max() < 1 / (1 + exp(-0.5))


@pytest.mark.parametrize("function", [policy_loss, sampled_policy_loss, sample_labels])
def test_defaults_are_the_papers(function):
    published = {"n_samples": 64, "beta": 0.04, "clip": 0.2, "sample_from_old": False}
    defaults = {name: value.default for name, value in inspect.signature(function).parameters.items()}
    assert all(defaults[name] == published[name] for name in published.keys() & defaults.keys())
