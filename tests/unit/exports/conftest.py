"""Small detectors of every kind that can be exported."""

import numpy as np
import pytest
import torch

from antideepfake.inference.detector import Detector
from antideepfake.lobes import (
    AttentiveStatisticsPooling,
    ConvolutionalEncoder,
    FrameLevel,
    HuBERT,
    LayerStatistics,
    LogFilterBank,
    MeanPooling,
    StatisticsPooling,
    UtteranceEncoder,
    Wav2Vec2,
    Wav2Vec2BERT,
    WavLM,
    Whisper,
    assemble_detector,
)
from antideepfake.model_folder import ModelMetadata

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": [8, 8], "conv_kernel": [10, 8], "conv_stride": [5, 4]}
CONVOLUTIONS |= {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
ENCODERS = {
    "wav2vec 2.0 Base": (Wav2Vec2, CONVOLUTIONS),
    "wav2vec 2.0 Large": (Wav2Vec2, CONVOLUTIONS | LARGE),
    "HuBERT Base": (HuBERT, CONVOLUTIONS),
    "HuBERT Large": (HuBERT, CONVOLUTIONS | LARGE),
    "WavLM Base": (WavLM, CONVOLUTIONS),
    "WavLM Large": (WavLM, CONVOLUTIONS | LARGE),
    "w2v-BERT": (Wav2Vec2BERT, {}),
    "Whisper": (Whisper, {}),
}


@pytest.fixture(scope="session")
def make_detector():
    """Make a detector of tiny modules."""
    return build


def build(name, back_end=None, all_layers=False, classifier=None, **metadata):
    """Norms and biases are as if trained."""
    if name == "filter bank":
        front_end, size = LogFilterBank(20), 8
        back_end = back_end or ConvolutionalEncoder(20, [4, 6], size)
    else:
        kind, settings = ENCODERS[name]
        front_end = kind(all_layers, **TINY, **settings)
        back_end, size = back_end or MeanPooling(), 16
    if isinstance(back_end, StatisticsPooling | AttentiveStatisticsPooling):
        size = 32
    if isinstance(back_end, FrameLevel):
        size = 128
    if isinstance(back_end, LayerStatistics):
        size = 32 * len(back_end.layers)
    modules = assemble_detector(UtteranceEncoder(front_end, back_end), classifier or torch.nn.Linear(size, 2)).eval()
    with torch.no_grad():
        for weight in modules.parameters():
            weight += 0.1 * torch.randn(weight.shape)
    return Detector(modules, {"metadata": ModelMetadata(**metadata)}, {"device": "cpu"})


@pytest.fixture
def recordings(rng):
    """Ten recordings of different lengths and levels: noise that comes and goes, with an offset."""
    levels = np.geomspace(0.003, 0.5, 10)
    lengths = rng.permutation(np.linspace(4000, 24_000, 10).astype(int))
    return [
        (level * (0.2 + rng.standard_normal(length) * np.sin(np.arange(length) / 2000))).astype(np.float32)
        for level, length in zip(levels, lengths, strict=True)
    ]
