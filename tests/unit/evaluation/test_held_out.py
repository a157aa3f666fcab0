"""Leave-one-system-out: what is held out is nowhere in training, and the table is that of the scores."""

import numpy as np
import pandas as pd
import pytest

from antideepfake.errors import InputError
from antideepfake.evaluation.held_out import compare_held_out, find_systems, format_held_out, hold_out
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials


@pytest.fixture
def table():
    """Systems a and b in all splits, c in training and d in the test set only; an attack name on a real utterance."""
    attacks = {"train": "-abc", "valid": "-ab", "test": "-abd"}
    rows = [(split, attack) for split, names in attacks.items() for attack in names for _ in range(3)]
    table = pd.DataFrame(rows, columns=["Proportion", "Attack"])
    return table.assign(Label=np.where(table["Attack"] == "-", "real", "fake"), ID=range(len(table)))


def test_only_systems_that_are_learned_and_tested_can_be_held_out(table):
    assert find_systems(table) == ["a", "b"]


@pytest.mark.parametrize("systems", [["a"], ["b"], ["d"]])
def test_a_system_that_is_held_out_is_in_the_test_set_only(table, systems):
    train_set, valid_set, test_set = hold_out(table, systems)
    assert set(train_set["Attack"]) == {"-", "a", "b", "c"} - set(systems)
    assert set(valid_set["Attack"]) == {"-", "a", "b"} - set(systems)
    assert set(test_set["Attack"]) == {"-", *systems}
    for split, found in (("train", train_set), ("valid", valid_set), ("test", test_set)):
        assert set(found["Proportion"]) == {split}
        assert (found["Label"] == "real").sum() == 3


def test_several_systems_are_held_out_together(table):
    rows = table[table["Proportion"] == "valid"].replace({"Attack": {"a": "c"}})
    train_set, _, test_set = hold_out(pd.concat([table, rows]), ["a", "b"])
    assert set(train_set["Attack"]) == {"-", "c"} and set(test_set["Attack"]) == {"-", "a", "b"}


def test_impossible_choices_are_refused_before_training(table):
    with pytest.raises(InputError, match="without a, b, the validation set has no spoofed utterances; hold out fewer"):
        hold_out(table, ["a", "b"])
    with pytest.raises(InputError, match="no utterances of c, e; hold out other"):
        hold_out(table, ["a", "c", "e"])


def make_scores(rng, shift):
    attacks = np.repeat(["-", "a", "b"], 60)
    scores = rng.normal(size=180) + np.where(attacks == "-", shift, 0)
    labels = np.where(attacks == "-", "real", "fake")
    return pd.DataFrame({"ID": range(180), "Score": scores, "Label": labels, "Attack": attacks})


def find_eer(scores, attack):
    by_kind = (scores.loc[scores["Attack"] == kind, "Score"] for kind in ("-", attack))
    return equal_error_rate(error_rates(sort_trials(*by_kind)))[0]


def test_the_table_has_both_error_rates_of_each_system_and_their_means(rng):
    trained = make_scores(rng, 3)
    held_out = {name: make_scores(rng, 1).query("Attack in ('-', @name)") for name in "ab"}
    table = compare_held_out(held_out, trained, {"a": ["a"], "b": ["b"]})
    assert table["system"].tolist() == ["a", "b", "mean"]
    for row, name in enumerate("ab"):
        assert table.loc[row, ["real", "fake"]].tolist() == [60, 60]
        assert table.loc[row, "eer"] == find_eer(held_out[name], name)
        assert table.loc[row, "trained_eer"] == find_eer(trained, name)
        for prefix in ("", "trained_"):
            low, value, high = table.loc[row, [f"{prefix}eer_low", f"{prefix}eer", f"{prefix}eer_high"]]
            assert 0 <= low < value < high < 1
    assert table.loc[2, "eer"] == table["eer"][:2].mean() > 2 * table.loc[2, "trained_eer"]
    lines = format_held_out(table).splitlines()
    assert len(lines) == 4 and lines[0].startswith("held out") and f"{100 * table.loc[0, 'eer']:.2f}" in lines[1]
    assert lines[3].split()[:3] == ["mean", "-", "-"]


def test_a_group_has_the_utterances_of_all_its_systems(rng):
    scores = make_scores(rng, 2)
    table = compare_held_out({"a+b": scores}, scores, {"a+b": ["a", "b"]})
    assert table.loc[0, "fake"] == 120 and table.loc[0, "eer"] == table.loc[0, "trained_eer"]
