"""Losses: their values and slopes, whatever the scale."""

from math import acos, cos, exp, log

import pytest
import torch
from speechbrain.nnet.losses import AdditiveAngularMargin, AngularMargin, LogSoftmaxWrapper

from antideepfake.errors import InputError
from antideepfake.lobes.classifiers import CosineClassifier
from antideepfake.lobes.losses import FocalLoss, MarginSoftmax, OneClassSoftmax, P2SGrad
from antideepfake.training.hparams import load_hparams


def _logits(scores, **options):
    """Logits whose differences are ``scores``; that of fake is not 0."""
    scores = torch.tensor(scores, **options)
    return torch.stack([torch.full_like(scores, 0.25), scores + 0.25], 1)


def test_one_class_softmax_is_the_papers():
    scores, targets = [0.95, 0.5, 0.3, -1.0], [1, 1, 0, 0]
    expected = [log(1 + exp(20 * (0.9 - 0.95))), log(1 + exp(20 * (0.9 - 0.5)))]
    expected += [log(1 + exp(20 * (0.3 - 0.2))), log(1 + exp(20 * (-1.0 - 0.2)))]
    found = OneClassSoftmax()(_logits(scores, dtype=torch.float64), torch.tensor(targets))
    assert found.item() == pytest.approx(sum(expected) / 4, rel=1e-12)


def test_margins_and_scale_are_the_yamls():
    loss = OneClassSoftmax(real_margin=0.7, fake_margin=-0.1, scale=3.0)
    expected = (log(1 + exp(3 * (0.7 - 0.4))) + log(1 + exp(3 * (0.4 + 0.1)))) / 2
    assert loss(_logits([0.4, 0.4]), torch.tensor([1, 0])).item() == pytest.approx(expected, rel=1e-6)


def test_real_is_pulled_up_and_fake_pushed_down():
    logits = _logits([0.5, 0.5]).requires_grad_()
    OneClassSoftmax()(logits, torch.tensor([1, 0])).backward()
    (_, real), (_, fake) = logits.grad.tolist()
    assert real < 0 < fake
    assert logits.grad.sum(1).tolist() == pytest.approx([0.0, 0.0])  # only their difference counts
    # by hand: scale times the logistic function of scale times the distance beyond the margin, over the batch of 2
    assert real == pytest.approx(-20 / (1 + exp(-20 * 0.4)) / 2, rel=1e-5)
    assert fake == pytest.approx(20 / (1 + exp(-20 * 0.3)) / 2, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_large_scale_overflows_nowhere(dtype):
    logits = _logits([-1.0, 1.0, 1.0, -1.0], dtype=dtype).requires_grad_()
    loss = OneClassSoftmax(scale=1e5)(logits, torch.tensor([1, 0, 1, 0]))
    loss.backward()
    assert loss.item() == pytest.approx((1.9e5 + 0.8e5) / 4, rel=1e-6)  # the last two are on the right side
    assert torch.isfinite(logits.grad).all()


def test_an_additive_margin_is_subtracted_from_the_cosine_of_the_true_class():
    loss = MarginSoftmax(AngularMargin(margin=0.2, scale=10.0))
    expected = (log(1 + exp(10 * (0.3 - (0.8 - 0.2)))) + log(1 + exp(10 * (0.7 - (-0.1 - 0.2))))) / 2
    found = loss(torch.tensor([[0.3, 0.8], [-0.1, 0.7]]), torch.tensor([1, 0]))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_an_angular_margin_is_added_to_the_angle_of_the_true_class():
    loss = MarginSoftmax(AdditiveAngularMargin(margin=0.2, scale=10.0))
    expected = log(1 + exp(10 * (0.3 - cos(acos(0.8) + 0.2))))
    assert loss(torch.tensor([[0.3, 0.8]]), torch.tensor([1])).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("margin", [AngularMargin(0.2, 30.0), AdditiveAngularMargin(0.2, 30.0)])
def test_the_loss_with_a_margin_is_that_of_speechbrain(margin):
    cosines, targets = torch.rand(8, 2) * 2 - 1, torch.tensor([0, 1] * 4)
    theirs = LogSoftmaxWrapper(margin)(cosines.unsqueeze(1), targets.unsqueeze(1))
    torch.testing.assert_close(MarginSoftmax(margin)(cosines, targets), theirs)


def test_classes_of_a_loss_with_a_margin_can_be_weighted():
    cosines = torch.tensor([[0.3, 0.8], [-0.1, 0.7]])
    margin = AngularMargin(0.2, 10.0)
    fake, real = (MarginSoftmax(margin)(cosines[[row]], torch.tensor([1 - row])).item() for row in (1, 0))
    found = MarginSoftmax(margin, weight=[0.9, 0.1])(cosines, torch.tensor([1, 0])).item()
    assert found == pytest.approx(0.9 * fake + 0.1 * real, rel=1e-5)


def test_p2s_grad_is_the_squared_distance_from_the_target():
    found = P2SGrad()(torch.tensor([[0.5, 0.2], [-0.3, 0.9]]), torch.tensor([0, 1]))
    assert found.item() == pytest.approx((0.5**2 + 0.2**2 + 0.3**2 + 0.1**2) / 2, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_loss_reduces_the_weight_of_easy_utterances(smoothing):
    logits, targets = torch.tensor([[0.0, 2.0], [0.0, 2.0]]), torch.tensor([1, 0])
    log_odds = {1: log(1 + exp(-2)), 0: log(1 + exp(2))}
    entropies = [(1 - smoothing / 2) * log_odds[target] + smoothing / 2 * log_odds[1 - target] for target in (1, 0)]
    expected = sum((1 - exp(-entropy)) ** 2 * entropy for entropy in entropies) / 2
    assert FocalLoss(label_smoothing=smoothing)(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_without_focus_is_cross_entropy():
    logits, targets = torch.randn(6, 2), torch.tensor([0, 1] * 3)
    torch.testing.assert_close(FocalLoss(gamma=0.0)(logits, targets), torch.nn.CrossEntropyLoss()(logits, targets))


@pytest.mark.parametrize("loss", [MarginSoftmax(AdditiveAngularMargin(0.2, 30.0)), P2SGrad(), FocalLoss()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_have_a_finite_gradient(loss, dtype):
    logits = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    value = loss(logits, torch.tensor([0, 0, 1]))
    value.backward()
    assert value.dtype == torch.float32 and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    "loss", [MarginSoftmax(AngularMargin(0.2, 30.0)), MarginSoftmax(AdditiveAngularMargin(0.2, 30.0)), P2SGrad()]
)
def test_losses_of_cosines_separate_the_classes(loss):
    classifier, targets = CosineClassifier(8), torch.tensor([0, 1] * 20)
    embeddings = torch.randn(2, 8)[targets] + 0.2 * torch.randn(40, 8)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        loss(classifier(embeddings), targets).backward()
        optimizer.step()
    logits = classifier(embeddings)
    assert ((logits[:, 1] > logits[:, 0]) == (targets == 1)).all()


LOSSES = {
    "plain": ("!new:torch.nn.CrossEntropyLoss", 1.0, 1.0),
    "weighted": ("!new:torch.nn.CrossEntropyLoss\n    weight: !apply:torch.tensor [[0.755, 0.245]]", 0.755, 0.245),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_yaml_weights_the_classes(tmp_path, name):
    text, fake, real = LOSSES[name]
    (tmp_path / "train.yaml").write_text(f"loss: {text}\n")
    loss = load_hparams(tmp_path / "train.yaml")["loss"]
    found = loss(_logits([0.8, 0.8]), torch.tensor([0, 1])).item()
    expected = (fake * log(1 + exp(0.8)) + real * log(1 + exp(-0.8))) / (fake + real)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("margin", ["AngularMargin", "AdditiveAngularMargin"])
def test_a_yaml_sets_the_margin(tmp_path, margin):
    text = f"""loss: !new:antideepfake.lobes.MarginSoftmax
    margin: !new:speechbrain.nnet.losses.{margin} {{margin: 0.2, scale: 30.0}}
    weight: [0.9, 0.1]
"""
    (tmp_path / "train.yaml").write_text(text)
    loss = load_hparams(tmp_path / "train.yaml")["loss"]
    assert (loss.margin.margin, loss.margin.scale) == (0.2, 30.0)
    assert loss.to("meta").weight.device.type == "meta"


def test_a_yaml_smooths_the_labels(tmp_path):
    (tmp_path / "train.yaml").write_text("loss: !new:torch.nn.CrossEntropyLoss\n    label_smoothing: 0.1\n")
    loss = load_hparams(tmp_path / "train.yaml")["loss"]
    expected = 0.95 * log(1 + exp(-0.8)) + 0.05 * log(1 + exp(0.8))
    assert loss(_logits([0.8]), torch.tensor([1])).item() == pytest.approx(expected, rel=1e-6)


def test_weights_follow_the_loss_to_its_device(tmp_path):
    (tmp_path / "train.yaml").write_text(f"loss: {LOSSES['weighted'][0]}\n")
    loss = load_hparams(tmp_path / "train.yaml")["loss"]
    assert loss.weight.device.type == "cpu"
    assert loss.to("meta").weight.device.type == "meta"


def test_a_mistyped_setting_is_reported(tmp_path):
    (tmp_path / "train.yaml").write_text("loss: !new:antideepfake.lobes.OneClassSoftmax\n    margin: 0.5\n")
    with pytest.raises(InputError, match="margin"):
        load_hparams(tmp_path / "train.yaml")
