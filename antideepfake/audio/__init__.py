"""Audio input: turn a file, a stream or an array into 16 kHz samples.

Import ``antideepfake.audio.waveform`` by its full name; it needs torch, which is slow to import.
"""

from antideepfake.audio.audio_file import AudioFile, open_audio
from antideepfake.audio.probe import probe
from antideepfake.audio.recording import Recording

__all__ = [
    "AudioFile",
    "Recording",
    "open_audio",
    "probe",
]
