"""Protocols in Arrow files: the same table as the CSV, and only the rows that are accessed are in memory."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from antideepfake.errors import InputError
from antideepfake.protocol.arrow import write_arrow
from antideepfake.protocol.table import COLUMNS, iterate_protocol, read_protocol, write_chunks, write_protocol


def make_table(count, prefix="a-"):
    row = dict(zip(COLUMNS, ["", "real", 1.5, 16000, "", "-", "NA", "test", 1, "PCM_S", 16, "EN"], strict=True))
    names = [f"{prefix}{number}" for number in range(count)]
    table = pd.DataFrame({**row, "ID": names, "Path": [f"$ROOT/{name}.wav" for name in names]}, index=range(count))
    return table.assign(Label=np.where(np.arange(count) % 3, "real", "fake"), Duration=np.arange(1, count + 1) / 100)


@pytest.mark.parametrize("suffix", [".csv", ".arrow"])
def test_both_formats_have_the_same_content(tmp_path, suffix):
    table = make_table(7).assign(Note='é,"', Weight=0.5)
    write_protocol(table, tmp_path / f"p{suffix}")
    read = read_protocol(tmp_path / f"p{suffix}")
    assert read.to_dict("records") == table.to_dict("records")
    assert [read[name].dtype.kind for name in ("Duration", "SampleRate", "Weight")] == ["f", "i", "f"]


def test_numbers_that_came_as_text_are_numbers(tmp_path):
    write_protocol(make_table(2).astype(str), tmp_path / "p.arrow")
    assert read_protocol(tmp_path / "p.arrow").to_dict("records") == make_table(2).to_dict("records")


def test_a_faulty_table_is_not_written(tmp_path):
    with pytest.raises(InputError, match="is a duplicate"):
        write_protocol(pd.concat([make_table(2)] * 2), tmp_path / "p.arrow")
    assert list(tmp_path.iterdir()) == []


def test_chunks_become_one_table(tmp_path, monkeypatch):
    monkeypatch.setattr("antideepfake.protocol.table.CHUNK_ROWS", 3)
    table = make_table(10)
    for name in ("p.arrow", "p.csv"):
        write_chunks((table.iloc[start : start + 4] for start in range(0, 10, 4)), tmp_path / name)
        assert read_protocol(tmp_path / name).to_dict("records") == table.to_dict("records")
        parts = list(iterate_protocol(tmp_path / name))
        assert [len(part) for part in parts] == [3, 3, 3, 1]
        assert pd.concat(parts).to_dict("records") == table.to_dict("records")


def test_faults_of_later_chunks_have_their_line(tmp_path, monkeypatch):
    monkeypatch.setattr("antideepfake.protocol.table.CHUNK_ROWS", 3)
    write_protocol(make_table(10), tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().replace("a-7,real", "a-7,wrong").splitlines(keepends=True)
    (tmp_path / "p.csv").write_text("".join([*lines[:2], "\n", *lines[2:], "\n\n\n\n"]))
    with pytest.raises(InputError, match=":10: label 'wrong' is unknown"):
        list(iterate_protocol(tmp_path / "p.csv"))
    (tmp_path / "p.csv").write_text((tmp_path / "p.csv").read_text().replace("wrong", "real"))
    assert sum(map(len, iterate_protocol(tmp_path / "p.csv"))) == 10


def test_opening_reads_nothing(tmp_path):
    write_protocol(make_table(20_000), tmp_path / "p.arrow")
    before = pa.total_allocated_bytes()
    table = read_protocol(tmp_path / "p.arrow")
    assert len(table) == 20_000 and table["ID"].array[19_999] == "a-19999"
    assert pa.total_allocated_bytes() - before < 50_000  # the file has three million


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "not a complete Arrow file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "not a complete Arrow file"),
        (lambda path: path.write_text("ID,Label\n"), "not a complete Arrow file"),
        (lambda path: (path.unlink(), path.mkdir()), "not a complete Arrow file"),
    ],
)
def test_a_damaged_arrow_file_is_reported(tmp_path, spoil, said):
    path = tmp_path / "p.arrow"
    write_protocol(make_table(5), path)
    spoil(path)
    with pytest.raises(InputError, match=said) as told:
        read_protocol(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_a_table_of_another_program_is_refused(tmp_path):
    path = tmp_path / "p.arrow"
    table = pa.Table.from_pandas(make_table(2))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match="not written by antideepfake merge"):
        read_protocol(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Label": ["real", "genuine"]}, "row 2: the Label 'genuine' is invalid"),
        ({"Duration": [1.0, float("nan")]}, "row 2: the Duration 'None' is invalid"),
        ({"Duration": [0.0, 1.0]}, "row 1: the Duration '0.0' is invalid"),
        ({"SampleRate": [16000, -1]}, "row 2: the SampleRate '-1' is invalid"),
        ({"Duration": ["1.0", "2.0"]}, "Duration must contain numbers"),
        ({"Path": [1, 2]}, "Path must contain text"),
    ],
)
def test_invalid_values_are_rejected(tmp_path, change, said):
    write_arrow([make_table(2).assign(**change)], tmp_path / "p.arrow")
    with pytest.raises(InputError, match=said):
        read_protocol(tmp_path / "p.arrow")


def test_a_column_that_is_missing_is_named(tmp_path):
    write_arrow([make_table(2).drop(columns="Speaker")], tmp_path / "p.arrow")
    with pytest.raises(InputError, match="no column Speaker"):
        read_protocol(tmp_path / "p.arrow")


def test_a_file_that_ends_the_process_reading_it_is_refused(tmp_path, monkeypatch):
    write_protocol(make_table(2), tmp_path / "p.arrow")
    (tmp_path / "check.py").write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setattr("antideepfake.protocol.arrow.CHECK", tmp_path / "check.py")
    with pytest.raises(InputError, match=r"p\.arrow: damaged Arrow file"):
        read_protocol(tmp_path / "p.arrow")


def test_mutated_files_are_read_or_refused_in_a_sentence(tmp_path):
    path = tmp_path / "p.arrow"
    write_protocol(make_table(5), path)
    content, rng = path.read_bytes(), np.random.default_rng(1)
    for _ in range(10):
        mutated = bytearray(content)
        for place in rng.integers(len(content), size=8):
            mutated[place] = rng.integers(256)
        path.write_bytes(mutated)
        try:
            assert set(read_protocol(path)["Label"]) <= {"real", "fake"}
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
