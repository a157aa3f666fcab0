"""Speech activity."""

import numpy as np
import pytest

from antideepfake.audio.speech import RANGE_DB, find_speech_frames


@pytest.mark.parametrize(("decibels", "is_speech"), [(RANGE_DB - 0.1, True), (RANGE_DB + 0.1, False)])
def test_the_range_below_the_loudest_frame_decides(decibels, is_speech):
    quiet = 10 ** (-decibels / 20)
    assert find_speech_frames(np.repeat([1.0, quiet], 160), 160).tolist() == [True, is_speech]


def test_a_constant_gain_changes_nothing(rng):
    samples = rng.standard_normal(16000) * np.repeat(10.0 ** rng.uniform(-3, 0, 100), 160)
    np.testing.assert_array_equal(find_speech_frames(samples, 160), find_speech_frames(0.001 * samples, 160))


@pytest.mark.parametrize(("length", "frames"), [(0, 0), (159, 0), (160, 1), (479, 2)])
def test_only_whole_frames_count_and_silence_is_not_speech(length, frames):
    assert find_speech_frames(np.zeros(length), 160).tolist() == [False] * frames
