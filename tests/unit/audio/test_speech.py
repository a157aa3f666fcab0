"""Speech activity."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.speech import RANGE_DB, SpeechActivity, _load_model, find_speech_frames


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


def _vowels(seconds):
    """A buzz of 120 Hz through formants that change four times a second: to a speech detector, speech."""
    time = np.arange(round(16000 * seconds)) / 16000
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time - np.pi / 2)
    formants = [(500 + 200 * np.sin(2 * np.pi * 2 * time), 80), (1500 + 400 * np.cos(2 * np.pi * 1.3 * time), 120)]
    harmonics = np.arange(1, 40)[:, None] * 120.0
    gains = sum(1 / (1 + ((harmonics - center) / width) ** 2) for center, width in formants)
    return 0.1 * syllables * (gains * np.sin(2 * np.pi * harmonics * time)).sum(0)


def test_speech_activity_finds_speech_among_noise(rng):
    samples = np.concatenate([0.01 * rng.standard_normal(48000), _vowels(3.0), 0.01 * rng.standard_normal(48000)])
    activity = SpeechActivity()
    activity.push(samples.astype(np.float32))
    assert activity.share(48000, 96000) > 0.5
    assert activity.share(0, 40000) < 0.05 and activity.share(108000, 144000) < 0.05
    assert activity.steps(3.0, 3).tolist() == [False, True, False]


@given(cuts=st.lists(st.integers(0, 32000), max_size=8))
def test_speech_activity_does_not_depend_on_the_blocks(cuts):
    samples = _vowels(2.0).astype(np.float32)
    whole, parts = SpeechActivity(), SpeechActivity()
    whole.push(samples)
    for block in np.split(samples, sorted(cuts)):
        parts.push(block)
    np.testing.assert_array_equal(whole.frames(), parts.frames())


def test_what_is_too_short_to_tell_has_no_share_and_counts_as_speech():
    activity = SpeechActivity()
    activity.push(np.zeros(500, np.float32))
    assert np.isnan(activity.share(0, 500)) and activity.steps(0.02, 2).tolist() == [True, True]


def test_speech_activity_leaves_the_number_of_threads_alone():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        _load_model.cache_clear()
        SpeechActivity().push(np.zeros(600, np.float32))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_telemetry_is_off_before_the_runtime_is_imported():
    """Guards against telling anyone outside that a recording was examined."""
    code = (
        "import sys; from antideepfake.audio.speech import SpeechActivity\n"
        "import importlib.abc, os\n"
        "class Watch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'onnxruntime': print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "assert 'onnxruntime' not in sys.modules; sys.meta_path.insert(0, Watch())\n"
        "import numpy; SpeechActivity().push(numpy.zeros(600, numpy.float32))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["1"]
