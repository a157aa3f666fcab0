"""Deepfake speech detection on SpeechBrain: protocols, waveforms, detectors, training, scoring and inference."""

__version__ = "0.1.0"
