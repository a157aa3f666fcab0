"""What antideepfake score prints."""

import json

import pytest

from antideepfake.cli.score_output import LINES, format_scores, print_scores


def test_a_long_list_is_cut_and_counted():
    decisions = [(f"{number}.wav", 0.0, "real") for number in range(LINES)] + [("x.wav", -1.0, "fake")] * 3
    lines = format_scores(decisions, 0.0).splitlines()
    assert len(lines) == 1 + LINES + 2 and lines[-2] == "... and 3 more"
    assert lines[-1].startswith(f"{LINES + 3} scored: {LINES} real, 3 fake (")


def test_unsure_decisions_are_counted():
    assert "1 real, 0 fake, 1 unsure (out of distribution, or without speech)" in format_scores(
        [("a", 1, "real"), ("b", 1, "unsure")], 0.0
    )


def test_the_end_of_a_long_name_is_shown():
    line = format_scores([("folder/" * 20 + "a.wav", 0.0, "real")], 0.0).splitlines()[1]
    assert len(line) <= 100 and line.endswith("/a.wav") and "  ..." in line


@pytest.mark.parametrize("scores", [[], [("a", 0.5, False)], [("a", 0.5, False), ("b", 0.5, True)]])
def test_json_is_valid_for_any_number_of_scores(scores, capsys):
    print_scores(iter(scores), 0.5, "json")
    decisions = [row["decision"] for row in json.loads(capsys.readouterr().out)]
    assert decisions == ["real", "unsure"][: len(scores)]
