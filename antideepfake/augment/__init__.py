"""Augmentations for training. Each processes one utterance at a time."""

from antideepfake.augment.codecs import Codec
from antideepfake.augment.compose import Compose
from antideepfake.augment.rawboost import RawBoost
from antideepfake.augment.speechbrain_augment import Seeded
from antideepfake.augment.telephone import BandLimit, Level, PacketLoss, Telephone, VoiceProcessing
from antideepfake.deprecated import moved_names

__all__ = [
    "BandLimit",
    "Codec",
    "Compose",
    "Level",
    "PacketLoss",
    "RawBoost",
    "Seeded",
    "Telephone",
    "VoiceProcessing",
]

__getattr__ = moved_names(__name__)
