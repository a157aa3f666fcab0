"""Trivial properties are what their definitions say, and a corpus that one of them gives away is found out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audit.shortcuts import (
    find_shortcuts,
    format_shortcuts,
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


def test_offset():
    assert measure_properties(tone(1) + 0.25, RATE)["DC"] == pytest.approx(0.25)


@pytest.mark.parametrize("silence", [0.0, 0.1, 0.5])
def test_leading_silence(silence: float):
    samples = np.concatenate([np.zeros(round(silence * RATE)), tone(1)])
    assert measure_properties(samples, RATE)["leading silence"] == pytest.approx(silence)


def test_noise_is_not_speech_unless_near_in_level(rng: np.random.Generator):
    noise = rng.normal(size=RATE // 2)
    for level, silence in ((1e-3, 0.5), (0.1, 0.0)):  # 51 and 11 dB below the tone
        found = measure_properties(np.concatenate([level * noise, tone(1)]), RATE)
        assert found["leading silence"] == pytest.approx(silence)


def test_noise_floor_is_the_level_of_the_pauses(rng: np.random.Generator):
    samples = np.concatenate([tone(1), np.zeros(RATE // 2)]) + 1e-3 * rng.normal(size=RATE * 3 // 2)
    assert measure_properties(samples, RATE)["noise floor"] == pytest.approx(-60, abs=1.5)
    assert measure_properties(np.concatenate([tone(1), np.zeros(RATE)]), RATE)["noise floor"] == pytest.approx(-120)


@pytest.mark.parametrize("edge", [1000, 3400, 7000])
def test_bandwidth_is_the_edge_of_band_limited_noise(edge: int, rng: np.random.Generator):
    spectrum = np.fft.rfft(rng.normal(size=4 * RATE))
    spectrum[4 * edge :] = 0
    assert measure_properties(np.fft.irfft(spectrum), RATE)["bandwidth"] == pytest.approx(
        edge, abs=200
    )  # the window leaks some bins


@given(st.floats(0.01, 1.0))
def test_gain_moves_levels_and_nothing_else(gain: float):
    samples = np.concatenate([np.zeros(800), tone(1, 0.5), tone(0.2, 0.05)])
    before, after = measure_properties(samples, RATE), measure_properties(gain * samples, RATE)
    for name in ("duration", "bandwidth", "leading silence"):
        assert after[name] == before[name]
    assert after["level"] - before["level"] == pytest.approx(20 * np.log10(gain), abs=1e-3)


@pytest.mark.parametrize("length", [1, 100, 161])
def test_clips_shorter_than_a_frame_have_properties(length: int):
    assert np.isfinite(list(measure_properties(np.full(length, 0.1), RATE).values())).all()


def test_silence_has_properties():
    assert np.isfinite(list(measure_properties(np.zeros(RATE), RATE).values())).all()


def test_channels_are_averaged():
    stereo = np.stack([tone(1), -tone(1) + 0.2], axis=1)
    assert measure_properties(stereo, RATE)["peak"] == pytest.approx(0.1)


def make_corpus(folder: Path, rng: np.random.Generator, gain_of_fake: float = 1.0) -> Path:
    """Noise of random level and length, in which the classes differ by ``gain_of_fake`` alone."""
    utterances = []
    for number in range(60):
        label = ("real", "fake")[number % 2]
        samples = rng.uniform(0.01, 0.03) * rng.normal(size=rng.integers(8000, 16000))
        soundfile.write(folder / f"{number}.flac", samples * (gain_of_fake if label == "fake" else 1), RATE)
        split = ("train", "test")[number // 30]
        utterances.append({"ID": f"{number}", "Label": label, "Path": f"{number}.flac", "Proportion": split})
    build_protocol(utterances, folder, folder / "protocol.csv", quiet=True)
    return folder / "protocol.csv"


def test_planted_shortcut_is_found(tmp_path: Path, rng: np.random.Generator, command):
    protocol = make_corpus(tmp_path, rng, gain_of_fake=4.0)
    areas = measure_shortcuts(read_protocol(protocol), tmp_path, quiet=True)
    assert list(areas) == ["all", "train", "test"]  # there is no valid
    assert areas.loc["level", "all"] < 0.05
    assert "level" in find_shortcuts(areas)
    assert "duration" not in find_shortcuts(areas)
    assert "shortcut" in format_shortcuts(areas)
    status, out, err = command("check", "shortcuts", protocol, "--data_folder", tmp_path, "--quiet")
    assert status == 1
    assert "level" in out and "level" in err and err.count("\n") == 1


def test_matched_corpus_passes(tmp_path: Path, rng: np.random.Generator, command):
    protocol = make_corpus(tmp_path, rng)
    status, out, err = command("check", "shortcuts", protocol, "--data_folder", tmp_path, "--quiet")
    assert status == 0 and err == "" and "no shortcut" in out


@pytest.mark.parametrize(("area", "found"), [(0.66, True), (0.64, False), (0.5, False), (0.36, False), (0.34, True)])
def test_the_limit_applies_in_both_directions(area: float, found: bool):
    assert bool(find_shortcuts(pd.DataFrame({"all": {"peak": area}}))) is found
