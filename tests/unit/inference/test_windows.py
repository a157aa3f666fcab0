"""Windows of recordings of any length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.speech import SpeechActivity
from antideepfake.inference.windows import cut_windows
from antideepfake.model_folder.windowing import Windowing

WINDOWING = Windowing(window_seconds=0.2, hop_seconds=0.1)  # 3200 and 1600 samples


def _cut(blocks, windowing=WINDOWING):
    return list(cut_windows(blocks, windowing, SpeechActivity()))


@pytest.mark.parametrize(
    ("samples", "starts"),
    [
        (1, [0]),
        (3199, [0]),
        (3200, [0]),
        (3201, [0, 1]),
        (4800, [0, 1600]),
        (4801, [0, 1600, 1601]),
        (6400, [0, 1600, 3200]),
    ],
)
def test_windows_cover_the_recording_and_the_last_one_ends_with_it(samples, starts):
    signal = np.arange(samples, dtype=np.float32)
    windows = _cut([signal])
    assert [window.start for window in windows] == starts
    for window in windows:
        np.testing.assert_array_equal(window.samples, signal[window.start : window.start + 3200])


def test_windows_without_overlap():
    windows = _cut([np.zeros(10_000, np.float32)], Windowing(window_seconds=0.2, hop_seconds=0.2))
    assert [window.start for window in windows] == [0, 3200, 6400, 6800]


def test_nothing_gives_no_window():
    assert _cut([]) == [] and _cut([np.zeros(0, np.float32)]) == []


@given(cuts=st.lists(st.integers(0, 9000), max_size=20), length=st.integers(1, 9000))
def test_windows_do_not_depend_on_the_blocks(cuts, length):
    signal = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    parts = np.split(signal, sorted(cut for cut in cuts if cut < length))
    whole, cut = _cut([signal]), _cut(parts)
    assert [window.start for window in whole] == [window.start for window in cut]
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.speech == pytest.approx(other.speech, nan_ok=True)


def test_a_window_is_given_as_soon_as_its_last_sample_is_known():
    seen = 0

    def blocks():
        nonlocal seen
        for _ in range(50):
            seen += 160
            yield np.zeros(160, np.float32)

    for window in cut_windows(blocks(), WINDOWING, SpeechActivity()):
        assert seen == window.start + 3200
