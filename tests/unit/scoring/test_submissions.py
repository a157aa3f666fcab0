"""The forms that evaluations take."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.scoring.submissions import FORMS, read_submission, write_submission


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("asvspoof5", "filename\tcm-score\nE_1\t-1.25\nE_2\t0.1234567891\n"),
        ("speech_df_arena", "E_1.flac -1.25\nE_2.flac 0.1234567891\n"),
        ("anti_spoofing_arena", "E_1 -1.250000\nE_2 0.123457\n"),
    ],
)
def test_lines_are_those_that_the_evaluation_wants(tmp_path, form, text):
    """A submission would be refused, or rounded so that scores tie."""
    paths = ["$ROOT/A/E_1.flac", "$ROOT/A/E_2.flac"]
    scores = pd.DataFrame({"ID": ["A-E_1", "A-E_2"], "Score": [-1.25, 0.1234567891], "Path": paths})
    write_submission(scores, tmp_path / "s", form)
    assert (tmp_path / "s").read_text() == text
    assert read_submission(tmp_path / "s")["Name"].tolist() == ["E_1", "E_2"]


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_scores_come_back_to_the_last_digit(tmp_path_factory, values):
    """Ranks, and with them error rates, would change on the way."""
    path = tmp_path_factory.mktemp("s") / "s"
    scores = pd.DataFrame({"ID": [f"u{number}" for number in range(len(values))], "Score": values})
    for form in FORMS[:2]:
        write_submission(scores, path, form)
        assert read_submission(path)["Score"].tolist() == values


def test_names_that_a_form_cannot_hold(tmp_path):
    """Two utterances would become one, or a line have three words."""
    scores = pd.DataFrame({"ID": ["a", "b"], "Score": [1.0, 2.0], "Path": ["$ROOT/x/1.wav", "$ROOT/y/1.wav"]})
    with pytest.raises(InputError, match="two utterances have the name '1'"):
        write_submission(scores, tmp_path / "s", "asvspoof5")
    with pytest.raises(InputError, match="a space in the name"):
        write_submission(scores.assign(Path=["$ROOT/my file.wav", "-"]), tmp_path / "s", "asvspoof5")
    with pytest.raises(InputError, match="it is one of asvspoof5"):
        write_submission(scores, tmp_path / "s", "csv")
    assert not list(tmp_path.iterdir())


def test_a_line_that_is_none(tmp_path):
    """A file of another form would be read as scores."""
    (tmp_path / "s").write_text("E_1 1.5\nE_2 high\n")
    with pytest.raises(InputError, match="line 2: 'E_2 high'"):
        read_submission(tmp_path / "s")
