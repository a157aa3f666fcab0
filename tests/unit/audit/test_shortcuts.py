"""Trivial properties are what their definitions say, and a corpus that one of them gives away is found out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from antideepfake.audit import shortcuts
from antideepfake.audit.shortcuts import (
    find_shortcuts,
    format_shortcuts,
    measure_bandwidth,
    measure_properties,
    measure_shortcuts,
)
from antideepfake.corpora.build import build_protocol
from antideepfake.protocol.table import read_protocol

RATE = 16000


def tone(seconds: float, amplitude: float = 0.5, frequency: float = 1000) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def test_duration_level_and_peak_of_a_sine():
    found = measure_properties(tone(1.5, 0.5), RATE)
    assert found["duration"] == 1.5
    assert found["level"] == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.01)  # power of a sine: half its square
    assert found["peak"] == pytest.approx(0.5)
    assert found["DC"] == pytest.approx(0, abs=1e-12)


@given(st.integers(2, 700), st.integers(0, 3000))
def test_the_average_spectrum_is_welchs(size: int, more: int):
    samples = np.random.default_rng(size).normal(size=size + more)
    _, expected = signal.welch(samples, RATE, nperseg=size)
    found = shortcuts._average_spectrum(samples, size) / (RATE * np.sum(np.hanning(size + 1)[:-1] ** 2))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


def test_long_recordings_are_read_in_parts(monkeypatch: pytest.MonkeyPatch):
    samples = np.random.default_rng(1).normal(size=RATE)
    expected = measure_bandwidth(samples, RATE)
    monkeypatch.setattr(shortcuts, "WINDOWS", 7)
    assert measure_bandwidth(samples, RATE) == expected


def test_offset():
    assert measure_properties(tone(1) + 0.25, RATE)["DC"] == pytest.approx(0.25)


@pytest.mark.parametrize(("leading", "trailing"), [(0.0, 0.0), (0.1, 0.0), (0.5, 0.2), (0.0, 0.3)])
def test_leading_and_trailing_silence(leading: float, trailing: float):
    samples = np.concatenate([np.zeros(round(leading * RATE)), tone(1), np.zeros(round(trailing * RATE))])
    found = measure_properties(samples, RATE)
    assert found["leading silence"] == pytest.approx(leading)
    assert found["trailing silence"] == pytest.approx(trailing)


def test_noise_is_not_speech_unless_near_in_level(rng: np.random.Generator):
    noise = rng.normal(size=RATE // 2)
    for level, silence in ((1e-3, 0.5), (0.1, 0.0)):  # 51 and 11 dB below the tone
        found = measure_properties(np.concatenate([level * noise, tone(1)]), RATE)
        assert found["leading silence"] == pytest.approx(silence)


def test_noise_floor_is_the_level_of_the_pauses(rng: np.random.Generator):
    samples = np.concatenate([tone(1), np.zeros(RATE // 2)]) + 1e-3 * rng.normal(size=RATE * 3 // 2)
    assert measure_properties(samples, RATE)["noise floor"] == pytest.approx(-60, abs=1.5)
    assert measure_properties(np.concatenate([tone(1), np.zeros(RATE)]), RATE)["noise floor"] == pytest.approx(-120)


def limit_band(samples: np.ndarray, edge: float) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / RATE) > edge] = 0
    return np.fft.irfft(spectrum, len(samples))


def fall_off(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Attenuate like the mean spectrum of speech: evenly in dB per octave above 500 Hz."""
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 500) / 500
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (-decibels / 20 * np.log2(frequencies)), len(samples))


@pytest.mark.parametrize("edge", [1000, 3400, 7000])
def test_bandwidth_is_the_edge_of_band_limited_noise(edge: int, rng: np.random.Generator):
    samples = limit_band(rng.normal(size=4 * RATE), edge)
    assert measure_bandwidth(samples, RATE) == pytest.approx(edge, abs=200)  # the window leaks some bins


@pytest.mark.parametrize("edge", [3400, 5500])
@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_noise_over_the_whole_band_does_not_hide_the_edge(edge: int, noise: float, rng: np.random.Generator):
    """Guards against a bandwidth of half the sample rate for every recording with a little noise."""
    samples = limit_band(rng.normal(size=4 * RATE), edge) + noise * rng.normal(size=4 * RATE)
    assert measure_bandwidth(samples, RATE) == pytest.approx(edge, abs=300)


def test_a_spectrum_like_that_of_speech_has_the_band_of_its_filter(rng: np.random.Generator):
    """Guards against a share of energy, which is nearly all below 4 kHz in any speech."""
    speech = fall_off(rng.normal(size=4 * RATE), decibels=9)
    assert measure_bandwidth(speech, RATE) > 5000
    assert measure_bandwidth(limit_band(speech, 3800), RATE) == pytest.approx(3800, abs=300)


def test_white_noise_and_digital_silence_have_the_whole_band(rng: np.random.Generator):
    assert measure_bandwidth(rng.normal(size=RATE), RATE) > 7800
    assert measure_bandwidth(np.zeros(RATE), RATE) > 7800


@given(st.floats(0.01, 1.0))
def test_gain_moves_levels_and_nothing_else(gain: float):
    samples = np.concatenate([np.zeros(800), tone(1, 0.5), tone(0.2, 0.05)])
    before, after = measure_properties(samples, RATE), measure_properties(gain * samples, RATE)
    for name in ("duration", "leading silence", "trailing silence"):
        assert after[name] == before[name]
    assert after["bandwidth"] == pytest.approx(before["bandwidth"], abs=32)  # a bin
    assert after["level"] - before["level"] == pytest.approx(20 * np.log10(gain), abs=1e-3)


@pytest.mark.parametrize("length", [1, 100, 161])
def test_clips_shorter_than_a_frame_have_properties(length: int):
    assert np.isfinite(list(measure_properties(np.full(length, 0.1), RATE).values())).all()


def test_silence_has_properties():
    assert np.isfinite(list(measure_properties(np.zeros(RATE), RATE).values())).all()


def test_channels_are_averaged():
    stereo = np.stack([tone(1), -tone(1) + 0.2], axis=1)
    assert measure_properties(stereo, RATE)["peak"] == pytest.approx(0.1)


def pass_through(samples: np.ndarray) -> np.ndarray:
    return samples


def make_louder(samples: np.ndarray) -> np.ndarray:
    return 4 * samples


def make_narrow(samples: np.ndarray) -> np.ndarray:
    narrow = limit_band(samples, 3400) * (samples != 0)  # the silence before and after stays silent
    return narrow * samples.std() / narrow.std()


def end_in_silence(samples: np.ndarray) -> np.ndarray:
    silent = np.concatenate([samples[:-3200], np.zeros(3200)])
    return silent * samples.std() / silent.std()


def make_corpus(folder: Path, rng: np.random.Generator, change_fake: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Noise of random level, length, band, background and silence; the classes differ by ``change_fake`` alone."""
    utterances = []
    for number in range(120):
        label = ("real", "fake")[number % 2]
        speech = limit_band(rng.normal(size=rng.integers(8000, 16000)), rng.uniform(6000, 7900))
        speech = rng.uniform(0.01, 0.03) * np.pad(speech, rng.integers(1600, 3200, size=2))
        speech = change_fake(speech) if label == "fake" else speech
        samples = speech + 10 ** rng.uniform(-4.5, -4) * rng.normal(size=len(speech))
        soundfile.write(folder / f"{number}.flac", samples, RATE)
        split = ("train", "test")[number // 60]
        utterances.append({"ID": f"{number}", "Label": label, "Path": f"{number}.flac", "Proportion": split})
    build_protocol(utterances, folder, folder / "protocol.csv", quiet=True)
    return folder / "protocol.csv"


@pytest.mark.parametrize(("planted", "name"), [(make_narrow, "bandwidth"), (end_in_silence, "trailing silence")])
def test_a_planted_shortcut_is_the_only_one_found(tmp_path: Path, rng: np.random.Generator, planted, name: str):
    areas = measure_shortcuts(read_protocol(make_corpus(tmp_path, rng, planted)), tmp_path, quiet=True)
    assert find_shortcuts(areas) == [name]


def test_planted_shortcut_is_found(tmp_path: Path, rng: np.random.Generator, command):
    protocol = make_corpus(tmp_path, rng, make_louder)
    areas = measure_shortcuts(read_protocol(protocol), tmp_path, quiet=True)
    assert list(areas) == ["all", "train", "test"]  # there is no valid
    assert areas.loc["level", "all"] < 0.05
    assert "level" in find_shortcuts(areas)
    assert "duration" not in find_shortcuts(areas)
    assert "shortcut" in format_shortcuts(areas)
    pd.testing.assert_frame_equal(
        measure_shortcuts(read_protocol(protocol), tmp_path, quiet=True, num_workers=2), areas
    )
    status, out, err = command("check", "shortcuts", protocol, "--data_folder", tmp_path, "--quiet")
    assert status == 1
    assert "level" in out and "level" in err and err.count("\n") == 1


def test_matched_corpus_passes(tmp_path: Path, rng: np.random.Generator, command):
    protocol = make_corpus(tmp_path, rng, pass_through)
    status, out, err = command("check", "shortcuts", protocol, "--data_folder", tmp_path, "--quiet")
    assert status == 0 and err == "" and "no shortcut" in out


@pytest.mark.parametrize(("area", "found"), [(0.66, True), (0.64, False), (0.5, False), (0.36, False), (0.34, True)])
def test_the_limit_applies_in_both_directions(area: float, found: bool):
    assert bool(find_shortcuts(pd.DataFrame({"all": {"peak": area}}))) is found
