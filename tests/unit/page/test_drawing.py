"""Geometry of the page's pictures."""

import base64
import io

import matplotlib.image
import numpy as np
import pytest

from antideepfake.inference.timeline import Timeline
from antideepfake.model_folder.validation_scores import describe_scores
from antideepfake.page.drawing import POINTS, draw_histogram, draw_track
from antideepfake.page.sound import BANDS, Sound


def points(text):
    return np.array([[float(number) for number in pair.split(",")] for pair in text.split()])


def make_sound(columns=10, seconds=2.0):
    envelope = np.linspace([-0.1, 0.1], [-0.5, 0.5], columns, dtype=np.float32)
    spectrogram = np.zeros((columns, BANDS), np.float32)
    spectrogram[:, 0] = 1  # all energy is low
    return Sound(seconds, envelope, spectrogram, seconds / columns, b"")


@pytest.mark.parametrize("score", [-50.0, -2.0, 0.3, 2.0, 90.0])
def test_score_threshold_and_bars_lie_inside_the_picture(rng, score):
    drawn = draw_histogram(describe_scores(rng.normal(2, 1, 300), rng.normal(-2, 1, 200)), score, 0.1)
    assert 0 < drawn.score < 100 and 0 < drawn.threshold < 100
    assert (drawn.score < drawn.threshold) == (score < 0.1)
    for polygon in (points(drawn.real), points(drawn.fake)):
        assert polygon.min() >= 0 and polygon.max() <= 100
        assert polygon[:, 1].min() == 5 and polygon[0, 1] == polygon[-1, 1] == 100


def test_shares_below_are_those_of_the_scores(rng):
    real, fake = rng.normal(2, 1, 5000), rng.normal(-2, 1, 5000)
    drawn = draw_histogram(describe_scores(real, fake), 1.0, 0.0)
    assert drawn.real_below == pytest.approx(100 * (real < 1).mean(), abs=1)
    assert drawn.fake_below == pytest.approx(100 * (fake < 1).mean(), abs=1)


def test_a_histogram_of_one_class_alone_is_drawn():
    drawn = draw_histogram({"edges": [0.0, 1.0, 2.0], "real": [0, 0], "fake": [2, 0]}, 0.5, 0.5)
    assert drawn.real_below == 0 and set(points(drawn.real)[:, 1]) == {100}


def test_the_track_has_the_times_of_the_timeline():
    timeline = Timeline(0.5, 2.0, np.array([3.0, 3.0, -3.0, -3.0]), np.array([True, True, True, True]))
    track = draw_track(timeline, 0.0, make_sound())
    assert track.spans == [(0.0, 50.0, "real"), (50.0, 50.0, "fake")]
    curve = points(track.scores)
    assert curve[:, 0].tolist() == [0, 25, 25, 50, 50, 75, 75, 100]
    assert curve[0, 1] < track.threshold < curve[-1, 1] and track.lowest < -3 and track.highest > 3
    assert track.sound_width == pytest.approx(100) and [time for _, time in track.ticks] == [0.0, 0.5, 1.0, 1.5]
    wave = points(track.waveform)
    assert len(wave) == 20 and wave.min() >= 0 and wave.max() <= 100


def test_a_long_timeline_has_a_bounded_number_of_points(rng):
    scores = rng.normal(0, 1, 180_001)
    timeline = Timeline(0.02, 3600.0, scores, np.ones(len(scores), bool))
    curve = points(draw_track(timeline, 0.0, make_sound(1500, 3600.0)).scores)
    assert len(curve) <= 2 * POINTS and curve[0, 0] == 0 and curve[-1, 0] == 100


def test_the_spectrogram_is_a_picture_with_low_frequencies_at_the_bottom():
    timeline = Timeline(1.0, 2.0, np.array([0.0, 0.0]), np.ones(2, bool))
    head, _, data = draw_track(timeline, 0.0, make_sound()).spectrogram.partition(",")
    image = matplotlib.image.imread(io.BytesIO(base64.b64decode(data)), format="png")
    assert head == "data:image/png;base64" and image.shape[:2] == (BANDS, 10)
    assert image[-1, :, :3].sum() > 10 * image[0, :, :3].sum()
