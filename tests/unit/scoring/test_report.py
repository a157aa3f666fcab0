"""Tables and pictures of scores."""

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from antideepfake.errors import InputError
from antideepfake.scoring import (
    equal_error_rate,
    format_generator_table,
    generator_table,
    plot_scores,
    split_by_generator,
)


def _scores(rng, attacks, size=40):
    parts = [pd.DataFrame({"Score": rng.normal(1, 1, size), "Label": "real", "Attack": "-"})]
    parts += [
        pd.DataFrame({"Score": rng.normal(-number, 1, size), "Label": "fake", "Attack": attack})
        for number, attack in enumerate(attacks)
    ]
    return pd.concat(parts, ignore_index=True)


def test_every_group_is_held_against_all_real_speech(rng):
    """The rate of one generator would be computed from other utterances than its own."""
    scores = _scores(rng, ["world", "piper", "-"])
    table = generator_table(scores, seen={"world"}).set_index("generators")
    assert list(table.index) == ["all", "seen in training", "unseen", "generator unknown", "piper (unseen)", "world"]
    assert table.loc["all", "fake"] == 120 and (table["real"] == 40).all()
    real = scores.loc[scores["Label"] == "real", "Score"]
    for name, attacks in {
        "all": ["world", "piper", "-"],
        "seen in training": ["world"],
        "unseen": ["piper"],
        "generator unknown": ["-"],
        "world": ["world"],
    }.items():
        fake = scores.loc[(scores["Label"] == "fake") & scores["Attack"].isin(attacks), "Score"]
        assert table.loc[name, "eer"] == equal_error_rate(real, fake).eer
        assert table.loc[name, "low"] <= table.loc[name, "eer"] <= table.loc[name, "high"]


@pytest.mark.parametrize("name", ["all", "seen in training", "unseen", "generator unknown"])
def test_a_generator_named_like_a_group(rng, name):
    """A folder fake/all of one's own data would take the place of the row over all generators."""
    scores = _scores(rng, [name, "world"])
    table = generator_table(scores, seen={"world", name})
    assert table.iloc[0]["generators"] == "all"
    assert table.iloc[0]["fake"] == 80
    assert len(table) == 4


def test_groups_divide_without_rest(rng):
    """An utterance would be in two groups or in none."""
    fakes = _scores(rng, ["a", "b", "c", "-"]).query("Label == 'fake'")
    groups = split_by_generator(fakes, {"a", "-"})
    assert {name: sorted(set(group["Attack"])) for name, group in groups.items()} == {
        "seen in training": ["a"],
        "unseen": ["b", "c"],
        "generator unknown": ["-"],
    }
    assert sum(map(len, groups.values())) == len(fakes)


def test_same_seed_same_table(rng):
    """Two evaluations of one score file would differ."""
    scores = _scores(rng, ["a"])
    pd.testing.assert_frame_equal(generator_table(scores, set(), 7), generator_table(scores, set(), 7))


@pytest.mark.parametrize("label", ["real", "fake"])
def test_a_class_that_is_absent_is_told(rng, label):
    """A test set of one class would end in a division by zero."""
    scores = _scores(rng, ["a"])
    with pytest.raises(InputError, match=f"no {label}"):
        generator_table(scores[scores["Label"] != label], set())


def test_table_for_a_terminal(rng):
    """Percentages would be fractions, or a long name of a generator break the lines."""
    table = generator_table(_scores(rng, ["x" * 70]), set())
    lines = format_generator_table(table).splitlines()
    assert len(lines) == 1 + len(table)
    assert f"{100 * table['eer'][0]:.2f}" in lines[1]
    assert max(map(len, lines)) < 100


def _picture(path, scores, **options):
    plot_scores(scores, path, **options)
    return matplotlib.image.imread(path)


@pytest.mark.parametrize("groups", [2, 6])
def test_every_group_is_drawn(tmp_path, rng, groups):
    """A group would be left out of the picture without a word."""
    scores = {
        "real": rng.normal(2, 1, 50),
        **{f"fake {number}": rng.normal(-number, 1, 50) for number in range(groups)},
    }
    whole = _picture(tmp_path / "a.png", scores, threshold=0.5, title="Title")
    height, width, _ = whole.shape
    assert 800 <= width <= 3000 and 300 <= height <= 2000
    assert 0.01 < (whole[..., :3].min(2) < 0.9).mean() < 0.9  # neither blank nor black
    scores["another name"] = scores.popitem()[1]
    renamed = _picture(tmp_path / "a.png", scores, threshold=0.5, title="Title")
    assert whole.shape != renamed.shape or (whole != renamed).any()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_scores_without_spread_are_drawn(tmp_path):
    """A detector that says the same of all, as an untrained one may, would crash the report."""
    picture = _picture(tmp_path / "a.png", {"real": np.zeros(5), "fake": np.zeros(1)})
    assert picture[..., :3].min() < 0.5


def test_the_threshold_is_drawn_where_it_is(tmp_path, rng):
    """The line would stand elsewhere than the decision falls."""
    scores = {"real": rng.normal(2, 1, 50), "fake": rng.normal(-2, 1, 50)}
    low, high, none = (_picture(tmp_path / "a.png", scores, threshold=value)[..., :3] for value in (-1.0, 1.0, None))
    assert (low != high).any() and (low != none).any()
