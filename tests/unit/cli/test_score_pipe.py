"""What antideepfake score does with standard input."""

import json

import numpy as np
import pytest

from antideepfake.cli.score_pipe import describe_windows, pick_channel, print_window
from antideepfake.errors import InputError
from antideepfake.inference.scores import WindowScore
from antideepfake.model_folder.windowing import Windowing


@pytest.mark.parametrize(
    ("logits", "aggregate", "said"),
    [
        ([(0.0, 3.0), (1.0, 0.0)], "mean", "real: score 1.00, mean of 2 windows with speech"),
        ([(0.0, 3.0), (1.0, 0.0)], "max", "fake: score -1.00, max of 2 windows with speech"),
        ([], "mean", "unsure: no speech was found"),
    ],
)
def test_the_score_of_the_whole(logits, aggregate, said):
    assert describe_windows(logits, Windowing(aggregate=aggregate), 0.5) == said


def test_a_channel_is_picked():
    blocks = [np.array([[1, 2], [3, 4]])]
    assert [block.tolist() for block in pick_channel(blocks, "right", 2)] == [[2, 4]]
    assert [block.tolist() for block in pick_channel(blocks, "mean", 2)] == [[[1, 2], [3, 4]]]
    with pytest.raises(InputError, match="has no channel 2; it has 1"):
        pick_channel(blocks, "right", 1)
    with pytest.raises(InputError, match="--channels each needs a file"):
        pick_channel(blocks, "each", 2)


def test_a_window_in_every_form(capsys):
    window = WindowScore(2.0, 6.0, (1.0, 0.5), 1.0, 0.0)
    for form in ("table", "csv", "json"):
        print_window(window, form)
    table, csv, as_json = capsys.readouterr().out.splitlines()
    assert table.split() == ["0:02.0", "0:06.0", "-0.50", "fake"]
    assert csv == "2.0,6.0,-0.5,fake"
    assert json.loads(as_json) == {"start": 2.0, "end": 6.0, "score": -0.5, "decision": "fake"}
