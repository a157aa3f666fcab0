"""Shards of a CSV file: what several processes wrote comes out as one, in order, whatever was torn."""

import csv
import os

from hypothesis import given
from hypothesis import strategies as st

from antideepfake.scoring.shards import Shards

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), max_size=8)


@given(st.lists(st.tuples(st.integers(0, 3), TEXT), max_size=12), st.randoms())
def test_rows_come_out_in_the_order_of_their_places(scratch, rows, random):
    places = list(range(len(rows)))
    random.shuffle(places)
    for place in places:
        rank, text = rows[place]
        with Shards(scratch / "a.csv", "run", rank) as parts:
            parts.write(place, [text, "x"])
    parts = Shards(scratch / "a.csv", "run")
    assert sorted(parts.indices()) == list(range(len(rows)))
    parts.merge(["a, b", "c"])
    parts.remove()
    with open(scratch / "a.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["a, b", "c"], *([text, "x"] for _, text in rows)]
    assert not parts.files()


def test_a_torn_line_does_not_count(tmp_path):
    for rank in range(2):
        with Shards(tmp_path / "a.csv", "run", rank) as parts:
            for place in (rank, 10 + rank):
                parts.write(place, ["text"])
        os.truncate(parts.own, parts.own.stat().st_size - 3)
    assert sorted(parts.indices()) == [0, 1]
    with Shards(tmp_path / "a.csv", "run") as parts:  # of the other process, nobody cuts the torn line
        parts.write(10, ["new"])
    parts.merge(["Text"])
    assert (tmp_path / "a.csv").read_text() == "Text\ntext\ntext\nnew\n"


def test_parts_of_other_files_and_runs_are_left_alone(tmp_path):
    for name, run in (("a.csv", "one"), ("a.csv", "two"), ("b.csv", "one"), ("[*].csv", "one")):
        with Shards(tmp_path / name, run) as parts:
            parts.write(0, [name])
    assert parts.files() == [parts.own]
    parts.remove()
    assert len(os.listdir(tmp_path)) == 3


def test_names_that_are_not_utf8(tmp_path):
    with Shards(tmp_path / "a.csv", "run") as parts:
        parts.write(0, ["caf\udce9"])
    parts.merge(["Name"])
    assert (tmp_path / "a.csv").read_text() == "Name\ncaf\\udce9\n"
