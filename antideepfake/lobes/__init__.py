"""Torch modules for the YAML of a detector: front ends, back ends, classifiers, losses."""

from antideepfake.lobes.aasist import AASIST, SSLAASIST
from antideepfake.lobes.back_ends import (
    AttentiveStatisticsPooling,
    ConvolutionalEncoder,
    LayerStatistics,
    LayerWeightedMeanPooling,
    MeanPooling,
    StatisticsPooling,
)
from antideepfake.lobes.classifiers import OneClassClassifier
from antideepfake.lobes.detector import PassThrough, UtteranceEncoder, assemble_detector, compute_logits
from antideepfake.lobes.fixed_length import FixedLength
from antideepfake.lobes.front_ends import LogFilterBank, SincFilterBank
from antideepfake.lobes.losses import OneClassSoftmax
from antideepfake.lobes.masks import length_mask, masked_mean, whole_lengths
from antideepfake.lobes.self_supervised import HuBERT, Wav2Vec2, Wav2Vec2BERT, WavLM
from antideepfake.lobes.whisper import Whisper

__all__ = [
    "AASIST",
    "SSLAASIST",
    "AttentiveStatisticsPooling",
    "ConvolutionalEncoder",
    "FixedLength",
    "HuBERT",
    "LayerStatistics",
    "LayerWeightedMeanPooling",
    "LogFilterBank",
    "MeanPooling",
    "OneClassClassifier",
    "OneClassSoftmax",
    "PassThrough",
    "SincFilterBank",
    "StatisticsPooling",
    "UtteranceEncoder",
    "Wav2Vec2",
    "Wav2Vec2BERT",
    "WavLM",
    "Whisper",
    "assemble_detector",
    "compute_logits",
    "length_mask",
    "masked_mean",
    "whole_lengths",
]
