"""Torch modules that a YAML names: front ends, encoders, classifiers."""

from antideepfake.lobes.detector import compute_embeddings, compute_logits
from antideepfake.lobes.encoders import ConvolutionalEncoder
from antideepfake.lobes.front_ends import LogFilterBank
from antideepfake.lobes.masks import SentenceMeanNorm, length_mask

__all__ = [
    "ConvolutionalEncoder",
    "LogFilterBank",
    "SentenceMeanNorm",
    "compute_embeddings",
    "compute_logits",
    "length_mask",
]
