"""Segments beside a protocol: what they say, and clear errors where they contradict it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.metrics.localization import cut_segments
from antideepfake.protocol.segments import (
    SEGMENT_COLUMNS,
    crop_spans,
    label_frames,
    merge_spans,
    read_listed_segments,
    read_segments,
    segments_path,
    write_segments,
)

PROTOCOL = pd.DataFrame(
    {"ID": ["a", "b", "c"], "Label": ["fake", "real", "fake"], "Duration": [3.0, 2.0, 1.5]}, index=[7, 3, 5]
)
HEADER = "ID,Start,End,Label\n"


@pytest.fixture
def read(tmp_path):
    """Read segments with the given lines below the header."""

    def read_text(text, header=HEADER):
        (tmp_path / "p.segments.csv").write_text(header + text)
        spans = read_segments(tmp_path / "p.segments.csv", PROTOCOL)
        return {name: values.tolist() for name, values in spans.items()}

    return read_text


@pytest.mark.parametrize(
    ("text", "a", "c"),
    [
        ("", [[0, 3]], [[0, 1.5]]),  # without rows, the label holds throughout
        ("a,1,2,fake\n", [[1, 2]], [[0, 1.5]]),  # what no segment covers is real
        ("a,0,1,real\na,1,2,fake\na,2,3,real\n", [[1, 2]], [[0, 1.5]]),
        ("a,0,1,fake\na,1,1.5,fake\na,2,3,fake\n", [[0, 1.5], [2, 3]], [[0, 1.5]]),
        ("b,0,2,real\nc,0.5,1.5009,fake\n", [[0, 3]], [[0.5, 1.5]]),  # rounded beyond the duration
    ],
)
def test_every_moment_has_a_label(read, text, a, c):
    assert read(text) == {"a": a, "b": [], "c": c}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d,0,1,fake\n", ":2: the ID 'd' is not in the protocol"),
        ("a,0,1,spoof\n", ":2: label 'spoof' is unknown; use 'real' or 'fake'"),
        ("a,0,1,real\na,x,2,fake\n", ":3: Start is 'x'"),
        ("a,-0.1,1,fake\n", ":2: Start is '-0.1'"),
        ("a,nan,1,fake\n", ":2: Start is 'nan'"),
        ("a,1,1,fake\n", ":2: End is '1'; it must be a number of seconds above the Start, 1"),
        ("a,1,,fake\n", ":2: End is ''"),
        ("a,1,3.1,fake\n", ":2: the End 3.1 is after the end of 'a', 3.0 s"),
        ("c,0,1,fake\na,0,1,fake\n", ":3: 'a' is not in the order of the protocol"),
        ("a,1,2,fake\n\na,0,1.5,real\n", ":4: the segment begins before the one above ends"),
        ("a,0,1,fake\nb,0,1,fake\n", ":3: 'b' is real in the protocol"),
        ("a,0,1,fake\nc,0,1,real\n", ":3: 'c' is fake in the protocol; give it a fake segment"),
    ],
)
def test_a_fault_is_reported_with_its_line(read, text, message):
    with pytest.raises(InputError) as error:
        read(text)
    assert f"p.segments.csv{message}" in str(error.value)


def test_a_missing_column_or_file_is_an_error(read, tmp_path):
    with pytest.raises(InputError, match=r"segments\.csv:1: no column End, Label; segments have"):
        read("a,0\n", "ID,Start\n")
    with pytest.raises(InputError, match="no such file"):
        read_segments(tmp_path / "absent.csv", PROTOCOL)


def test_what_is_written_can_be_read(tmp_path):
    table = pd.DataFrame([["a", 0.02, 1 / 3, "fake"], ["c", 0.1, 1.5, "fake"]], columns=SEGMENT_COLUMNS)
    path = segments_path(tmp_path / "p.csv")
    write_segments(table, path, PROTOCOL)
    assert path.read_text() == HEADER + "a,0.02,0.333333,fake\nc,0.1,1.5,fake\n"
    assert read_segments(path, PROTOCOL)["c"].tolist() == [[0.1, 1.5]]


def test_faulty_segments_are_not_written(tmp_path):
    table = pd.DataFrame([["a", 0.0, 9.0, "fake"]], columns=SEGMENT_COLUMNS, index=[4])
    with pytest.raises(InputError, match=r"p\.segments\.csv:2: the End 9\.0 is after the end"):
        write_segments(table, tmp_path / "p.segments.csv", PROTOCOL)
    assert not list(tmp_path.iterdir())


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8))
def test_merged_spans_cover_the_same_time(pairs):
    spans = np.array([(start, start + length) for start, length in pairs], float).reshape(-1, 2)
    merged = merge_spans(spans)
    moments = np.arange(0, 40) + 0.5

    def cover(spans):
        return [bool(((spans[:, 0] < moment) & (moment < spans[:, 1])).any()) for moment in moments]

    assert cover(merged) == cover(spans)
    assert (merged[1:, 0] > merged[:-1, 1]).all()


SPANS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 2)), max_size=4).map(
    lambda pairs: merge_spans(np.array([(start, start + length) for start, length in pairs]).reshape(-1, 2))
)


@given(SPANS, st.floats(0, 3), st.floats(0.1, 3))
def test_cropped_spans_are_the_fake_part_of_the_crop(spans, start, length):
    times = np.linspace(0, length, 101)[1:-1]
    cropped = crop_spans(spans, start, start + length)
    assert (cropped >= 0).all() and (cropped <= length + 1e-9).all()

    def is_fake(spans, times):
        return ((spans[:, :1] < times) & (times < spans[:, 1:])).any(0)

    near = np.abs((spans - start).reshape(-1, 1) - times).min(0, initial=1) < 1e-5  # an end, but for rounding
    assert (is_fake(cropped, times) == is_fake(spans, times + start))[~near].all()


@given(SPANS, st.sampled_from([0.02, 0.16, 0.64]))
def test_labels_of_frames_are_those_of_evaluation(spans, resolution):
    spans = crop_spans(spans, 0.0, 6.0)
    expected = cut_segments(spans, [0.0, 6.0], [0.0], resolution).is_real
    found = label_frames(spans, 6.0, resolution)
    ends = spans.ravel() / resolution
    if (np.abs(ends - ends.round()) > 1e-4).all():  # a span that ends at the edge of a frame, but for rounding
        assert found.tolist() == expected.tolist()


def test_listed_segments_are_those_of_the_partially_spoofed(tmp_path):
    protocol = pd.DataFrame({"ID": ["a", "b", "c"], "Label": ["fake", "real", "fake"], "Duration": [3.0, 2.0, 1.0]})
    path = tmp_path / "p.segments.csv"
    path.write_text("ID,Start,End,Label\na,0,1,fake\nb,0,2,real\n")
    listed, all_spans = read_listed_segments(path, protocol), read_segments(path, protocol)
    assert list(listed) == ["a"] and list(all_spans) == ["a", "b", "c"]
    assert listed["a"].tolist() == all_spans["a"].tolist() and all_spans["c"].tolist() == [[0.0, 1.0]]
