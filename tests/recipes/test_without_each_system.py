"""What each spoofing system of MiniCorpus adds: systems whose fakes look alike, and one of their own."""

import sys
from pathlib import Path

import numpy as np
import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "MiniCorpus"


@pytest.fixture
def compare(monkeypatch):
    """The function of the program."""
    monkeypatch.syspath_prepend(str(RECIPE))
    from without_each_system import compare

    yield compare
    sys.modules.pop("without_each_system", None)


def test_a_system_of_its_own_kind_is_missed_without_it(compare, rng):
    places = {"-": [0, 0], "alone": [0, 9], "twin": [9, 0], "other": [9, 0], "new": [0, 9]}

    def draw(names):
        systems = np.repeat(names, 100)
        return np.array([places[name] for name in systems]) + rng.standard_normal((len(systems), 2)), systems

    table = compare(draw(["-", "alone", "twin", "other"]), draw(["-", "alone", "twin", "new"])).set_index("without")
    assert table.index.tolist() == ["alone", "other", "twin"] and (table["utterances"] == 100).all()
    assert table.loc["alone", "EER %"] > 30 > 5 > table.loc["alone", "EER % trained on it"]
    assert table.loc["twin", "EER %"] < 5 and np.isnan(table.loc["other", "EER %"])
    assert table.loc["alone", "unseen, EER %"] > 30 > 5 > table.loc["alone", "unseen, EER % trained on it"]
    assert table["unseen, EER % trained on it"].nunique() == 1
