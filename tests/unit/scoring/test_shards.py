"""Shards of a CSV file."""

import csv
import os

from hypothesis import given
from hypothesis import strategies as st

from antideepfake.scoring.shards import Shards

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), max_size=8)


@given(st.lists(st.tuples(st.integers(0, 3), TEXT), max_size=12), st.randoms())
def test_merged_rows_are_in_the_order_of_their_indices(scratch, rows, random):
    indices = list(range(len(rows)))
    random.shuffle(indices)
    for index in indices:
        rank, text = rows[index]
        with Shards(scratch / "a.csv", "run", rank) as shards:
            shards.write(index, [text, "x"])
    shards = Shards(scratch / "a.csv", "run")
    assert sorted(shards.indices()) == list(range(len(rows)))
    shards.merge(["a, b", "c"])
    shards.remove()
    with open(scratch / "a.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["a, b", "c"], *([text, "x"] for _, text in rows)]
    assert not shards.files()


def test_an_incomplete_last_line_is_ignored(tmp_path):
    for rank in range(2):
        with Shards(tmp_path / "a.csv", "run", rank) as shards:
            for index in (rank, 10 + rank):
                shards.write(index, ["text"])
        os.truncate(shards.own, shards.own.stat().st_size - 3)
    assert sorted(shards.indices()) == [0, 1]
    with Shards(tmp_path / "a.csv", "run") as shards:  # the shard of the other process keeps its incomplete line
        shards.write(10, ["new"])
    shards.merge(["Text"])
    assert (tmp_path / "a.csv").read_text() == "Text\ntext\ntext\nnew\n"


def test_shards_of_other_files_and_runs_are_kept(tmp_path):
    for name, run in (("a.csv", "one"), ("a.csv", "two"), ("b.csv", "one"), ("[*].csv", "one")):
        with Shards(tmp_path / name, run) as shards:
            shards.write(0, [name])
    assert shards.files() == [shards.own]
    shards.remove()
    assert len(os.listdir(tmp_path)) == 3


def test_names_that_are_not_utf8(tmp_path):
    with Shards(tmp_path / "a.csv", "run") as shards:
        shards.write(0, ["caf\udce9"])
    shards.merge(["Name"])
    assert (tmp_path / "a.csv").read_text() == "Name\ncaf\\udce9\n"
