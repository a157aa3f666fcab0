"""From timelines and true segments to error rates with intervals."""

import numpy as np
import pytest

from antideepfake.errors import InputError
from antideepfake.evaluation.localization import evaluate_localization, rate_decisions
from antideepfake.scoring.timeline_file import StepScores

SPANS = {"a": np.array([[1.0, 2.0]]), "b": np.empty((0, 2)), "c": np.array([[0.0, 4.0]]), "unscored": np.empty((0, 2))}
SCORES = {"a": [1, -1, 1, 1], "b": [1, 1, -2, 1], "c": [-1, -1, -1, 1]}


def timelines(threshold=0.0):
    return {name: StepScores(np.arange(5.0), np.array(scores, float), threshold) for name, scores in SCORES.items()}


def test_a_row_for_each_resolution_and_the_range():
    table = evaluate_localization(timelines(), SPANS, np.random.default_rng(1), [1.0, 2.0])
    assert table["resolution"].tolist()[:2] == [1.0, 2.0] and np.isnan(table["resolution"][2])
    assert table[["real", "fake"]].values.tolist() == [[7, 5], [3, 3], [7, 5]]
    # real: -2, six times 1; fake: four times -1, once 1; the rates meet between (1/7, 1/5) and (1, 0)
    assert table["eer"][0] == table["eer"][2] == pytest.approx(49 / 259)
    assert (table["low"] <= table["eer"]).all() and (table["eer"] <= table["high"]).all()


def test_intervals_shrink_with_the_number_of_utterances():
    widths = []
    for count in (10, 160):
        rng = np.random.default_rng(1)
        many = {
            f"{name}{number}": StepScores(np.arange(5.0), np.array(SCORES[name]) + rng.normal(0, 1, 4), 0.0)
            for number in range(count)
            for name in SCORES
        }
        spans = {name: SPANS[name[0]] for name in many}
        row = evaluate_localization(many, spans, rng, []).iloc[0]
        widths.append(row["high"] - row["low"])
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.5)


def test_decisions_at_the_threshold():
    assert rate_decisions(timelines(), SPANS) == pytest.approx({"precision": 0.8, "recall": 0.8, "f1": 0.8})
    assert rate_decisions(timelines(), SPANS, 5.0)["recall"] == 1
    assert rate_decisions(timelines(None), SPANS) == {}
    assert rate_decisions(timelines(None), SPANS, 0.0)["f1"] == pytest.approx(0.8)
    each = {
        name: timeline._replace(scores=timeline.scores + 9, threshold=9.0) for name, timeline in timelines().items()
    }
    assert rate_decisions({**timelines(), "a": each["a"]}, SPANS)["f1"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("given", "message"), [({}, "there are no timelines"), ({"d": timelines()["a"]}, "the timeline 'd' is not of")]
)
def test_timelines_without_a_truth_are_errors(given, message):
    with pytest.raises(InputError, match=message):
        evaluate_localization(given, SPANS, np.random.default_rng(1))
