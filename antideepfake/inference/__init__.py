"""The Python interface: load a detector and score recordings."""

from antideepfake.inference.detector import Detector, FileScore, load_detector

__all__ = ["Detector", "FileScore", "load_detector"]
