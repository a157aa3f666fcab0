"""From files to waveforms, datasets and batches."""

from antideepfake.dataio.audio import (
    SAMPLE_RATE,
    WaveformNormalizer,
    make_waveform,
    normalise,
    read_audio,
    read_waveform,
    to_mono_16k,
)
from antideepfake.dataio.datasets import RandomCrop, make_batch_sampler, make_dataset

__all__ = [
    "SAMPLE_RATE",
    "RandomCrop",
    "WaveformNormalizer",
    "make_batch_sampler",
    "make_dataset",
    "make_waveform",
    "normalise",
    "read_audio",
    "read_waveform",
    "to_mono_16k",
]
