"""What the page shows and plays of a recording."""

import io

import numpy as np
import pytest
import soundfile

from antideepfake.errors import InputError
from antideepfake.page.sound import BANDS, COLUMNS, FRAME, Tracer, trace_sound


def trace(signal, size):
    tracer = Tracer()
    for start in range(0, len(signal), size):
        tracer.push(signal[start : start + size])
    return tracer, *tracer.finish()


@pytest.mark.parametrize("size", [100, 5000, 333_333])
def test_pictures_do_not_depend_on_the_size_of_the_blocks(rng, size):
    signal = rng.uniform(-1, 1, 16000 * 90).astype(np.float32)
    tracer, envelope, spectrogram = trace(signal, size)
    whole, expected, colors = trace(signal, len(signal))
    assert tracer.column == whole.column
    np.testing.assert_array_equal(envelope, expected)
    np.testing.assert_allclose(spectrogram, colors, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.001, 0.02, 1, 31, 33, 300])
def test_the_number_of_columns_is_bounded_and_covers_the_recording(rng, seconds):
    signal = rng.uniform(-1, 1, round(16000 * seconds)).astype(np.float32)
    tracer, envelope, spectrogram = trace(signal, 65_536)
    assert len(envelope) == len(spectrogram) == -(-len(signal) // tracer.column) <= 2 * COLUMNS
    assert tracer.column == FRAME or len(envelope) >= COLUMNS / 2


def test_a_column_has_the_extremes_of_its_samples(rng):
    signal = rng.uniform(-1, 1, 16000 * 70).astype(np.float32)
    tracer, envelope, _ = trace(signal, 4000)
    assert tracer.column > FRAME
    columns = np.pad(signal, (0, -len(signal) % tracer.column)).reshape(-1, tracer.column)
    np.testing.assert_array_equal(envelope, np.stack([columns.min(1), columns.max(1)], 1))


def test_a_tone_is_loudest_in_its_band():
    tone = np.sin(2 * np.pi * 3000 * np.arange(32000) / 16000).astype(np.float32)
    _, _, spectrogram = trace(tone, 10_000)
    assert spectrogram.shape[1] == BANDS and abs(int(spectrogram[:-1].mean(0).argmax()) - 3000 // 125) <= 1
    assert spectrogram.min() >= 0 and spectrogram.max() == 1


def test_what_is_played_is_the_recording(tmp_path, write_audio, rng):
    left = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    path = write_audio(tmp_path / "a.wav", 0.4 * np.stack([left, left], 1), 44100)
    sound = trace_sound(path, 60)
    assert sound.duration == 1.0
    samples, rate = soundfile.read(io.BytesIO(sound.mp3))
    spectrum = np.abs(np.fft.rfft(samples[2000:14000]))
    assert rate == 16000 and samples.ndim == 1 and abs(np.argmax(spectrum) * 16000 / 12000 - 440) < 2
    assert samples.std() == pytest.approx(0.4 / np.sqrt(2), rel=0.05)


def test_decoding_stops_at_the_limit(tmp_path, write_audio, rng, monkeypatch):
    path = write_audio(tmp_path / "a.wav", 0.1 * rng.standard_normal(16000 * 400))
    pushed = []
    monkeypatch.setattr(Tracer, "push", lambda self, block: pushed.append(len(block)))
    with pytest.raises(InputError, match=r"a\.wav: longer than the 1 minutes"):
        trace_sound(path, 60)
    assert sum(pushed) <= 60 * 16000
