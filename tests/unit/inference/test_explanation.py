"""Explanations of scores that by construction listen to one band and one span."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from antideepfake.errors import InputError
from antideepfake.inference.explanation import BAND_EDGES, explain_score

RATE = 16000


@pytest.fixture
def recording(rng):
    """Three seconds of noise whose level changes, so that there is a background."""
    level = 0.01 + np.abs(np.sin(np.arange(3 * RATE) * 2 * np.pi / 3000))
    return (level * rng.normal(size=3 * RATE)).astype(np.float32)


def listen(low, high, start, end, sign=1):
    """Make a detector that scores the level, in dB, of one band in one span, and nothing else."""
    band = butter(6, [low, high], "bandpass", fs=RATE, output="sos")

    def score(recordings):
        for samples in recordings:
            heard = sosfilt(band, samples)[round(start * RATE) : round(end * RATE)]
            yield sign * 10 * np.log10(np.square(heard).mean() + 1e-12)

    return score


@pytest.mark.parametrize("sign", [1, -1])
def test_the_one_cell_that_a_detector_listens_to_is_marked_first(recording, rng, sign):
    explanation = explain_score(listen(1600, 2100, 1.05, 1.45, sign), recording, -1000.0 * sign, rng)
    band, span = np.unravel_index(np.abs(explanation.cell_effects).argmax(), explanation.cell_effects.shape)
    assert BAND_EDGES[band] == 1500 and explanation.times[span] == 1.0
    assert np.abs(explanation.band_effects).argmax() == band and np.abs(explanation.span_effects).argmax() == span
    assert np.sign(explanation.cell_effects[band, span]) == sign and explanation.is_marked[band, span]
    others = np.abs(explanation.cell_effects)
    others[band, span] = 0
    assert others.max() < 0.2 * np.abs(explanation.cell_effects).max()
    assert explanation.share > 0.9
    assert sign * explanation.marked_score < sign * explanation.score - 3


def test_what_is_marked_pushes_to_the_side_of_the_decision(recording, rng):
    score = listen(1600, 2100, 1.05, 1.45)
    as_real = explain_score(score, recording, -1000.0, rng)
    as_fake = explain_score(score, recording, 1000.0, rng)
    assert (as_real.cell_effects[as_real.is_marked] > 0).all() and as_real.is_marked.any()
    assert (as_fake.cell_effects[as_fake.is_marked] < 0).all()
    np.testing.assert_array_equal(as_real.cell_effects, as_fake.cell_effects)


def test_nothing_occluded_gives_the_recording_back(recording, rng):
    heard = []

    def score(recordings):
        for samples in recordings:
            heard.append(samples)
            yield 0.0

    explanation = explain_score(score, recording, 0.0, rng)
    assert heard[0].dtype == np.float32 and len(heard) == 1 + 9 + 6 + 54 + 40 + 1
    np.testing.assert_allclose(heard[0], recording, atol=1e-5)
    assert np.square(heard[10][:8000]).mean() < 0.1 * np.square(recording[:8000]).mean()  # the first span occluded
    np.testing.assert_allclose(heard[10][9000:], recording[9000:], atol=1e-5)
    assert not explanation.is_marked.any() and np.isnan(explanation.share)


def test_a_score_that_follows_no_single_cell_is_not_explained(recording, rng):
    def score(recordings):
        for samples in recordings:
            yield float(np.sin(1e5 * np.abs(samples).sum()))

    assert explain_score(score, recording, 0.0, rng).share < 0.3


def test_recordings_and_spans_that_are_too_short_are_refused(recording, rng):
    with pytest.raises(InputError, match=r"has 0\.75 s"):
        explain_score(listen(1600, 2100, 0, 1), recording[:12000], 0.0, rng, 0.6)
    with pytest.raises(InputError, match=r"at least 0\.05 s"):
        explain_score(listen(1600, 2100, 0, 1), recording, 0.0, rng, 0.01)
