"""Perturbations do what their strength says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.augment.perturbations import PERTURBATIONS, add_noise, find_speech, reverberate

RATE = 16000


@pytest.fixture
def speech():
    """Two seconds: a tone of 300 Hz with a pause in the middle, silence before and after, and faint hiss."""
    times = torch.arange(2 * RATE) / RATE
    loud = ((times > 0.3) & (times < 0.9)) | ((times > 1.2) & (times < 1.7))
    hiss = torch.from_numpy(np.random.default_rng(1).standard_normal(2 * RATE)).float()
    return 0.3 * torch.sin(2 * np.pi * 300 * times) * loud + 1e-4 * hiss


def rng():
    return np.random.default_rng(1)


def spectrum(waveform):
    return torch.fft.rfft(waveform).abs().square()


@pytest.mark.parametrize("kind", ["white noise", "pink noise"])
@pytest.mark.parametrize("decibels", [20, 0])
def test_noise_has_the_requested_ratio(speech, kind, decibels):
    noise = PERTURBATIONS[kind].apply(speech, decibels, rng()) - speech
    signal = speech[find_speech(speech)]
    measured = 10 * torch.log10(signal.square().mean() / noise.square().mean())
    assert measured == pytest.approx(decibels, abs=0.1)


def test_white_is_white_and_pink_is_pink(speech):
    for slope, ratio in ((0, 1.0), (1, 0.1)):
        power = spectrum(add_noise(speech, -60, rng(), slope))
        bands = [power[start : start + 400].mean() for start in (1000, 10000)]  # 500 Hz and 5 kHz
        assert bands[1] / bands[0] == pytest.approx(ratio, rel=0.25)


@pytest.mark.parametrize("seconds", [0.2, 0.8])
def test_an_echo_dies_away_in_its_time(seconds):
    click = torch.zeros(2 * RATE)
    click[0] = 1
    echo = reverberate(click, seconds, rng())
    energy = torch.flip(torch.cumsum(torch.flip(echo[1:].square(), [0]), 0), [0])
    decay = 10 * torch.log10(energy / energy[0])
    # Schroeder's curve: from -5 to -25 dB in a third of the time of 60 dB
    first, last = ((decay < level).nonzero()[0].item() for level in (-5, -25))
    assert 3 * (last - first) / RATE == pytest.approx(seconds, rel=0.15)
    assert len(echo) == len(click) and energy[0] == pytest.approx(1, abs=0.01)


def test_bandwidth_level_clipping_and_speed(speech):
    noise = torch.from_numpy(rng().standard_normal(2 * RATE)).float()
    narrow = spectrum(PERTURBATIONS["bandwidth"].apply(noise, 8000, rng()))
    assert narrow[9000:].mean() < 1e-3 * narrow[:7000].mean()
    louder = PERTURBATIONS["level"].apply(speech, -20, rng())
    torch.testing.assert_close(louder, 0.1 * speech)
    clipped = PERTURBATIONS["clipping"].apply(noise, 10, rng())
    assert (clipped.abs() == clipped.abs().max()).float().mean() == pytest.approx(0.1, abs=0.002)
    faster = PERTURBATIONS["speed"].apply(speech, 1.25, rng())
    assert len(faster) == pytest.approx(len(speech) / 1.25, abs=2)
    peak = spectrum(faster).argmax().item() * RATE / len(faster)
    assert peak == pytest.approx(375, abs=3)


def test_silence_is_removed_or_isolated(speech):
    trimmed = PERTURBATIONS["trimmed"].apply(speech, 1, rng())
    assert len(trimmed) == pytest.approx(1.4 * RATE, abs=700)
    alone = PERTURBATIONS["no speech"].apply(speech, 1, rng())
    assert alone.abs().max() < 0.005 and len(alone) == pytest.approx(0.9 * RATE, abs=900)
    whole = torch.sin(torch.arange(RATE) / 10.0)
    assert len(PERTURBATIONS["no speech"].apply(whole, 1, rng())) >= RATE // 2


@given(size=st.integers(1, 3000), name=st.sampled_from(sorted(PERTURBATIONS)))
def test_any_length_will_do(size, name):
    waveform = 0.1 * torch.from_numpy(np.random.default_rng(size).standard_normal(size)).float()
    before = waveform.clone()
    for strength in PERTURBATIONS[name].strengths:
        first, again = (PERTURBATIONS[name].apply(waveform, strength, np.random.default_rng(1)) for _ in range(2))
        assert len(first) and torch.isfinite(first).all() and first.dtype == torch.float32
        assert torch.equal(first, again)
    assert torch.equal(waveform, before)


def test_codecs_change_and_keep(speech):
    for name in ("mp3", "vorbis", "opus", "a-law", "g723", "gsm"):
        strength = PERTURBATIONS[name].strengths[-1]
        coded = PERTURBATIONS[name].apply(speech, strength, rng())
        assert len(coded) == len(speech) and not torch.equal(coded, speech)
        assert np.corrcoef(coded, speech)[0, 1] > 0.8, name
