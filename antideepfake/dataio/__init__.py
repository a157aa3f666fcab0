"""Data sets and batches for training."""

from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.dataio.datasets import Augmentation, RandomCrop, SkippingDataset, UtteranceDataset, make_dataset
from antideepfake.deprecated import moved_names

__all__ = [
    "Augmentation",
    "BatchPlan",
    "PlannedBatches",
    "RandomCrop",
    "SkippingDataset",
    "UtteranceDataset",
    "make_dataset",
]

__getattr__ = moved_names(__name__)
