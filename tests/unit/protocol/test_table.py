"""The utterance table: what is written comes back, and every fault is told with its line."""

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.protocol import table as table_module
from antideepfake.protocol.table import (
    COLUMNS,
    LABELS,
    SPLITS,
    check_protocol,
    format_counts,
    iterate_protocol,
    read_protocol,
    read_split,
    relative_path,
    resolve_path,
    split_protocol,
    text_encoding,
    write_protocol,
)

HEADER = ",".join(COLUMNS)
LINE = "a,real,1.5,16000,$ROOT/a.wav,-,-,test,1,PCM_S,16,EN"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), max_size=12)
ROW = st.fixed_dictionaries(
    {
        "Label": st.sampled_from(LABELS),
        "Duration": st.floats(0.01, 1e5),
        "SampleRate": st.integers(0, 400_000),
        "Path": TEXT,
        "Attack": TEXT,
        "Speaker": TEXT,
        "Proportion": TEXT,
        "AudioChannel": st.integers(0, 64),
        "AudioEncoding": TEXT,
        "AudioBitSample": st.integers(0, 64),
        "Language": TEXT,
    }
)
NAMES = st.lists(TEXT.filter(str.strip), min_size=1, max_size=5, unique=True)


@given(NAMES, st.data())
@example(["NA", "null", "1e5", "007"], None)
@example(['a"b', "a,b", "$ROOT"], None)
def test_round_trip(scratch, names, data):
    fixed = dict(zip(COLUMNS, ["", "real", 1.5, 16000, "NA", "001", "nan", "test", 1, "", 16, "None"], strict=True))
    rows = [{"ID": name, **(data.draw(ROW) if data else {**fixed, "ID": name})} for name in names]
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_protocol(table, scratch / "protocol.csv")
    assert read_protocol(scratch / "protocol.csv").to_dict("records") == table.to_dict("records")


def test_written_order_and_further_columns(tmp_path):
    row = dict(zip(COLUMNS, LINE.split(","), strict=True))
    table = pd.DataFrame([{"Extra": "x", **dict(reversed(row.items()))}])
    write_protocol(table, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == f"{HEADER},Extra\n{LINE},x\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a CSV file"),
        (HEADER, "contains no utterances"),
        (f"{HEADER}\n{LINE}\n".replace("Speaker,", "").replace("-,-", "-"), ":1: no column Speaker"),
        (f"{HEADER}\n{LINE}\n".replace(",", ";"), ":1: no column ID"),
        (f"{HEADER}\n{LINE}\n{LINE}\n", ":3: the ID 'a' is a duplicate"),
        (f"{HEADER}\n{LINE.replace('a,', ' ,', 1)}\n", ":2: the ID is empty"),
        (f"{HEADER}\n{LINE.replace('real', 'bonafide')}\n", ":2: label 'bonafide' is unknown; use 'real' or 'fake'"),
        (f"{HEADER}\n{LINE.replace('real', 'Real')}\n", ":2: label 'Real' is unknown"),
        (f"{HEADER}\n{LINE.replace('1.5', '-1.5')}\n", ":2: Duration is '-1.5'; it must be a number of seconds"),
        (f"{HEADER}\n{LINE.replace('1.5', '0')}\n", ":2: Duration is '0'"),
        (f"{HEADER}\n{LINE.replace('1.5', 'nan')}\n", ":2: Duration is 'nan'"),
        (f"{HEADER}\n{LINE.replace('1.5', 'inf')}\n", ":2: Duration is 'inf'"),
        (f"{HEADER}\n{LINE.replace('1.5', 'long')}\n", ":2: Duration is 'long'"),
        (f"{HEADER}\n{LINE.replace('16000', '16 kHz')}\n", ":2: SampleRate is '16 kHz'; it must be a whole number"),
        (f"{HEADER}\n{LINE.replace('16000', '16000.5')}\n", ":2: SampleRate is '16000.5'"),
        (f"{HEADER}\n{LINE.replace('16000', '1e30')}\n", "SampleRate is '1e30'"),
        (f"{HEADER}\n{LINE}\nb{LINE[1:]},x,y\n", "line 3"),
        (f"{HEADER}\n{LINE},\n", "not a CSV file"),
        (f'{HEADER}\n{LINE[:-2]}"EN\n', "not a CSV file"),
    ],
)
def test_every_fault_is_reported_in_one_line(tmp_path, text, said):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(InputError) as told:
        read_protocol(path)
    message = str(told.value)
    assert str(path) in message and said in message
    assert "\n" not in message
    if "duplicate" not in said:
        with pytest.raises(InputError) as told:
            list(iterate_protocol(path))
        assert str(told.value) == message


def test_chunks_have_the_rows_and_line_numbers_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "CHUNK_ROWS", 2)
    rows = [LINE, f"b{LINE[1:]}", "", "", f"c{LINE[1:]}"]  # the second chunk consists of blank lines
    path = tmp_path / "p.csv"
    path.write_text("\n".join([HEADER, *rows]))
    assert [chunk["ID"].tolist() for chunk in iterate_protocol(path)] == [["a", "b"], ["c"]]
    write_protocol(read_protocol(path), tmp_path / "p.arrow")
    assert [chunk["ID"].tolist() for chunk in iterate_protocol(tmp_path / "p.arrow")] == [["a", "b"], ["c"]]
    path.write_text("\n".join([HEADER, *rows]).replace("c,real", "c,wrong"))
    with pytest.raises(InputError, match=r"p\.csv:6: label 'wrong'"):
        list(iterate_protocol(path))


@pytest.mark.parametrize(("options", "line"), [({}, 2), ({"first_line": 10}, 10)])
def test_a_table_in_memory_is_checked_with_the_lines_it_will_have(options, line):
    table = pd.DataFrame([LINE.replace("real", "wrong").split(",")], columns=COLUMNS)
    with pytest.raises(InputError, match=rf"p\.csv:{line}: label 'wrong'"):
        check_protocol(table, "p.csv", **options)


def test_too_many_fields_are_reported(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(f"{HEADER}\n{LINE},\n")
    with pytest.raises(InputError) as told:
        read_protocol(path)
    assert "Label" not in str(told.value)


@pytest.mark.parametrize(("text", "line"), [(f"{HEADER}\n\n{LINE}\n", 3), (f'{HEADER}\n{LINE}\n"b\nc"{LINE[1:]}\n', 3)])
def test_line_numbers_are_those_of_an_editor(tmp_path, text, line):
    path = tmp_path / "p.csv"
    path.write_text(text.replace("\na,real", "\na,wrong"))
    with pytest.raises(InputError, match=f":{line}: "):
        read_protocol(path)


@pytest.mark.parametrize(("text", "rate"), [("16000.0", 16000), ("0", 0), ("1e12", 10**12)])
def test_whole_numbers_written_as_floats_are_read(tmp_path, text, rate):
    (tmp_path / "p.csv").write_text(f"{HEADER}\n{LINE.replace('16000', text)}\n")
    assert read_protocol(tmp_path / "p.csv")["SampleRate"].tolist() == [rate]


def test_numbers_as_text_become_numbers_in_arrow_and_stay_text_in_csv(tmp_path):
    table = pd.DataFrame([LINE.replace("1.5", "1.50").split(",")], columns=COLUMNS)
    write_protocol(table, tmp_path / "p.arrow")
    assert read_protocol(tmp_path / "p.arrow")["Duration"].tolist() == [1.5]
    write_protocol(table, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[1] == LINE.replace("1.5", "1.50")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"\xff\xfea\x00b", "é".encode("latin-1")])
def test_other_encodings_are_reported(tmp_path, content):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"p\.csv: not a CSV file|p\.csv:1: no column ID"):
        read_protocol(tmp_path / "p.csv")


def test_byte_order_mark_and_windows_lines(tmp_path):
    (tmp_path / "p.csv").write_bytes(f"\ufeff{HEADER}\r\n{LINE}\r\n".encode())
    assert read_protocol(tmp_path / "p.csv")[["ID", "Language"]].values.tolist() == [["a", "EN"]]


@pytest.mark.parametrize("name", ["missing.csv", "folder"])
def test_missing_file_and_folder(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as told:
        read_protocol(tmp_path / name)
    assert name in str(told.value)


def test_a_faulty_table_is_not_written(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("old")
    table = pd.DataFrame([LINE.replace("real", "genuine").split(",")], columns=COLUMNS)
    with pytest.raises(InputError, match="genuine"):
        write_protocol(table, path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.csv"]


PARTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=3,
)


@given(PARTS, st.sampled_from(["/data", "/data/", "/", "data"]))
def test_root_round_trip(parts, folder):
    from pathlib import Path

    path = Path(folder, *parts).absolute()
    stored = relative_path(path, folder)
    assert stored.startswith("$ROOT/")
    assert resolve_path(stored, folder).absolute() == path


@pytest.mark.parametrize("path", ["/data//a/b.wav", "/data/a/./b.wav", "a/b.wav"])
def test_a_path_is_stored_without_empty_parts(path):
    assert relative_path(path, "/data") == "$ROOT/a/b.wav"


def test_paths_outside_of_the_data_folder_stay():
    assert relative_path("/data2/a.wav", "/data") == "/data2/a.wav"
    assert resolve_path("/data2/a.wav", "/data").as_posix() == "/data2/a.wav"
    assert resolve_path("$ROOTED/a.wav", "/data").as_posix() == "$ROOTED/a.wav"


def test_counts_are_those_of_the_table():
    rows = [("test", "real", 1800.0)] * 2 + [("train", "fake", 36.0)] * 3 + [("extra", "real", 3600.0)]
    lines = format_counts(pd.DataFrame(rows, columns=["Proportion", "Label", "Duration"])).splitlines()[1:]
    assert [line.split() for line in lines] == [
        ["train", "0", "0.00", "h", "3", "0.03", "h"],
        ["test", "2", "1.00", "h", "0", "0.00", "h"],
        ["extra", "1", "1.00", "h", "0", "0.00", "h"],
    ]


@pytest.mark.parametrize("missing", [(split, label) for split in SPLITS for label in LABELS])
def test_a_split_without_a_label_is_reported(missing):
    rows = [pair for split in SPLITS for label in LABELS if (pair := (split, label)) != missing]
    with pytest.raises(InputError, match=f"p.csv: no {missing[1]} utterance has the Proportion {missing[0]}"):
        split_protocol(pd.DataFrame(rows, columns=["Proportion", "Label"]), "p.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_of_editors_are_read(tmp_path, encoding):
    """Guards against a byte-order mark that becomes part of a column's name."""
    path = tmp_path / "p.csv"
    path.write_text(f"{HEADER}\n{LINE}".replace("EN", "caf\u00e9"), encoding=encoding)
    table = read_protocol(path)
    assert table["ID"].tolist() == ["a"] and table["Language"].tolist() == ["caf\u00e9"]
    assert pd.concat(iterate_protocol(path)).equals(table)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"", "utf-8"),
        (b"\0", "utf-8"),
        (b"ab\0", "utf-8"),
        (b"a\0", "utf-16-le"),
        (b"\0a", "utf-16-be"),
        (b"\xef\xbb\xbfab", "utf-8-sig"),
        (b"\xff\xfea\0", "utf-16"),
    ],
)
def test_the_encoding_is_detected_from_the_first_bytes(tmp_path, content, encoding):
    (tmp_path / "p.csv").write_bytes(content)
    assert text_encoding(tmp_path / "p.csv") == encoding


def test_a_value_that_is_too_long_is_reported_with_its_line(tmp_path):
    """Guards against a protocol whose score file Python's csv module cannot read."""
    path = tmp_path / "p.csv"
    limit = csv.field_size_limit()
    path.write_text(f"{HEADER}\n{LINE}\nb{LINE[1:-2]}{'x' * limit}\n")
    assert len(read_protocol(path)) == 2
    path.write_text(f"{HEADER}\n{LINE}\nb{LINE[1:-2]}{'x' * (limit + 1)}\n")
    with pytest.raises(InputError, match=r"p\.csv:3: the Language is longer than 131,072 characters"):
        read_protocol(path)


def test_a_split_is_read_and_an_unknown_one_is_named(tmp_path):
    rows = [[name, "real", 1.0, 16000, "a.wav", "-", "-", split, 1, "PCM_S", 16, "EN"] for name, split in ("ax", "by")]
    write_protocol(pd.DataFrame(rows, columns=COLUMNS), tmp_path / "p.csv")
    assert read_split(tmp_path / "p.csv", "y")["ID"].tolist() == ["b"]
    assert read_split(tmp_path / "p.csv")["ID"].tolist() == ["a", "b"]
    with pytest.raises(InputError, match="no utterance has the split 'z'"):
        read_split(tmp_path / "p.csv", "z")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.sampled_from(["a,b\n", "ID,x,y\n", '"a",b\r\n', "a\n"]),
    rows=st.lists(st.lists(st.text("a é\\';0", max_size=3), min_size=1, max_size=3), max_size=4),
    body=st.text(st.sampled_from('a ,"\n\r\té0'), max_size=20),
    is_odd=st.booleans(),
)
@example("a,b\n", [], ',"', True)  # pandas refuses a quote that is not closed
def test_plain_files_read_at_once_give_what_the_careful_way_gives(tmp_path, header, rows, body, is_odd):
    path = tmp_path / "a.csv"
    text = body if is_odd else "".join(",".join(f'"{value}"' for value in row) + "\n" for row in rows)
    path.write_text(header + text, encoding="utf-8", newline="")

    def read(reader):
        try:
            return reader()
        except InputError as error:
            return str(error)

    found = read(lambda: pd.concat(table_module.iterate_lines(path)))
    expected = read(lambda: pd.concat(table_module._iterate_with_pandas(path)))
    assert found == expected if isinstance(expected, str) else found.equals(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(st.text("a é\\';0\r\"", max_size=3), min_size=1, max_size=3), max_size=8),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    block=st.integers(20, 60),
)
def test_chunks_read_at_once_give_what_the_careful_way_gives(tmp_path, monkeypatch, rows, end, block):
    monkeypatch.setattr(table_module, "BLOCK_BYTES", block)
    monkeypatch.setattr(table_module, "CHUNK_ROWS", 2)
    path = tmp_path / "a.csv"
    path.write_text("ID,x\n" + "".join(",".join(row) + end for row in rows), encoding="utf-8", newline="")

    def read(reader):
        try:
            return pd.concat(reader(path))
        except InputError as error:
            return str(error)

    found = read(table_module.iterate_lines)
    expected = read(table_module._iterate_with_pandas)
    assert found == expected if isinstance(expected, str) else found.equals(expected)


@given(st.lists(st.sampled_from(["1", "1.5", " 2", "1e3", "-0.1", "x", "", "nan", "inf", "0.1", "7205759403792793.5"])))
def test_numbers_are_parsed_as_by_python(texts):
    def parse(text):
        try:
            return float(text)
        except ValueError:
            return np.nan

    found = table_module._parse_numbers(pd.Series(texts, dtype=str))
    np.testing.assert_array_equal(found, [parse(text) for text in texts])


def test_a_plain_file_is_not_read_by_pandas(tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "_iterate_with_pandas", None)
    path = tmp_path / "a.csv"
    path.write_text('ID,Score\na,"[1, 2]"\nb,"[3, 4]"\n')
    found = table_module.read_lines(path)
    assert found.index.tolist() == [2, 3] and found["Score"].tolist() == ["[1, 2]", "[3, 4]"]


@given(st.lists(st.text("ab", max_size=3), max_size=20), st.booleans())
def test_repeated_identifiers_are_those_of_pandas(names: list[str], collide: bool):
    identifiers = pd.Series(names, index=range(2, len(names) + 2), dtype=object)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_module, "CHUNK_ROWS", 3)
        if collide:  # texts decide where hashes are equal
            patch.setattr(table_module, "hash_identifiers", lambda part: np.zeros(len(part), np.uint64))
        assert table_module.find_repeated(identifiers).tolist() == identifiers.duplicated().tolist()
