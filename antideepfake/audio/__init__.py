"""From a file, a stream or an array to 16 kHz samples. Import ``waveform``, which needs torch, by its own name."""

from antideepfake.audio.audio_file import AudioFile, open_audio
from antideepfake.audio.probe import probe

__all__ = [
    "AudioFile",
    "open_audio",
    "probe",
]
