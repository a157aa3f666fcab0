"""Model folders: metadata, calibration, OOD detector and card.

This package does not import torch; ``folder`` and ``weights`` do, so import these modules by name.
"""

from antideepfake.model_folder.calibration import (
    FITS,
    Calibration,
    Isotonic,
    Logistic,
    fit_isotonic,
    fit_logistic,
    threshold_for,
)
from antideepfake.model_folder.card import write_model_card
from antideepfake.model_folder.decision import decide
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import FILES, is_unfinished
from antideepfake.model_folder.out_of_distribution import OODDetector, fit_ood_detector, read_ood_detector

__all__ = [
    "FILES",
    "FITS",
    "Calibration",
    "Isotonic",
    "Logistic",
    "ModelMetadata",
    "OODDetector",
    "decide",
    "fit_isotonic",
    "fit_logistic",
    "fit_ood_detector",
    "is_unfinished",
    "read_ood_detector",
    "threshold_for",
    "write_model_card",
]
