"""Lists of corpora: texts stay texts, errors name the line."""

import pytest

from antideepfake.corpora.lists import read_csv, read_list
from antideepfake.errors import InputError

COLUMNS = {"file": "File name", "label": 2}


def test_any_white_space_separates_columns(tmp_path):
    """Guards against shifted columns, and numeric keys that lose their zeros."""
    (tmp_path / "a.txt").write_bytes(b"ann 007 x bonafide \r\n\r\nbob\t08  y spoof extra\n")
    rows = list(read_list(tmp_path / "a.txt", "speaker key - label", dict))
    assert rows == [
        {"speaker": "ann", "key": "007", "label": "bonafide"},
        {"speaker": "bob", "key": "08", "label": "spoof"},
    ]


def test_a_last_name_with_an_asterisk_takes_all_further_columns(tmp_path):
    (tmp_path / "a.txt").write_text("007 x spoof 0-1 1-2\n08 y spoof\n")
    rows = list(read_list(tmp_path / "a.txt", "key - label *parts", dict))
    assert rows == [
        {"key": "007", "label": "spoof", "parts": ["0-1", "1-2"]},
        {"key": "08", "label": "spoof", "parts": []},
    ]


def test_csv_columns_by_name_and_by_index(tmp_path):
    (tmp_path / "a.csv").write_text('\ufeffFile name,x,y\r\n"a, b.wav",1, NA\r\n\r\nc.wav,2,007\r\n', encoding="utf-8")
    rows = list(read_csv(tmp_path / "a.csv", COLUMNS, dict))
    assert rows == [{"file": "a, b.wav", "label": "NA"}, {"file": "c.wav", "label": "007"}]


def refuse(**fields):
    """Refuse a line, as a recipe does with an unknown label."""
    raise InputError("unknown")


@pytest.mark.parametrize(
    ("text", "describe", "said"),
    [
        ("ann 007\nbob\n", dict, "a.txt:2: 1 columns; the corpus's list has at least 2"),
        ("\nann 007\n", refuse, "a.txt:2: unknown"),
        (None, dict, "a.txt: no such file; it comes with the corpus"),
    ],
)
def test_a_malformed_list_is_refused_with_its_line(tmp_path, text, describe, said):
    if text is not None:
        (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=said):
        list(read_list(tmp_path / "a.txt", "speaker key", describe))


@pytest.mark.parametrize(
    ("text", "describe", "said"),
    [
        ("x,y,z\n1,2,3\n", dict, "a.csv:1: no column 'File name'"),
        ("", dict, "a.csv:1: no column 'File name'"),
        ("File name,x,y\na.wav,1\n", dict, "a.csv:2: 2 columns; the header has 3"),
        ("File name,x,y\na.wav,1,2\n", refuse, "a.csv:2: unknown"),
        ("File name,x,y\n" + "a" * 200_000, dict, "a.csv:2: field larger than field limit"),
    ],
)
def test_a_malformed_csv_is_refused_with_its_line(tmp_path, text, describe, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        list(read_csv(tmp_path / "a.csv", COLUMNS, describe))


def test_a_folder_instead_of_a_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        list(read_list(tmp_path, "key", dict))
