"""Evaluations as tables."""

import numpy as np
import pandas as pd
import pytest

from antideepfake.evaluation.evaluator import Evaluator
from antideepfake.evaluation.tables import (
    METRICS,
    flatten,
    format_evaluations,
    format_latex,
    format_markdown,
    format_text,
    overall_table,
)


@pytest.fixture
def evaluation():
    rng = np.random.default_rng(1)
    is_real = np.arange(120) % 3 == 0
    scores = pd.DataFrame(
        {
            "ID": [f"u{number}" for number in range(120)],
            "Score": rng.normal(0, 1, 120) + 2 * is_real,
            "Label": np.where(is_real, "real", "fake"),
            "Attack": np.where(is_real, "-", np.where(np.arange(120) < 20, "a_&|%", "b" * 60)),
        }
    )
    return Evaluator(threshold=0.5, threshold_source="as tried " + 30 * "and tested ").evaluate(
        scores, "small", ["Attack"]
    )


def test_text_fits_the_terminal_and_includes_all_metrics(evaluation):
    text = format_evaluations([evaluation])
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith("small: 40 real, 80 fake")
    assert all(METRICS[name].name in text for name in evaluation.overall.metrics)
    assert "a score at or above 0.500 (as tried and tested" in text
    eer = next(line for line in text.splitlines() if line.startswith("EER %"))
    assert eer.split()[2] == f"{100 * evaluation.overall.metrics['eer'].value:.2f}"
    assert "* Attack a_&|%: only " in text and "misclassified at the EER" in " ".join(text.split())


def test_every_metric_has_a_name_and_a_meaning(evaluation):
    table = overall_table(evaluation.overall)
    assert len(table) == len(evaluation.overall.metrics)
    assert (table["meaning"].str.len() > 10).all()


def test_only_fractions_are_in_percent(evaluation):
    rows = overall_table(evaluation.overall).set_index("metric")["value"]
    assert float(rows["accuracy %"]) == pytest.approx(100 * evaluation.overall.metrics["accuracy"].value, abs=0.005)
    assert float(rows["ROC AUC"]) == pytest.approx(evaluation.overall.metrics["roc_auc"].value, abs=0.0005)


def test_names_of_groups_are_escaped_in_tables(evaluation):
    table = pd.DataFrame([["a_&|%$#{}~^\\", "1"]], columns=["Attack", "EER %"])
    assert r"a\_\&|\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{} & 1 \\" in format_latex(table)
    assert format_markdown(table).splitlines()[2].count(" | ") == 1
    assert len(format_text(pd.DataFrame([["b" * 60, "1"]], columns=["Attack", "EER %"])).splitlines()[1]) < 40


def test_numbers_for_a_spreadsheet_are_exact(evaluation):
    table = flatten([evaluation])
    assert table["group"].tolist() == ["all", "a_&|%", "b" * 60]
    assert table["eer"][0] == evaluation.overall.metrics["eer"].value
    assert (table["eer_low"] <= table["eer"]).all() and (table["eer"] <= table["eer_high"]).all()


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "plain", "-"])
def test_names_are_escaped_in_a_spreadsheet(name):
    scores = pd.DataFrame({"ID": ["a", "b"], "Score": [1.0, -1.0], "Label": ["real", "fake"], "Attack": ["x", name]})
    table = flatten([Evaluator(n_resamples=10).evaluate(scores, name, ["Attack"])])
    expected = name if name in ("plain", "-") else f"'{name}"
    assert expected in table["group"].tolist() and set(table["system"]) == {expected}


def test_long_names_keep_their_ends():
    """Guards against score files of many runs that look alike in a table."""
    names = [f"results/{'x' * 60}/seed_{seed}.csv" for seed in (1, 2)]
    lines = format_text(pd.DataFrame([[name, "1"] for name in names], columns=["system", "EER %"])).splitlines()
    assert "seed_1.csv" in lines[1] and "seed_2.csv" in lines[2] and lines[1].startswith("results")
