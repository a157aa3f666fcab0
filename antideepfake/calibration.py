"""From a score to a log-likelihood ratio, as a model folder remembers it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError

Array = NDArray[np.float64]
LARGEST = 1e30  # of the numbers of a calibration: products with scores stay finite


@dataclass(frozen=True)
class Logistic:
    """A weighted sum of the scores of one system or several, plus an offset: a natural log-likelihood ratio.

    Example
    -------
    >>> Logistic(weights=[2.0], offset=1.0)(np.array([0.5, -0.5])).tolist()
    [2.0, 0.0]
    """

    weights: list[float]
    offset: float

    def __call__(self, scores: ArrayLike) -> Array:
        """Give the ratios of scores of shape [utterances] or [utterances, systems]."""
        scores = np.asarray(scores, dtype=np.float64)
        return scores.reshape(len(scores), len(self.weights)) @ np.asarray(self.weights) + self.offset


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between points that rise: a natural log-likelihood ratio; level beyond the outermost points.

    Example
    -------
    >>> Isotonic(scores=[0.0, 1.0], ratios=[-2.0, 2.0])([-5.0, 0.5, 3.0]).tolist()
    [-2.0, 0.0, 2.0]
    """

    scores: list[float]
    ratios: list[float]

    def __call__(self, scores: ArrayLike) -> Array:
        """Give the ratios of scores of shape [utterances]."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.scores, self.ratios)


Calibration = Logistic | Isotonic
METHODS = {"logistic": Logistic, "isotonic": Isotonic}


def describe_calibration(calibration: Calibration) -> dict[str, Any]:
    """Write a calibration as plain data, for a model folder.

    Example
    -------
    >>> describe_calibration(Logistic([2.0], 1.0))
    {'method': 'logistic', 'weights': [2.0], 'offset': 1.0}
    """
    (method,) = (name for name, kind in METHODS.items() if isinstance(calibration, kind))
    return {"method": method, **asdict(calibration)}


def read_calibration(values: Mapping[str, Any]) -> Calibration:
    """Make a calibration of what :func:`describe_calibration` gave.

    Raises
    ------
    InputError
        When it is none.

    Example
    -------
    >>> read_calibration({"method": "logistic", "weights": [2.0], "offset": 1.0})
    Logistic(weights=[2.0], offset=1.0)
    """
    try:
        values = dict(values)
        calibration = METHODS[values.pop("method")](**values)
        for name, value in values.items():
            numbers = [value] if name == "offset" else value
            if not (isinstance(numbers, list) and all(map(_is_number, numbers))):
                raise ValueError(f"the {name} must be {'a number' if name == 'offset' else 'a list of numbers'}")
        if isinstance(calibration, Isotonic) and (np.diff(calibration.scores) < 0).any():
            raise ValueError("the scores must rise")
        if not np.isfinite(calibration(np.zeros(1))).all():
            raise ValueError("a ratio is not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the calibration is none that is known here ({error}); calibrate again") from None
    return calibration


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST
