"""The score file: what is written comes back, and a run that died goes on."""

import errno
import os

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.scoring.score_file import ScoreWriter, iterate_scores, read_scores

LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), min_size=1, max_size=8)
LOGIT = st.floats(-1e4, 1e4, width=32)


def _row(name):
    return st.tuples(name, st.tuples(LOGIT, LOGIT), st.sampled_from(["real", "fake", None]), name)


def _rows(name):
    return st.lists(_row(name), min_size=1, max_size=6, unique_by=lambda row: row[0])


def _write(path, rows, rank=0):
    with ScoreWriter(path, ["Attack"], rank=rank) as writer:
        done = writer.done(len(rows))
        for place, (name, logits, label, attack) in enumerate(rows):
            if not done[place]:
                writer.write(place, name, logits, label, {"Attack": attack, "Path": "not a column"})
    writer.merge(len(rows))


@given(_rows(PLAIN))
@example([("NA", (1.0, 2.0), "real", "null"), ("007", (0.0, 0.0), None, "1e5"), ('a,"b', (0.0, -1.5), "fake", " x ")])
def test_round_trip(scratch, rows):
    _write(scratch / "scores.csv", rows)
    table = read_scores(scratch / "scores.csv")
    expected = [[name, float(real) - float(fake), label or "", attack] for name, (fake, real), label, attack in rows]
    assert table.values.tolist() == expected
    assert table["Score"].dtype == np.float64


def _parts(path):
    return sorted(path.parent.glob(f"{path.name}.*.part"))


@given(_rows(PLAIN), st.floats(0, 1))
@example([("é語" * 4, (1.0, 2.0), "real", LINE_ENDS)] * 1, 0.65)
def test_resume_after_truncation_at_any_byte(scratch, rows, share):
    path = scratch / "scores.csv"
    _write(path, rows)
    whole = path.read_bytes()
    with ScoreWriter(path, ["Attack"]) as writer:
        for place, (name, logits, label, attack) in enumerate(rows):
            writer.write(place, name, logits, label, {"Attack": attack})
    part = next(part for part in _parts(path) if "skipped" not in part.name)
    os.truncate(part, round(share * part.stat().st_size))
    _write(path, rows)
    assert path.read_bytes() == whole
    assert not _parts(path)


@pytest.mark.parametrize("name", ["a\nb", "a\rb"])
def test_line_breaks_in_names_are_errors(tmp_path, name):
    with pytest.raises(InputError, match="line break"), ScoreWriter(tmp_path / "s.csv") as writer:
        writer.write(0, name, (0.0, 1.0), "real")


def test_resumed_writer_knows_the_finished_rows(tmp_path):
    with pytest.raises(KeyboardInterrupt), ScoreWriter(tmp_path / "s.csv") as writer:
        writer.write(0, "a", (0.0, 1.0), "real")
        writer.write(1, "b", (0.0, 1.0), "fake")
        raise KeyboardInterrupt
    assert not (tmp_path / "s.csv").exists()
    with ScoreWriter(tmp_path / "s.csv") as writer:
        assert writer.done(3).tolist() == [True, True, False]
        writer.write(2, "c", (0.0, 2.0), None)
    assert writer.merge(3) == []
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["a", "b", "c"]


def test_lines_of_all_processes_are_merged(tmp_path):
    for rank, place in ((0, 2), (1, 0), (2, 1)):
        with ScoreWriter(tmp_path / "s.csv", rank=rank) as writer:
            writer.write(place, f"id{place}", (0.0, 1.0), "real")
    writer = ScoreWriter(tmp_path / "s.csv")
    assert writer.done(4).tolist() == [True, True, True, False]
    writer.merge(3)
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["id0", "id1", "id2"]
    assert os.listdir(tmp_path) == ["s.csv"]


def test_written_lines_survive_a_kill(tmp_path):
    with ScoreWriter(tmp_path / "s.csv") as writer:
        writer.write(0, "a", (0.0, 1.0), "real")
        assert [part.read_text() for part in _parts(tmp_path / "s.csv")] == ['0,a,"[0.0, 1.0]",1\n', ""]


def test_skipped_files_of_all_processes_are_listed_in_order(tmp_path):
    for rank, place in ((0, 2), (1, 0), (0, 1)):
        with ScoreWriter(tmp_path / "s.csv", rank=rank) as writer:
            writer.skip(place, f"{place}.wav", f"{place}.wav: broken\nin two lines")
    assert not writer.done(3).any()
    skipped = writer.merge(3)
    assert [file.path for file in skipped] == ["0.wav", "1.wav", "2.wav"]
    assert skipped[0].error == "0.wav: broken in two lines"
    assert len((tmp_path / "s.csv.skipped.csv").read_text().splitlines()) == 4


def test_skipped_files_can_be_forgotten(tmp_path):
    with ScoreWriter(tmp_path / "s.csv", rank=1) as writer:
        writer.skip(0, "a.wav", "a.wav: broken")
    writer = ScoreWriter(tmp_path / "s.csv")
    writer.forget_skipped()
    assert writer.merge(0) == []
    assert os.listdir(tmp_path) == ["s.csv"]


def test_no_score_file_is_written_while_rows_are_missing(tmp_path):
    with ScoreWriter(tmp_path / "s.csv") as first, ScoreWriter(tmp_path / "s.csv") as second:
        for writer in (first, second):
            writer.write(0, "a", (0.0, 1.0), "real")
            writer.skip(1, "b.wav", "b.wav: broken")
    first.merge(2)
    with pytest.raises(InputError, match=r"s\.csv: 0 of 2 rows"):
        second.merge(2)
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["a"]


def test_lines_of_another_run_are_ignored(tmp_path):
    path = tmp_path / "s.csv"
    for run, metadata in ((b"model a", []), (b"model a", ["Speaker"]), (b"model b", [])):
        with ScoreWriter(path, metadata, run) as writer:
            assert not writer.done(1).any()
            writer.write(0, "a", (0.0, 1.0), "real")


def test_full_disk_leaves_no_score_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        _write(tmp_path / "s.csv", [("a", (0.0, 1.0), "real", "-")])
    assert not (tmp_path / "s.csv").exists()
    monkeypatch.undo()
    _write(tmp_path / "s.csv", [("a", (0.0, 1.0), "real", "-"), ("b", (0.0, 1.0), "real", "-")])
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == ["a", "b"]


@given(_rows(PLAIN))
def test_iterating_matches_reading_at_once(scratch, rows):
    _write(scratch / "scores.csv", rows)
    table = read_scores(scratch / "scores.csv")
    expected = [(*row, False) for row in zip(table["ID"], table["Score"], strict=True)]
    assert list(iterate_scores(scratch / "scores.csv")) == expected


HEADER = "ID,Score,Label\n"


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_lines_are_parsed_in_parts(tmp_path, monkeypatch, count):
    monkeypatch.setattr("antideepfake.protocol.table.CHUNK_ROWS", 3)
    path = tmp_path / "scores.csv"
    path.write_text(HEADER + "".join(f'u{n},"[{n}, {3 * n}]",1\n' for n in range(count)))
    assert read_scores(path)["Score"].tolist() == [2.0 * n for n in range(count)]
    path.write_text(path.read_text() + "wrong,0.7,1\n")
    with pytest.raises(InputError, match=rf":{count + 2}: the Score is '0\.7'"):
        read_scores(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a CSV file"),
        ("ID,Score\na,1\n", ":1: no column Label"),
        (HEADER + 'a,"[0, 1]",1\nb,0.7,1\n', ":3: the Score is '0.7'; it must be [fake_logit, real_logit]"),
        (HEADER + 'a,"[0, 1, 2]",1\n', ":2: the Score is '[0, 1, 2]'"),
        (HEADER + 'a,"[0, x]",1\n', ":2: the Score is '[0, x]'"),
        (HEADER + 'a,"[0, null]",1\n', ":2: the Score is '[0, null]'"),
        (HEADER + "a,,1\n", ":2: the Score is ''"),
        (HEADER + "a," + "[" * 100_000 + ",1\n", ":2: the Score is '[[["),
        (HEADER + f'a,"[0, 1{"0" * 400}]",1\nb,x,1\n', ":2: the Score is '[0, 1000"),
        (HEADER + f'a,"[0, 1]",{"1" * 1000}\n', ":2: the Label is '1111"),
        (HEADER + 'a,"[0, 1]",real\n', ":2: the Label is 'real'; it must be 1 (real) or 0 (fake)"),
        (HEADER + 'a,"[0, 1]",2\n', ":2: the Label is '2'"),
        (HEADER + 'a,"[0, 1]",1\nb,"[0, 1]",1,x,y\n', "line 3"),
        (HEADER + '\na,"[0, 1]",5\n', ":3: the Label is '5'"),
    ],
)
def test_each_fault_has_its_message(tmp_path, text, message):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError) as raised:
        read_scores(tmp_path / "s.csv")
    assert message in str(raised.value) and "s.csv" in str(raised.value)
    assert "\n" not in str(raised.value) and len(str(raised.value).removeprefix(str(tmp_path))) < 250


@pytest.mark.parametrize("name", ["missing.csv", "folder"])
def test_missing_file_and_folder(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=name):
        read_scores(tmp_path / name)


def test_a_file_of_the_released_code(tmp_path):
    (tmp_path / "s.csv").write_text('ID,Score,Label\nLA_E_1,"[-2.5, 1.25]",1\nLA_E_2,"[3, -3]",0\n')
    assert read_scores(tmp_path / "s.csv").values.tolist() == [["LA_E_1", 3.75, "real"], ["LA_E_2", -6.0, "fake"]]


@pytest.mark.parametrize("column", ["Score", "Label", "ID"])
def test_reserved_columns_are_errors(tmp_path, column):
    with pytest.raises(InputError, match=f"a column {column}, which is reserved in score files; rename it"):
        ScoreWriter(tmp_path / "s.csv", ["Attack", column])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_score_files_of_editors_are_read(tmp_path, encoding):
    path = tmp_path / "s.csv"
    path.write_text('ID,Score,Label\na,"[0.5, 1.5]",1\n', encoding=encoding)
    assert read_scores(path).values.tolist() == [["a", 1.0, "real"]]
