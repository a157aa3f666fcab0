"""ECAPA-TDNN: the embeddings of SpeechBrain's network, also in a padded batch."""

import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.lobes import ECAPA


@torch.no_grad()
@pytest.mark.parametrize("frames", [5, 6, 30])
def test_an_utterance_alone_is_that_of_speechbrain(frames):
    head = ECAPA(10, channels=16, embedding_size=8, attention_size=4, se_size=4, scale=4).eval()
    x = torch.randn(2, frames, 10)
    torch.testing.assert_close(head(x, torch.ones(2)), head.network(x).squeeze(1), atol=1e-5, rtol=1e-5)


def test_padding_has_no_influence_and_every_weight_learns(check_back_end):
    check_back_end(ECAPA(10, channels=16, embedding_size=8, attention_size=4, se_size=4, scale=4), (20, 10))


def test_nothing_is_left_behind():
    head = ECAPA(10, channels=16, embedding_size=8)
    head.eval()(torch.randn(1, 9, 10), torch.ones(1))
    assert not any(module._forward_pre_hooks for module in head.modules())


def test_several_layers_are_reported():
    with pytest.raises(InputError, match=r"takes one layer, but the front end returns 5; set layer_aggregation"):
        ECAPA(10, channels=16)(torch.ones(2, 5, 9, 10), torch.ones(2))


@pytest.mark.parametrize("scale", [1, 5])
def test_a_scale_that_does_not_divide_the_channels_is_reported(scale):
    with pytest.raises(InputError, match=f"scale is {scale}; it must be from 2 to 64 and divide channels, 16"):
        ECAPA(10, channels=16, scale=scale)
