"""antideepfake calibrate: costs before and after, and what a development set supports."""

import numpy as np
import pandas as pd
import pytest

from antideepfake.cli.calibrate import check_size, compare_costs, measure_errors
from antideepfake.errors import InputError
from antideepfake.model_folder.calibration import Logistic


@pytest.fixture
def scores(rng):
    """Scores whose classes overlap, ten times too far apart for log-likelihood ratios."""
    is_real = np.repeat([True, False], 200)
    values = 10 * (rng.standard_normal(400) + np.where(is_real, 1, -1))
    labels = np.where(is_real, "real", "fake")
    return pd.DataFrame({"ID": [f"u{number}" for number in range(400)], "Score": values, "Label": labels})


def test_costs_are_compared_before_and_after(scores):
    table = compare_costs({"a.csv": scores, "b.csv": scores}, Logistic([0.2], 0.0))
    assert table["scores"].tolist() == ["a.csv", "a.csv", "b.csv", "b.csv"]
    assert table["calibration"].tolist() == ["before", "after"] * 2
    before, after = table["Cllr"].astype(float)[:2]
    assert after < before and table["min Cllr"][0] == table["min Cllr"][1]


@pytest.mark.parametrize(("rate", "message"), [(0.004, "score 2,500 or more"), (0.0, "ask for a rate above 0")])
def test_a_rate_below_one_expected_error_is_refused(rate, message):
    with pytest.raises(InputError, match=message):
        check_size(rate, 200, "fake")


def test_a_rate_below_ten_expected_errors_is_warned_of(capsys):
    check_size(0.04, 200, "real")
    assert capsys.readouterr().err == (
        "warning: 200 real utterances hardly support an error rate of 4 %; score 250 or more\n"
    )
    check_size(0.05, 200, "real")
    assert capsys.readouterr().err == ""


def test_errors_are_those_of_the_threshold(scores):
    errors = measure_errors(scores, 5.0)
    values = {label: scores.loc[scores["Label"] == label, "Score"] for label in ("real", "fake")}
    assert errors["fnr"].value == pytest.approx((values["real"] < 5).mean())
    assert errors["fpr"].value == pytest.approx((values["fake"] >= 5).mean())
    assert errors["fnr"].low < errors["fnr"].value < errors["fnr"].high
