"""From files to waveforms, datasets and batches."""

from antideepfake.dataio.audio import (
    SAMPLE_RATE,
    SilentError,
    WaveformNormalizer,
    make_waveform,
    normalise,
    read_audio,
    read_waveform,
    to_mono_16k,
)
from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.dataio.datasets import Augmentation, RandomCrop, SkippingDataset, UtteranceDataset, make_dataset

__all__ = [
    "SAMPLE_RATE",
    "Augmentation",
    "BatchPlan",
    "PlannedBatches",
    "RandomCrop",
    "SilentError",
    "SkippingDataset",
    "UtteranceDataset",
    "WaveformNormalizer",
    "make_dataset",
    "make_waveform",
    "normalise",
    "read_audio",
    "read_waveform",
    "to_mono_16k",
]
