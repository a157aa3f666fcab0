"""What a model folder remembers of its detector, besides settings and weights."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from antideepfake.calibration import Calibration, read_calibration
from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.protocol import LABELS


@dataclass
class ModelMetadata:
    """What a model folder knows about its detector.

    Arguments
    ---------
    threshold : float
        A score (logit of real minus logit of fake) above it means real.
    threshold_source : str
        How the threshold was chosen.
    training_corpora : list of str
        Corpora that the detector was trained on; it must not be tested on them.
    training_generators : list of str
        Generators of the spoofed speech among them.
    provenance : str
        What made the folder, of what.
    licence : str
        Of the weights.
    classes : list of str
        Names of the classes, by index.
    calibration : dict, optional
        From scores to log-likelihood ratios, as :func:`antideepfake.calibration.describe_calibration` writes it.

    Example
    -------
    >>> ModelMetadata(threshold=0.5, training_corpora=["MiniCorpus"]).classes
    ['fake', 'real']
    """

    threshold: float = 0.0
    threshold_source: str = "not calibrated: equal probabilities"
    training_corpora: list[str] = field(default_factory=list)
    training_generators: list[str] = field(default_factory=list)
    provenance: str = ""
    licence: str = ""
    classes: list[str] = field(default_factory=lambda: list(LABELS))
    calibration: dict[str, Any] | None = None

    def load(self, path: str | os.PathLike) -> None:
        """Take the values of a ``metadata.json``."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            self.__init__(**values)  # type: ignore[misc]
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: not the metadata of a model folder ({error})") from None
        if not (isinstance(self.threshold, int | float) and math.isfinite(self.threshold)):
            raise InputError(f"{path}: the threshold is {self.threshold!r}; it must be a number")
        try:
            self.log_likelihood_ratio()
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if self.classes != list(LABELS):
            raise InputError(f"{path}: the classes are {self.classes}; they must be {list(LABELS)}")

    def log_likelihood_ratio(self) -> Calibration | None:
        """Give the calibration, if there is one: a function of scores."""
        return read_calibration(self.calibration) if self.calibration else None

    def save(self, path: str | os.PathLike) -> None:
        """Write a ``metadata.json``."""
        with atomic_open(path) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)
