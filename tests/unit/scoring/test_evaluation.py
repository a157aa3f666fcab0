"""From scores to figures, groups and comparisons."""

import numpy as np
import pandas as pd
import pytest

from antideepfake.errors import InputError
from antideepfake.scoring import AsvScores, Evaluator, equal_error_rate, error_rates, fit_logistic, sort_trials
from antideepfake.scoring.metrics import cllr


@pytest.fixture
def scores():
    """Two generators, two languages, four speakers; the scores of the second generator are nearer to real speech."""
    rng = np.random.default_rng(1)
    count = 400
    is_real = np.arange(count) % 2 == 0
    attack = np.where(is_real, "-", np.where(np.arange(count) % 4 == 1, "far", "near"))
    return pd.DataFrame(
        {
            "ID": [f"u{number}" for number in range(count)],
            "Score": rng.normal(0, 1, count) + 4 * is_real + 2 * (attack == "near"),
            "Label": np.where(is_real, "real", "fake"),
            "Attack": attack,
            "Language": np.where(np.arange(count) < 100, "EN", "FR"),
            "Speaker": [f"s{number % 40}" for number in range(count)],
            "Duration": [f"{0.5 + number / 20:.2f}" for number in range(count)],
        }
    )


def eer(scores):
    real, fake = (scores.loc[scores["Label"] == label, "Score"] for label in ("real", "fake"))
    return float(equal_error_rate(error_rates(sort_trials(real, fake)))[0])


def test_generators_are_held_against_all_real_speech(scores):
    """An attack has no real speech of its own: its error rate would be unknown."""
    evaluation = Evaluator().evaluate(scores, "s", ["Attack"])
    far, near = evaluation.groups["Attack"]
    assert [(group.name, group.real, group.fake) for group in (far, near)] == [("far", 200, 100), ("near", 200, 100)]
    assert far.figures["eer"].value == eer(scores[scores["Attack"] != "near"])
    assert far.figures["eer"].value < evaluation.overall.figures["eer"].value < near.figures["eer"].value


def test_other_columns_divide_both_classes(scores):
    """The French figure would be of English recordings."""
    english, french = Evaluator().evaluate(scores, "s", ["Language"]).groups["Language"]
    assert (english.real, english.fake, french.real, french.fake) == (50, 50, 150, 150)
    assert french.figures["eer"].value == eer(scores[scores["Language"] == "FR"])


def test_durations_are_divided_into_ranges(scores):
    """Every hundredth of a second would be a group."""
    groups = Evaluator().evaluate(scores, "s", ["Duration"]).groups["Duration"]
    assert [group.name for group in groups] == ["0 to 2 s", "2 to 4 s", "4 to 8 s", "8 to 16 s", "16 to 32 s"]
    assert sum(group.real + group.fake for group in groups) == len(scores)


def test_a_class_that_is_absent(scores):
    """A corpus of generated speech alone could not be looked at, or an error rate be made up for it."""
    overall = Evaluator(threshold=1.0).evaluate(scores[scores["Label"] == "fake"], "s").overall
    assert "eer" not in overall.figures and "no real" in overall.note
    assert overall.figures["fpr"].value == pytest.approx((scores.loc[scores["Label"] == "fake", "Score"] >= 1).mean())
    assert np.isnan(overall.figures["recall"].value)
    fpr = overall.figures["fpr"]
    error = np.sqrt(fpr.value * (1 - fpr.value) / 200)
    assert fpr.low == pytest.approx(fpr.value - 1.96 * error, abs=0.015)
    assert fpr.high == pytest.approx(fpr.value + 1.96 * error, abs=0.015)


def test_few_utterances_are_said_to_be_few(scores):
    """An error rate of seven utterances would look like one of seven thousand."""
    few = pd.concat([scores[scores["Label"] == "real"], scores[scores["Label"] == "fake"].head(7)])
    assert Evaluator().evaluate(few, "s").overall.note == "only 7 fake"
    assert Evaluator().evaluate(scores, "s").overall.note == ""
    evaluation = Evaluator(cluster="Language").evaluate(scores, "s")
    assert evaluation.overall.note == "only 2 values of Language: the intervals say little"


def test_calibration_enters_the_costs_alone(scores):
    """Error rates would move with the calibration, or Cllr not."""
    is_real = scores["Label"] == "real"
    calibration = fit_logistic(scores.loc[is_real, "Score"], scores.loc[~is_real, "Score"])
    plain, calibrated = (
        Evaluator(calibration=chosen).evaluate(scores, "s").overall.figures for chosen in (None, calibration)
    )
    assert plain["eer"] == calibrated["eer"] and plain["min_dcf"] == calibrated["min_dcf"]
    ratios = calibration(scores["Score"])
    assert calibrated["cllr"].value == pytest.approx(cllr(sort_trials(ratios[is_real], ratios[~is_real])))
    assert calibrated["cllr"].value < plain["cllr"].value


def test_verification_adds_its_cost(scores):
    """The t-DCF would be missing, or there where nobody asked."""
    asv = AsvScores(np.array([1.0, 2.0, 3.0]), np.array([-2.0, -1.0]), np.array([2.0, 2.5]))
    assert Evaluator(asv=asv).evaluate(scores, "s").overall.figures["min_t_dcf"].value > 0
    assert "min_t_dcf" not in Evaluator().evaluate(scores, "s").overall.figures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scores: scores.assign(Score=scores["Score"].where(scores["ID"] != "u3", np.nan)), "1 scores .*'u3'"),
        (lambda scores: scores.assign(Score=scores["Score"].where(scores["ID"] != "u3", np.inf)), "in fp32"),
        (lambda scores: pd.concat([scores, scores.head(2)]), "2 utterances come a second time, such as 'u0'"),
        (lambda scores: scores.assign(Label=scores["Label"].where(scores["ID"] != "u3", "")), "no label, such as 'u3'"),
        (lambda scores: scores.drop(columns="Attack"), "no column Attack; there are Language"),
        (lambda scores: scores.head(0), "holds no scores"),
    ],
)
def test_what_cannot_be_evaluated_is_told(scores, change, message):
    """A figure would come of scores that are none, or of one utterance counted twice."""
    with pytest.raises(InputError, match=message):
        Evaluator().evaluate(change(scores), "s", ["Attack"])


def test_systems_are_compared_on_what_they_share(scores):
    """Systems would be compared by utterances that one of them has not scored."""
    worse = scores.assign(Score=scores["Score"] + np.random.default_rng(2).normal(0, 3, len(scores)))
    evaluation = Evaluator().evaluate(worse, "worse")
    Evaluator().compare(scores.head(300), worse.tail(250).sample(frac=1, random_state=1), evaluation)
    assert evaluation.common == 150
    shared = scores["ID"][150:300]
    expected = eer(worse[worse["ID"].isin(shared)]) - eer(scores[scores["ID"].isin(shared)])
    assert evaluation.differences["eer"].difference == pytest.approx(expected)
    assert evaluation.differences["roc_auc"].high < 0
    assert not set(evaluation.differences) & {"accuracy", "act_dcf"}  # these depend on a threshold


def test_nothing_in_common(scores):
    """Two test sets would end in a division by zero."""
    evaluation = Evaluator().evaluate(scores, "s")
    Evaluator().compare(scores.assign(ID="x" + scores["ID"]), scores, evaluation)
    assert evaluation.common == 0 and not evaluation.differences
