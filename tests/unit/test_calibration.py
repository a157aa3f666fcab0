"""What a model folder keeps of a calibration."""

import numpy as np
import pytest

from antideepfake.calibration import Isotonic, Logistic, describe_calibration, read_calibration
from antideepfake.errors import InputError


@pytest.mark.parametrize("calibration", [Logistic([2.0], -1.0), Isotonic([0.0, 1.0, 2.0], [-3.0, 0.0, 0.5])])
def test_written_and_read_again(calibration):
    """A model folder would calibrate otherwise than was fitted."""
    again = read_calibration(describe_calibration(calibration))
    scores = np.linspace(-2, 4, 20)
    assert again == calibration
    np.testing.assert_array_equal(again(scores), calibration(scores))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"method": "other"},
        {"method": "logistic", "weights": [1.0]},
        {"method": "logistic", "weights": [float("nan")], "offset": 0.0},
        {"method": "logistic", "weights": [1.0, 2.0], "offset": 0.0},
        {"method": "isotonic", "scores": [0.0], "ratios": [float("inf")]},
        {"method": "isotonic", "scores": [0.0, 1.0], "ratios": [0.0]},
        {"method": "logistic", "weights": [1.0], "offset": [[1]]},
        {"method": "logistic", "weights": [True], "offset": 0.0},
        {"method": "logistic", "weights": {"1": 1.0}, "offset": 0.0},
        {"method": "logistic", "weights": [[1.0]], "offset": 0.0},
        {"method": "logistic", "weights": [1e308], "offset": 0.0},
        {"method": "logistic", "weights": [10**400], "offset": 0.0},
        {"method": "isotonic", "scores": [1.0, 0.0], "ratios": [0.0, 1.0]},
        {"method": "isotonic", "scores": [0.0, 1.0], "ratios": [-1e308, 1e308]},
    ],
)
def test_what_is_none(values):
    """A damaged model folder would state probabilities that are not numbers."""
    with pytest.raises(InputError, match="calibrate again"):
        read_calibration(values)
