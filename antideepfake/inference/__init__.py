"""Interfaces for use from Python."""

from antideepfake.inference.detector import Detector, FileScore, load_detector

__all__ = ["Detector", "FileScore", "load_detector"]
