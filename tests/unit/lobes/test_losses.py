"""Losses: their values and slopes, whatever the scale."""

from math import exp, log

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.lobes.losses import OneClassSoftmax
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


def test_weights_follow_the_loss_to_its_device(tmp_path):
    (tmp_path / "train.yaml").write_text(f"loss: {LOSSES['weighted'][0]}\n")
    loss = load_hparams(tmp_path / "train.yaml")["loss"]
    assert loss.weight.device.type == "cpu"
    assert loss.to("meta").weight.device.type == "meta"


def test_a_mistyped_setting_is_reported(tmp_path):
    (tmp_path / "train.yaml").write_text("loss: !new:antideepfake.lobes.OneClassSoftmax\n    margin: 0.5\n")
    with pytest.raises(InputError, match="margin"):
        load_hparams(tmp_path / "train.yaml")
