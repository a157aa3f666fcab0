"""Metrics, groups and comparisons of scores."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Evaluator, natural_order
from antideepfake.metrics.costs import AsvScores, cllr
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
from antideepfake.metrics.summary import compute_metrics
from antideepfake.model_folder.calibration import fit_logistic


@pytest.fixture
def scores():
    """Two attacks, two languages, forty speakers; the second attack has scores closer to bona fide speech."""
    rng = np.random.default_rng(1)
    count = 400
    is_real = np.arange(count) % 2 == 0
    attack = np.where(is_real, "-", np.where(np.arange(count) % 4 == 1, "distant", "near"))
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


def test_each_attack_is_compared_with_all_bona_fide_utterances(scores):
    evaluation = Evaluator().evaluate(scores, "s", ["Attack"])
    distant, near = evaluation.groups["Attack"]
    assert [(group.name, group.real, group.fake) for group in (distant, near)] == [
        ("distant", 200, 100),
        ("near", 200, 100),
    ]
    assert distant.metrics["eer"].value == eer(scores[scores["Attack"] != "near"])
    assert distant.metrics["eer"].value < evaluation.overall.metrics["eer"].value < near.metrics["eer"].value


def test_other_columns_split_both_classes(scores):
    english, french = Evaluator().evaluate(scores, "s", ["Language"]).groups["Language"]
    assert (english.real, english.fake, french.real, french.fake) == (50, 50, 150, 150)
    assert french.metrics["eer"].value == eer(scores[scores["Language"] == "FR"])


def test_groups_are_in_the_order_of_their_numbers(scores):
    systems = np.where(scores["Label"] == "real", "-", [f"A{number % 12}" for number in range(len(scores))])
    groups = Evaluator(n_resamples=10).evaluate(scores.assign(Attack=systems), "s", ["Attack"]).groups["Attack"]
    assert [group.name for group in groups] == ["A1", "A3", "A5", "A7", "A9", "A11"]
    for group in groups:
        assert group.fake == (systems == group.name).sum()


@given(st.lists(st.integers(0, 10**30), max_size=5), st.text(max_size=3))
def test_natural_order_of_numbers_and_of_other_names(numbers, text):
    names = [f"{text}x{number}" for number in numbers]
    assert sorted(names, key=natural_order) == [f"{text}x{number}" for number in sorted(numbers)]


def test_natural_order_takes_numbers_of_any_length():
    assert sorted(["1" + "0" * 5000, "9" * 5000, "09", "9"], key=natural_order)[-1] == "1" + "0" * 5000


def test_durations_are_divided_into_ranges(scores):
    groups = Evaluator().evaluate(scores, "s", ["Duration"]).groups["Duration"]
    assert [group.name for group in groups] == ["0 to 2 s", "2 to 4 s", "4 to 8 s", "8 to 16 s", "16 to 32 s"]
    assert sum(group.real + group.fake for group in groups) == len(scores)


def test_metrics_of_a_single_class(scores):
    overall = Evaluator(threshold=1.0).evaluate(scores[scores["Label"] == "fake"], "s").overall
    assert "eer" not in overall.metrics and "no real" in overall.note
    assert overall.metrics["fpr"].value == pytest.approx((scores.loc[scores["Label"] == "fake", "Score"] >= 1).mean())
    assert np.isnan(overall.metrics["recall"].value)
    fpr = overall.metrics["fpr"]
    exact = binomtest(round(200 * fpr.value), 200).proportion_ci(method="exact")
    assert (fpr.low, fpr.high) == (pytest.approx(exact.low), pytest.approx(exact.high))


def make_table(real, fake, **columns):
    labels = ["real"] * len(real) + ["fake"] * len(fake)
    ids = [f"u{number}" for number in range(len(labels))]
    return pd.DataFrame({"ID": ids, "Score": np.concatenate([real, fake]).astype(float), "Label": labels} | columns)


@pytest.mark.parametrize(("wrong", "is_noted"), [(0, True), (4, True), (5, False), (6, False)])
def test_few_errors_are_noted_whatever_the_number_of_utterances(wrong, is_noted):
    real, fake = np.linspace(1, 2, 200), np.linspace(-2, -1, 200)
    real[:wrong], fake[:wrong] = -3, 3
    note = Evaluator(n_resamples=50).evaluate(make_table(real, fake), "s").overall.note
    assert ("misclassified at the EER" in note) == is_noted
    assert not is_noted or note.startswith(f"only {wrong} real and {wrong} fake utterances")


@pytest.mark.parametrize(("speakers", "is_noted"), [(19, True), (20, False)])
def test_few_clusters_are_noted(scores, speakers, is_noted):
    scores = scores.assign(Speaker=np.arange(len(scores)) // 2 % speakers)
    note = Evaluator(cluster="Speaker", n_resamples=50).evaluate(scores, "s").overall.note
    assert note == (f"only {speakers} values of Speaker: the intervals are unreliable" if is_noted else "")


def test_unknown_speakers_are_not_one_cluster(scores):
    """Guards against one cluster of all spoofed utterances, whose speakers are mostly unknown."""
    known = scores.assign(Speaker=[f"s{number}" for number in range(len(scores))])
    unknown = scores.assign(Speaker=np.where(scores["Label"] == "fake", "-", known["Speaker"]))
    one, other = (
        Evaluator(cluster="Speaker").evaluate(table, "s").overall.metrics["eer"] for table in (known, unknown)
    )
    assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.2)


def test_separated_classes_have_no_interval_of_zero_width():
    metrics = Evaluator(threshold=0.0).evaluate(make_table(np.linspace(1, 2, 50), np.linspace(-2, -1, 50)), "s")
    for name, (value, low, high) in metrics.overall.metrics.items():
        assert low <= value <= high and high > low, name
    eer = metrics.overall.metrics["eer"]
    assert (eer.value, eer.low) == (0, 0) and 0.03 < eer.high < 0.08
    assert metrics.overall.metrics["fpr"].high == pytest.approx(binomtest(0, 50).proportion_ci(method="exact").high)


def test_the_same_utterances_have_the_same_intervals_as_group_and_as_total(scores):
    evaluation = Evaluator().evaluate(scores.assign(Corpus="one"), "s", ["Corpus"])
    [group] = evaluation.groups["Corpus"]
    assert group.metrics == evaluation.overall.metrics and group.note == evaluation.overall.note


def test_a_detector_at_chance_and_a_reversed_one_are_noted():
    rng = np.random.default_rng(1)
    real, fake = rng.normal(0, 1, 200), rng.normal(0, 1, 200)
    assert "at chance" in Evaluator().evaluate(make_table(real, fake), "s").overall.note
    notes = [Evaluator().evaluate(make_table(real + shift, fake), "s").overall.note for shift in (2, -2)]
    assert notes[0] == "" and "are the scores reversed?" in notes[1] and "at chance" not in notes[1]


COVERED_METRICS = (
    *("eer", "eer_interpolated", "roc_auc", "accuracy", "precision", "recall", "f1", "fpr", "fnr"),
    *("min_dcf", "act_dcf", "cllr", "min_cllr", "eer_threshold"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "rate"), [(50, 0.01), (50, 0.1), (200, 0.05)])
def test_intervals_cover_the_truth(count, rate):
    """Guards against intervals that are too narrow, above all where there are few errors or none."""
    distance = -ndtri(rate)  # of either mean from 0: two unit normals with that EER
    grid = ndtri((np.arange(100_000) + 0.5) / 100_000)
    truth = compute_metrics(sort_trials(grid + distance, grid - distance), threshold=0.0)
    rng = np.random.default_rng(5)
    runs = 100
    held = dict.fromkeys(COVERED_METRICS, 0)
    for _ in range(runs):
        table = make_table(rng.normal(distance, 1, count), rng.normal(-distance, 1, count))
        metrics = Evaluator(n_resamples=300).evaluate(table, "s").overall.metrics
        for name in held:
            held[name] += metrics[name].low <= truth[name] <= metrics[name].high
    lowest = dict.fromkeys(held, 0.9) | {"cllr": 0.84, "eer_threshold": 0.78}
    assert {name: value for name, value in held.items() if value < lowest[name] * runs} == {}


@pytest.mark.slow
def test_intervals_of_few_speakers_cover_the_truth():
    """Guards against intervals that take the speakers of a test set for all speakers."""
    rng = np.random.default_rng(5)
    truth, held, runs = float(ndtr(-1 / np.sqrt(1.25))), 0, 100
    for _ in range(runs):
        speakers = np.tile(np.repeat(np.arange(20), 10), 2)
        voice = rng.normal(0, 0.5, 40)[speakers + 20 * (np.arange(400) >= 200)]
        values = rng.normal(0, 1, 400) + voice + np.repeat([1.0, -1.0], 200)
        names = [f"{number} {index < 200}" for index, number in enumerate(speakers)]
        table = make_table(values[:200], values[200:], Speaker=names)
        eer = Evaluator(cluster="Speaker", n_resamples=300).evaluate(table, "s").overall.metrics["eer"]
        held += eer.low <= truth <= eer.high
    assert held >= 0.9 * runs


def test_calibration_changes_only_the_costs(scores):
    is_real = scores["Label"] == "real"
    calibration = fit_logistic(scores.loc[is_real, "Score"], scores.loc[~is_real, "Score"])
    plain, calibrated = (
        Evaluator(calibration=chosen).evaluate(scores, "s").overall.metrics for chosen in (None, calibration)
    )
    assert plain["eer"] == calibrated["eer"] and plain["min_dcf"] == calibrated["min_dcf"]
    ratios = calibration(scores["Score"])
    assert calibrated["cllr"].value == pytest.approx(cllr(sort_trials(ratios[is_real], ratios[~is_real])))
    assert calibrated["cllr"].value < plain["cllr"].value


def test_verification_adds_its_cost(scores):
    asv = AsvScores(np.array([1.0, 2.0, 3.0]), np.array([-2.0, -1.0]), np.array([2.0, 2.5]))
    assert Evaluator(asv=asv).evaluate(scores, "s").overall.metrics["min_t_dcf"].value > 0
    assert "min_t_dcf" not in Evaluator().evaluate(scores, "s").overall.metrics


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scores: scores.assign(Score=scores["Score"].where(scores["ID"] != "u3", np.nan)), "1 scores .*'u3'"),
        (lambda scores: scores.assign(Score=scores["Score"].where(scores["ID"] != "u3", np.inf)), "in fp32"),
        (lambda scores: pd.concat([scores, scores.head(2)]), "2 utterances are repeated, such as 'u0'"),
        (lambda scores: scores.assign(Label=scores["Label"].where(scores["ID"] != "u3", "")), "no label, such as 'u3'"),
        (lambda scores: scores.drop(columns="Attack"), "no column Attack; the scores have Language"),
        (lambda scores: scores.head(0), "contains no scores"),
    ],
)
def test_invalid_scores_raise_an_error(scores, change, message):
    with pytest.raises(InputError, match=message):
        Evaluator().evaluate(change(scores), "s", ["Attack"])


def test_systems_are_compared_on_their_common_utterances(scores):
    worse = scores.assign(Score=scores["Score"] + np.random.default_rng(2).normal(0, 3, len(scores)))
    evaluation = Evaluator().evaluate(worse, "worse")
    Evaluator().compare(scores.head(300), worse.tail(250).sample(frac=1, random_state=1), evaluation)
    assert evaluation.common == 150
    shared = scores["ID"][150:300]
    expected = eer(worse[worse["ID"].isin(shared)]) - eer(scores[scores["ID"].isin(shared)])
    assert evaluation.differences["eer"].difference == pytest.approx(expected)
    assert evaluation.differences["roc_auc"].high < 0
    assert not set(evaluation.differences) & {"accuracy", "act_dcf"}  # these depend on a threshold


def test_the_order_of_the_second_system_has_no_influence(scores):
    worse = scores.assign(Score=scores["Score"] + np.random.default_rng(2).normal(0, 3, len(scores)))
    found = []
    for rows in (worse, worse.sample(frac=1, random_state=1)):
        evaluation = Evaluator().evaluate(rows, "worse")
        Evaluator().compare(scores, rows, evaluation)
        found.append(evaluation.differences)
    assert found[0] == found[1]


def test_systems_without_common_utterances_have_no_differences(scores):
    evaluation = Evaluator().evaluate(scores, "s")
    Evaluator().compare(scores.assign(ID="x" + scores["ID"]), scores, evaluation)
    assert evaluation.common == 0 and not evaluation.differences
