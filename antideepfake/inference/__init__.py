"""The Python interface: load a detector and score recordings."""

from typing import TYPE_CHECKING, Any

from antideepfake.inference.scores import FileScore

if TYPE_CHECKING:
    from antideepfake.inference.detector import Detector, load_detector

__all__ = ["Detector", "FileScore", "load_detector"]


def __getattr__(name: str) -> Any:
    """Import the names that need torch when they are used: a detector in ONNX Runtime starts without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from antideepfake.inference import detector

    return getattr(detector, name)
