"""Scores over time."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.inference.timeline import Timeline, average_windows


def _timeline(scores, speech=None, step=1.0, duration=None):
    scores = np.array(scores, float)
    speech = np.ones(len(scores), bool) if speech is None else np.array(speech, bool)
    return Timeline(step, len(scores) * step if duration is None else duration, scores, speech)


def _labels(segments):
    return [(segment.start, segment.end, segment.label) for segment in segments]


def test_overlapping_windows_are_averaged():
    # windows of 4 s every 2 s: [0, 4), [2, 6), [4, 8); the last one ends with the recording: [5, 9)
    scores = average_windows([0, 2, 4, 5], [1.0, 3.0, 5.0, 7.0], 4.0, 1.0, 9.0)
    np.testing.assert_allclose(scores, [1, 1, 2, 2, 4, 5, 6, 6, 7])


def test_frames_of_overlapping_windows_are_averaged():
    scores = average_windows([0.0, 0.2], [[1, 1, 1, 1], [3, 3, 3, 3]], 0.1, 0.1, 0.6)
    np.testing.assert_allclose(scores, [1, 1, 2, 2, 3, 3])


def test_a_step_beyond_the_last_frame_is_like_the_one_before():
    np.testing.assert_allclose(average_windows([0.0], [[1.0, 2.0]], 0.02, 0.02, 0.07), [1, 2, 2, 2])


@given(
    count=st.integers(1, 40),
    hop=st.sampled_from([1, 2, 3]),
    step=st.sampled_from([0.5, 1.0]),
    value=st.floats(-5, 5),
)
def test_equal_scores_give_a_constant_timeline(count, hop, step, value):
    starts = [hop * index for index in range(count)]
    duration = starts[-1] + 4.0
    scores = average_windows(starts, [value] * count, 4.0, step, duration)
    assert len(scores) == round(duration / step)
    np.testing.assert_allclose(scores, value, atol=1e-9)


def test_segments_follow_the_threshold_and_the_speech():
    timeline = _timeline([1, 1, -1, -1, 5, 5], [1, 1, 1, 1, 0, 0])
    assert _labels(timeline.segments(0.0)) == [(0, 2, "real"), (2, 4, "fake"), (4, 6, "no speech")]
    assert [segment.score for segment in timeline.segments(0.0)] == [1, -1, 5]


def test_a_score_at_the_threshold_is_real():
    assert _labels(_timeline([0.5, 0.4]).segments(0.5)) == [(0, 1, "real"), (1, 2, "fake")]


def test_short_segments_are_merged():
    short = _timeline([1, 1, -1, 1, 1, 1], step=0.1)
    assert [label for _, _, label in _labels(short.segments(0.0, min_seconds=0.1))] == ["real", "fake", "real"]
    assert _labels(short.segments(0.0, min_seconds=0.3)) == [(0, 0.6, "real")]  # smoothed: a third of -1 + 1 + 1
    speech = _timeline([1] * 6, [1, 1, 0, 1, 1, 1], step=0.1)
    assert _labels(speech.segments(0.0, min_seconds=0.2)) == [(0, 0.6, "real")]
    assert _labels(_timeline([1] * 4, [0, 1, 1, 1], step=0.1).segments(0.0, 0.2)) == [(0, 0.4, "real")]


@given(
    scores=st.lists(st.floats(-3, 3), min_size=1, max_size=60),
    speech=st.lists(st.booleans(), min_size=60, max_size=60),
    min_seconds=st.sampled_from([0.02, 0.1, 0.5]),
)
def test_segments_cover_the_recording_without_gaps(scores, speech, min_seconds):
    timeline = _timeline(scores, speech[: len(scores)], step=0.02, duration=0.02 * len(scores) - 0.005)
    segments = timeline.segments(0.0, min_seconds)
    assert segments[0].start == 0 and segments[-1].end == pytest.approx(timeline.duration, abs=1e-3)
    for before, after in pairwise(segments):
        assert before.end == after.start and before.label != after.label
    if len(segments) > 1:
        assert all(segment.end - segment.start > min_seconds - 0.026 for segment in segments[:-1])


def test_the_most_suspicious_come_first():
    timeline = _timeline([-1, 2, -5, 2, -3, 2, -2])
    assert [segment.score for segment in timeline.most_suspicious(0.0, count=3)] == [-5, -3, -2]
    assert _timeline([1, 2]).most_suspicious(0.0) == []
