"""Score files in the formats of other evaluations."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.scoring.submissions import FORMS, find_utterances, read_submission, write_submission


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("asvspoof5", "filename\tcm-score\nE_1\t-1.25\nE_2\t0.1234567891\n"),
        ("speech_df_arena", "E_1.flac -1.25\nE_2.flac 0.1234567891\n"),
        ("anti_spoofing_arena", "E_1 -1.250000\nE_2 0.123457\n"),
    ],
)
def test_lines_have_the_format_of_the_evaluation(tmp_path, form, text):
    paths = ["$ROOT/A/E_1.flac", "$ROOT/A/E_2.flac"]
    scores = pd.DataFrame({"ID": ["A-E_1", "A-E_2"], "Score": [-1.25, 0.1234567891], "Path": paths})
    write_submission(scores, tmp_path / "s", form)
    assert (tmp_path / "s").read_text() == text
    rows = find_utterances(read_submission(tmp_path / "s")["Name"], scores, "s")
    assert rows.tolist() == [0, 1]


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_scores_survive_a_round_trip_exactly(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("s") / "s"
    scores = pd.DataFrame({"ID": [f"u{number}" for number in range(len(values))], "Score": values})
    for form in FORMS[:2]:
        write_submission(scores, path, form)
        assert read_submission(path)["Score"].tolist() == values


def test_unsupported_names_and_formats_are_errors(tmp_path):
    scores = pd.DataFrame({"ID": ["a", "b"], "Score": [1.0, 2.0], "Path": ["$ROOT/x/1.wav", "$ROOT/y/1.wav"]})
    with pytest.raises(InputError, match="two utterances have the name '1'"):
        write_submission(scores, tmp_path / "s", "asvspoof5")
    with pytest.raises(InputError, match="white space"):
        write_submission(scores.assign(Path=["$ROOT/my file.wav", "-"]), tmp_path / "s", "asvspoof5")
    with pytest.raises(InputError, match="choose one of asvspoof5"):
        write_submission(scores, tmp_path / "s", "csv")
    assert not list(tmp_path.iterdir())


def test_a_malformed_line_is_named(tmp_path):
    (tmp_path / "s").write_text("E_1 1.5\nE_2 high\n")
    with pytest.raises(InputError, match=":2: 'E_2 high'"):
        read_submission(tmp_path / "s")


@given(
    stems=st.lists(st.text("ab.-_ 0", min_size=1, max_size=8).map(lambda text: f"x{text}y"), min_size=1, unique=True),
    form=st.sampled_from(FORMS),
    suffix=st.sampled_from([".wav", ".FLAC", ".m4a", ""]),
)
def test_written_names_are_found_in_the_protocol(tmp_path_factory, stems, form, suffix):
    """Guards against names with dots that lose their end."""
    stems = [stem.replace(" ", "") for stem in stems]
    stems = list(dict.fromkeys(stems))
    paths = [f"$ROOT/C/{stem}{suffix}" for stem in stems]
    scores = pd.DataFrame({"ID": [f"C-{stem}" for stem in stems], "Score": range(len(stems)), "Path": paths})
    path = tmp_path_factory.mktemp("s") / "s"
    write_submission(scores.assign(Score=scores["Score"].astype(float)), path, form)
    read = read_submission(path)
    assert find_utterances(read["Name"].tolist(), scores, path).tolist() == scores.index.tolist()
    assert read["Score"].tolist() == scores["Score"].tolist()


PROTOCOL = pd.DataFrame(
    {
        "ID": ["r0", "f0", "r1"],
        "Path": ["$ROOT/Y/real/0000.wav", "$ROOT/Y/fake/0000.wav", "$ROOT/Y/real/0001.wav"],
    }
)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("real/0000.wav", 0),
        ("fake/0000", 1),
        ("./Y/fake/0000.flac", 1),
        ("/data/corpora/Y/fake/0000.wav", 1),
        ("$ROOT/Y/real/0000.wav", 0),
        ("Y\\real\\0000.wav", 0),
        ("0001", 2),
        ("fake/0001", -1),
        ("0002", -1),
        ("", -1),
    ],
)
def test_names_are_found_by_the_end_of_the_path(name, row):
    assert find_utterances([name], PROTOCOL, "s").tolist() == [row]


def test_a_name_of_several_utterances_is_refused():
    """Guards against scores that count for two utterances."""
    with pytest.raises(InputError, match=r"'0000' matches several utterances, such as 'r0' and 'f0'"):
        find_utterances(["0001", "0000"], PROTOCOL, "s")


FOUR = "E_1 A07 spoof -1.5\nE_2 - bonafide 2\n"


@pytest.mark.parametrize(
    ("text", "columns", "labels"),
    [
        ("E_1 -1.5\nE_2 2\n", ["Name", "Score"], None),
        ("E_1,-1.5\n\nE_2, 2\n", ["Name", "Score"], None),
        ("my file.wav\t-1.5\nE_2\t2\n", ["Name", "Score"], None),
        ("filename,cm-score\nE_1,-1.5\nE_2,2\n", ["Name", "Score"], None),
        ("filename cm-score\nE_1 -1.5\nE_2 2\n", ["Name", "Score"], None),
        ("filename\tcm-score\tasv-score\tsasv-score\nE_1\t-1.5\t9\t8\nE_2\t2\t9\t8\n", ["Name", "Score"], None),
        (FOUR, ["Name", "Attack", "Label", "Score"], ["fake", "real"]),
        (FOUR.replace(" ", "\t"), ["Name", "Attack", "Label", "Score"], ["fake", "real"]),
        ("-1.5 spoof\n2 bonafide\n", ["Score", "Label"], ["fake", "real"]),
        ("fake -1.5\nReal 2\n", ["Label", "Score"], ["fake", "real"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_common_formats_are_read(tmp_path, text, columns, labels, encoding):
    (tmp_path / "s").write_text(text, encoding=encoding)
    scores = read_submission(tmp_path / "s")
    assert scores.columns.tolist() == columns and scores["Score"].tolist() == [-1.5, 2.0]
    assert labels is None or scores["Label"].tolist() == labels
    assert "Name" not in scores or scores["Name"].iloc[1] == "E_2"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("E_1 high\n", ":1: 'E_1 high'"),
        ("1.5\n2.5\n", ":1: '1.5'"),
        ("E_1 bonafide 1.5\n", ":1: 'E_1 bonafide 1.5'"),
        ("E_1 A07 maybe 1.5\n", ":1: 'E_1 A07 maybe 1.5'"),
        (FOUR + "E_3 1.5\n", ":3: 'E_3 1.5'"),
        ("filename cm-score\nE_1 1.5 3\n", ":2: 'E_1 1.5 3'"),
        ("id,cm-score\n", ":1: 'id,cm-score'"),
        ("\n", "contains no scores"),
    ],
)
def test_errors_list_the_supported_formats(tmp_path, text, line):
    (tmp_path / "s").write_text(text)
    with pytest.raises(InputError, match=f"{line}.*supported formats: 'name score'; 'name attack key score'"):
        read_submission(tmp_path / "s")


def test_text_of_another_encoding_is_an_input_error(tmp_path):
    (tmp_path / "s").write_bytes("caf\u00e9 1.5\n".encode("latin-1"))
    with pytest.raises(InputError, match="neither UTF-8 nor UTF-16"):
        read_submission(tmp_path / "s")


@given(text=st.text(max_size=200))
def test_any_text_yields_scores_or_an_input_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("s") / "s"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert len(read_submission(path))
    except InputError as error:
        assert str(path) in str(error)
