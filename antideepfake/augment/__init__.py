"""Augmentation of training speech, one utterance at a time."""

from antideepfake.augment.chain import Chain
from antideepfake.augment.codecs import Codec
from antideepfake.augment.rawboost import RawBoost
from antideepfake.augment.speechbrain_augment import Seeded

__all__ = ["Chain", "Codec", "RawBoost", "Seeded"]
