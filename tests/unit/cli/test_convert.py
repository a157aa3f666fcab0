"""antideepfake convert: the account of the tensors, and the names of published detectors."""

import argparse

import pytest
import torch

from antideepfake.checkpoints.key_mapping import Checkpoint
from antideepfake.cli.convert import format_report, published_name
from antideepfake.lobes.self_supervised import Wav2Vec2


def test_every_tensor_is_accounted_for():
    weight = torch.zeros(1)
    left_out = {"quantizer.vars": "codebook of pre-training", "mask_emb": "masking", "quantizer.proj": "masking"}
    settings = {"num_hidden_layers": 2, "hidden_size": 16}
    checkpoint = Checkpoint(Wav2Vec2, settings, {"a": weight, "b": weight}, {"weight": weight}, left_out, "a.ckpt")
    assert format_report(checkpoint).splitlines() == [
        "Wav2Vec2, 2 layers of 16",
        "6 tensors: 3 used, 3 left out",
        "  left out, codebook of pre-training: quantizer.vars",
        "  left out, masking: mask_emb, quantizer.proj",
    ]


def test_published_detectors_are_named_without_their_owner():
    assert published_name("mms-300m-anti-deepfake") == "mms-300m-anti-deepfake"
    with pytest.raises(argparse.ArgumentTypeError, match="choose from wav2vec-small"):
        published_name("nii-yamagishilab/mms-300m-anti-deepfake")
