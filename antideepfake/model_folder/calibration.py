"""Calibration of scores as log-likelihood ratios, and the choice of a threshold."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.errors import InputError
from antideepfake.metrics.rates import distinct_starts, equal_error_rate, error_rates, sort_trials

Array = NDArray[np.float64]
LARGEST = 1e30  # largest parameter of a calibration, so that products with scores stay finite


@dataclass(frozen=True)
class Logistic:
    """Logistic calibration: an affine map from the scores of one or several systems to natural log-likelihood ratios.

    Example
    -------
    >>> Logistic(weights=[2.0], offset=1.0)(np.array([0.5, -0.5])).tolist()
    [2.0, 0.0]
    """

    weights: list[float]
    offset: float

    def __call__(self, scores: ArrayLike) -> Array:
        """Return the log-likelihood ratios of scores of shape [utterances] or [utterances, systems]."""
        scores = np.asarray(scores, dtype=np.float64)
        return scores.reshape(len(scores), len(self.weights)) @ np.asarray(self.weights) + self.offset


@dataclass(frozen=True)
class Isotonic:
    """Isotonic calibration: a non-decreasing, piecewise linear map from scores to natural log-likelihood ratios.

    It is constant beyond the outermost points.

    Example
    -------
    >>> Isotonic(scores=[0.0, 1.0], ratios=[-2.0, 2.0])([-5.0, 0.5, 3.0]).tolist()
    [-2.0, 0.0, 2.0]
    """

    scores: list[float]
    ratios: list[float]

    def __call__(self, scores: ArrayLike) -> Array:
        """Return the log-likelihood ratios of scores of shape [utterances]."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.scores, self.ratios)


Calibration = Logistic | Isotonic
METHODS = {"logistic": Logistic, "isotonic": Isotonic}


def describe_calibration(calibration: Calibration) -> dict[str, Any]:
    """Return a calibration as plain data, for a model folder.

    Example
    -------
    >>> describe_calibration(Logistic([2.0], 1.0))
    {'method': 'logistic', 'weights': [2.0], 'offset': 1.0}
    """
    (method,) = (name for name, kind in METHODS.items() if isinstance(calibration, kind))
    return {"method": method, **asdict(calibration)}


def read_calibration(values: Mapping[str, Any]) -> Calibration:
    """Build a calibration from the plain data of :func:`describe_calibration`.

    Raises
    ------
    InputError
        If the data do not describe a calibration.

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
            raise ValueError("the scores must not decrease")
        if not np.isfinite(calibration(np.zeros(1))).all():
            raise ValueError("a ratio is not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the calibration is malformed or unknown ({error}); calibrate again") from None
    return calibration


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST


def fit_logistic(real: ArrayLike, fake: ArrayLike) -> Logistic:
    """Fit a :class:`Logistic` calibration, which minimizes the Cllr on a development set.

    Both classes have a weight of one half.

    Arguments
    ---------
    real, fake : array of float
        Scores of bona fide and of spoofed utterances, shape [utterances], or [utterances, systems] to fuse systems.

    Returns
    -------
    Logistic
        The calibration. A small ridge penalty (1e-4 on standardized scores) keeps it finite if the classes do not
        overlap.

    Raises
    ------
    InputError
        If a class is absent or a score is not finite.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> calibrate = fit_logistic(rng.normal(3, 1, 5000), rng.normal(1, 1, 5000))  # the true ratio is 2 s - 4
    >>> [round(value, 1) for value in (*calibrate.weights, calibrate.offset)]
    [2.0, -4.0]
    """
    from scipy.optimize import minimize  # slow to import, and scoring does without
    from scipy.special import expit

    real, fake = (np.asarray(scores, dtype=np.float64) for scores in (real, fake))
    sort_trials(real, fake)  # raises an error for an absent class or a score that is not finite
    real, fake = (scores.reshape(len(scores), -1) for scores in (real, fake))
    both = np.concatenate([real, fake])
    mean, scale = both.mean(0), np.maximum(both.std(0), 1e-12)
    inputs = np.hstack([(both - mean) / scale, np.ones((len(both), 1))])
    target = np.concatenate([np.ones(len(real)), np.zeros(len(fake))])
    weight = np.where(target == 1, 0.5 / len(real), 0.5 / len(fake))

    def loss(parameters: Array) -> tuple[float, Array]:
        ratio = inputs @ parameters
        ridge = 1e-4 * parameters[:-1]
        value = weight @ np.logaddexp(0, np.where(target == 1, -ratio, ratio)) + ridge @ parameters[:-1] / 2
        return float(value), inputs.T @ (weight * (expit(ratio) - target)) + np.append(ridge, 0.0)

    fitted = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B", tol=1e-12).x
    weights = fitted[:-1] / scale
    return Logistic([float(value) for value in weights], float(fitted[-1] - weights @ mean))


def fit_isotonic(real: ArrayLike, fake: ArrayLike) -> Isotonic:
    """Fit an :class:`Isotonic` calibration by pool adjacent violators; use hundreds of utterances of each class.

    Arguments
    ---------
    real, fake : array of float
        Scores of a development set, shape [utterances].

    Returns
    -------
    Isotonic
        The calibration. The fit adds one utterance of each class at both ends (Laplace's rule), so that all ratios are
        finite.

    Raises
    ------
    InputError
        If a class is absent or a score is not finite.

    Example
    -------
    >>> [round(ratio, 2) for ratio in fit_isotonic(real=[2.0, 3.0, 4.0], fake=[0.0, 1.0, 2.5]).ratios]
    [-1.1, -1.1, 0.0, 0.0, 1.1, 1.1]
    """
    from scipy.optimize import isotonic_regression  # slow to import, and scoring does without

    trials = sort_trials(real, fake)
    real, fake = (np.concatenate([[1.0], counts, [1.0]]) for counts in (trials.real, trials.fake))
    scores = np.concatenate([trials.scores[:1], trials.scores, trials.scores[-1:]])
    starts = distinct_starts(scores)
    real, fake, scores = np.add.reduceat(real, starts), np.add.reduceat(fake, starts), scores[starts]
    blocks = isotonic_regression(real / (real + fake), weights=real + fake).blocks
    real, fake = (np.add.reduceat(counts, blocks[:-1]) for counts in (real, fake))
    ratios = np.log(real / real.sum()) - np.log(fake / fake.sum())
    # Each block yields two points, at its lowest and its highest score.
    points, first = np.unique(np.stack([scores[blocks[:-1]], scores[blocks[1:] - 1]], axis=1), return_index=True)
    return Isotonic(points.tolist(), ratios[first // 2].tolist())


FITS: dict[str, Callable[[ArrayLike, ArrayLike], Calibration]] = {"logistic": fit_logistic, "isotonic": fit_isotonic}


def threshold_for(
    real: ArrayLike, fake: ArrayLike, fpr: float | None = None, fnr: float | None = None
) -> tuple[float, str]:
    """Choose a threshold on a development set.

    Arguments
    ---------
    real, fake : array of float
        Scores of its bona fide and of its spoofed utterances.
    fpr : float, optional
        Largest fraction of spoofed utterances accepted as real, in [0, 1): choose the lowest such threshold.
    fnr : float, optional
        Largest fraction of bona fide utterances rejected as fake, in [0, 1): choose the highest such threshold. By
        default, choose the threshold of the equal error rate.

    Returns
    -------
    threshold : float
        A score at or above it counts as real.
    source : str
        Description of the choice, with both error rates at the threshold.

    Raises
    ------
    InputError
        If a fraction is not in [0, 1), both are given, or a class is absent.

    Example
    -------
    >>> threshold_for(real=[1.0, 2.0, 3.0, 4.0], fake=[-1.0, 0.0, 0.5, 2.5], fnr=0.25)
    (2.0, 'at most 25 % of real speech called fake: 25.00 % of real called fake, 25.00 % of fake called real')
    """
    if fpr is not None and fnr is not None:
        raise InputError("fpr and fnr are both given; pass only one")
    rates = error_rates(sort_trials(real, fake))
    if fpr is None and fnr is None:
        index = int(np.searchsorted(rates.threshold, equal_error_rate(rates)[1]))
        wanted = "equal error rates"
    else:
        limit = fpr if fpr is not None else fnr
        assert limit is not None
        if not 0 <= limit < 1:
            name = "fpr" if fpr is not None else "fnr"
            raise InputError(f"{name} is {limit}; it must be at least 0 and less than 1")
        # A threshold cannot separate equal scores, so only the first of them counts.
        first = np.append(True, np.diff(rates.threshold) > 0)
        good = rates.false_acceptance <= limit if fpr is not None else rates.false_rejection <= limit
        candidates = np.flatnonzero(first & good)
        index = int(candidates[0] if fpr is not None else candidates[-1])
        kinds = "fake speech called real" if fpr is not None else "real speech called fake"
        wanted = f"at most {100 * limit:g} % of {kinds}"
    errors = 100 * rates.false_rejection[index], 100 * rates.false_acceptance[index]
    text = f"{wanted}: {errors[0]:.2f} % of real called fake, {errors[1]:.2f} % of fake called real"
    return float(rates.threshold[index]), text
