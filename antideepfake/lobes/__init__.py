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
from antideepfake.lobes.classifiers import BatchNormClassifier, CosineClassifier, OneClassClassifier, SELUClassifier
from antideepfake.lobes.detector import PassThrough, UtteranceEncoder, assemble_detector, compute_logits
from antideepfake.lobes.ecapa import ECAPA
from antideepfake.lobes.fixed_length import FixedLength
from antideepfake.lobes.frame_level import FrameLevel
from antideepfake.lobes.front_ends import LogFilterBank, SincFilterBank
from antideepfake.lobes.layer_aggregation import SEA, AttM, LayerSum
from antideepfake.lobes.losses import FocalLoss, MarginSoftmax, OneClassSoftmax, P2SGrad
from antideepfake.lobes.masks import length_mask, masked_mean, whole_lengths
from antideepfake.lobes.mhfa import MHFA
from antideepfake.lobes.nes2net import Nes2Net
from antideepfake.lobes.second_branches import SpectralFineStructure
from antideepfake.lobes.self_supervised import HuBERT, Wav2Vec2, Wav2Vec2BERT, WavLM
from antideepfake.lobes.sls import SLS
from antideepfake.lobes.whisper import Whisper

__all__ = [
    "AASIST",
    "ECAPA",
    "MHFA",
    "SEA",
    "SLS",
    "SSLAASIST",
    "AttM",
    "AttentiveStatisticsPooling",
    "BatchNormClassifier",
    "ConvolutionalEncoder",
    "CosineClassifier",
    "FixedLength",
    "FocalLoss",
    "FrameLevel",
    "HuBERT",
    "LayerStatistics",
    "LayerSum",
    "LayerWeightedMeanPooling",
    "LogFilterBank",
    "MarginSoftmax",
    "MeanPooling",
    "Nes2Net",
    "OneClassClassifier",
    "OneClassSoftmax",
    "P2SGrad",
    "PassThrough",
    "SELUClassifier",
    "SincFilterBank",
    "SpectralFineStructure",
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
