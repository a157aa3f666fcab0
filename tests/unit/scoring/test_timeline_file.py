"""Timelines in the forms of other programs."""

import json

import numpy as np
import pytest

from antideepfake.errors import InputError
from antideepfake.inference.timeline import Timeline
from antideepfake.scoring.timeline_file import JudgedTimeline, read_timelines, write_timelines


@pytest.fixture
def judged():
    """Two seconds real, two fake, one without speech; the last step is shorter."""
    scores, speech = np.array([1.5, 1.5, -2.0, -2.0, 0.0]), np.array([1, 1, 1, 1, 0], bool)
    return JudgedTimeline(Timeline(1.0, 4.75, scores, speech), 0.0)


def test_forms_for_several_recordings(tmp_path, judged):
    for name in ("t.json", "t.csv", "t.rttm"):
        write_timelines(tmp_path / name, {"a, b.wav": judged, 'c"d.wav': judged})
    rows = json.loads((tmp_path / "t.json").read_text())
    assert [row["file"] for row in rows] == ["a, b.wav", 'c"d.wav']
    assert rows[0]["segments"][2] == {"start": 4.0, "end": 4.75, "score": 0.0, "label": "no speech"}
    assert rows[0]["scores"] == [1.5, 1.5, -2.0, -2.0, 0.0] and rows[0]["speech"][-1] is False
    assert (tmp_path / "t.csv").read_text().splitlines()[:3] == [
        "file,start,end,score,label",
        '"a, b.wav",0.0,2.0,1.5,real',
        '"a, b.wav",2.0,4.0,-2.0,fake',
    ]
    fields = [line.split() for line in (tmp_path / "t.rttm").read_text().splitlines()]
    assert len(fields) == 6 and all(len(row) == 10 for row in fields)
    assert fields[1] == ["SPEAKER", "a,_b.wav", "1", "2.000", "2.000", "<NA>", "<NA>", "fake", "-2.0000", "<NA>"]


def test_forms_for_one_recording(tmp_path, judged):
    for name in ("t.txt", "t.TextGrid"):
        write_timelines(tmp_path / name, {"a.wav": judged})
    assert (tmp_path / "t.txt").read_text().splitlines() == [
        "0.000000\t2.000000\treal 1.50",
        "2.000000\t4.000000\tfake -2.00",
        "4.000000\t4.750000\tno speech",
    ]
    grid = (tmp_path / "t.TextGrid").read_text()
    assert grid.count("xmin") == grid.count("xmax") == 5 and grid.count("xmax = 4.750000") == 3
    assert grid.count("intervals: size = 3") == 1 and 'text = "no speech"' in grid


@pytest.mark.parametrize("name", ["t.txt", "t.TextGrid"])
def test_a_form_for_one_recording_is_refused_for_two(tmp_path, judged, name):
    with pytest.raises(InputError, match="for one recording, not 2; use"):
        write_timelines(tmp_path / name, {"a.wav": judged, "b.wav": judged})
    assert not list(tmp_path.iterdir())


def test_what_was_written_can_be_read(tmp_path, judged):
    for name in ("t.json", "t.csv"):
        write_timelines(tmp_path / name, {"a, b.wav": judged, "c": judged})
    fine, coarse = (read_timelines(tmp_path / name) for name in ("t.json", "t.csv"))
    assert list(fine) == list(coarse) == ["a, b.wav", "c"]
    assert fine["c"].edges.tolist() == [0, 1, 2, 3, 4, 4.75] and fine["c"].threshold == 0
    assert fine["c"].scores.tolist() == [1.5, 1.5, -2.0, -2.0, 0.0]
    assert coarse["c"].edges.tolist() == [0, 2, 4, 4.75] and coarse["c"].scores.tolist() == [1.5, -2, 0]
    assert coarse["c"].threshold is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.rttm", "", "timelines are read from .json or .csv"),
        ("t.json", "[{", "not timelines"),
        ("t.json", '[{"file": "a"}]', "not timelines"),
        ("t.csv", "file,start,end\na,0,1\n", "not timelines"),
        ("t.csv", "file,start,end,score\na,0,1,2\na,2,3,2\n", "the segments of 'a' have gaps"),
        ("t.csv", "file,start,end,score\na,0,x,2\n", "not timelines"),
    ],
)
def test_files_that_are_not_timelines_are_errors(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_timelines(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        read_timelines(tmp_path / "absent.json")
