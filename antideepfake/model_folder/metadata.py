"""The metadata of a model folder: threshold, calibration, training data, provenance and license."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.model_folder.calibration import Calibration, read_calibration
from antideepfake.model_folder.validation_scores import is_histogram
from antideepfake.model_folder.windowing import Windowing, read_windowing
from antideepfake.protocol.table import LABELS

OLD_KEYS = {"licence": "license", "training_generators": "training_attacks"}  # key of version 0.1 -> current key


@dataclass
class ModelMetadata:
    """The metadata of a detector.

    Arguments
    ---------
    threshold : float
        A score (logit of real minus logit of fake) at or above it counts as real.
    threshold_source : str
        How the threshold was chosen.
    threshold_errors : dict
        Errors on the utterances on which the threshold was chosen: ``eer``, ``fnr`` and ``fpr`` as fractions, ``real``
        and ``fake`` as numbers of utterances. Empty if unknown.
    previous_threshold : dict
        ``threshold``, ``threshold_source``, ``threshold_errors``, ``calibration`` and ``validation_scores`` before the
        last calibration.
    training_protocols : list of dict
        Protocols of training and validation: ``name``, ``sha256`` of the file, ``corpora`` that occur in no other
        training data, ``splits`` used, and number of training ``utterances``. Empty if unknown.
    training_corpora : list of str
        Corpora on which the detector was trained; it must not be tested on them.
    training_attacks : list of str
        Spoofing systems of the training data (column Attack).
    provenance : str
        How the folder was made, and from which model.
    license : str
        License of the weights.
    classes : list of str
        Names of the classes, by index.
    calibration : dict, optional
        Conversion of scores to log-likelihood ratios, as ``describe_calibration`` of
        :mod:`antideepfake.model_folder.calibration` returns it.
    windows : dict
        Settings of :class:`antideepfake.model_folder.windowing.Windowing` that differ from its defaults, such as
        ``utterance_seconds``, the longest recording that the detector scores as one utterance.
    validation_scores : dict
        Histogram of the scores of the utterances on which the threshold was chosen, as ``describe_scores`` of
        :mod:`antideepfake.model_folder.validation_scores` returns it. Empty if unknown.

    Example
    -------
    >>> ModelMetadata(threshold=0.5, training_corpora=["MiniCorpus"]).classes
    ['fake', 'real']
    """

    threshold: float = 0.0
    threshold_source: str = "not calibrated: equal probabilities"
    training_corpora: list[str] = field(default_factory=list)
    training_attacks: list[str] = field(default_factory=list)
    provenance: str = ""
    license: str = ""
    classes: list[str] = field(default_factory=lambda: list(LABELS))
    calibration: dict[str, Any] | None = None
    threshold_errors: dict[str, float] = field(default_factory=dict)
    previous_threshold: dict[str, Any] = field(default_factory=dict)
    training_protocols: list[dict[str, Any]] = field(default_factory=list)
    windows: dict[str, Any] = field(default_factory=dict)
    validation_scores: dict[str, list[float]] = field(default_factory=dict)

    def load(self, path: str | os.PathLike) -> None:
        """Set the values from a ``metadata.json``.

        Raises
        ------
        InputError
            If the file is not JSON, or a value has the wrong type.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            self.__init__(**rename_old_keys(values))  # type: ignore[misc]
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: not the metadata of a model folder ({error}); copy the folder again") from None
        self.check(path)

    def check(self, path: str | os.PathLike) -> None:
        """Check the type of every value.

        Arguments
        ---------
        path : str or Path
            File of the values, for the error message.

        Raises
        ------
        InputError
            If a value has the wrong type or range.

        Example
        -------
        >>> ModelMetadata(threshold="high").check("metadata.json")
        Traceback (most recent call last):
        antideepfake.errors.InputError: metadata.json: the threshold is 'high'; it must be a finite number
        """
        self._require(path, "threshold", _is_number(self.threshold), "a finite number")
        for name in ("threshold_source", "provenance", "license"):
            self._require(path, name, isinstance(getattr(self, name), str), "text")
        for name in ("training_corpora", "training_attacks"):
            self._require(path, name, _is_texts(getattr(self, name)), "a list of texts")
        self._require(path, "classes", self.classes == list(LABELS), f"{list(LABELS)}")
        limits = {"eer": 1, "fnr": 1, "fpr": 1, "real": math.inf, "fake": math.inf}  # largest value of each
        errors = self.threshold_errors
        is_valid = isinstance(errors, dict) and errors.keys() <= limits.keys()
        is_valid = is_valid and all(_is_number(value) and 0 <= value <= limits[name] for name, value in errors.items())
        is_valid = is_valid and len(errors) in (0, len(limits))
        self._require(path, "threshold_errors", is_valid, "eer, fnr and fpr from 0 to 1, and counts of real and fake")
        self._require(path, "previous_threshold", isinstance(self.previous_threshold, dict), "a JSON object")
        protocols = self.training_protocols
        is_valid = isinstance(protocols, list) and all(map(_is_training_protocol, protocols))
        self._require(path, "training_protocols", is_valid, "a list of name, sha256, corpora, splits and utterances")
        is_valid = self.validation_scores == {} or is_histogram(self.validation_scores)
        self._require(path, "validation_scores", is_valid, "rising edges, and counts of real and fake for each bin")
        self._require(path, "calibration", isinstance(self.calibration, dict | None), "a JSON object or null")
        self._require(path, "windows", isinstance(self.windows, dict), "a JSON object")
        try:
            self.log_likelihood_ratio()
            self.windowing()
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def _require(self, path: str | os.PathLike, name: str, is_valid: bool, expected: str) -> None:
        if not is_valid:
            text = repr(getattr(self, name))
            text = text if len(text) <= 60 else f"{text[:57]}..."
            raise InputError(f"{path}: the {name} is {text}; it must be {expected}")

    def log_likelihood_ratio(self) -> Calibration | None:
        """Return the calibration, a function of scores, or None."""
        return read_calibration(self.calibration) if self.calibration else None

    def windowing(self) -> Windowing:
        """Return how recordings longer than an utterance are cut."""
        return read_windowing(self.windows)

    def save(self, path: str | os.PathLike) -> None:
        """Write a ``metadata.json``."""
        with atomic_open(path) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)


def rename_old_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of metadata that version 0.1 wrote to the current ones.

    Example
    -------
    >>> rename_old_keys({"licence": "MIT", "threshold": 0.0})
    {'license': 'MIT', 'threshold': 0.0}
    """
    return {OLD_KEYS.get(key, key): value for key, value in values.items()}


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_training_protocol(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"name", "sha256", "corpora", "splits", "utterances"}
        and isinstance(value["name"], str)
        and isinstance(value["sha256"], str)
        and _is_texts(value["corpora"])
        and _is_texts(value["splits"])
        and _is_number(value["utterances"])
    )
