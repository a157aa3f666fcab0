"""Telephone: any number of stages, in step, finite, never silent, and the same for the same random numbers."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from antideepfake.augment import BandLimit, Codec, Compose, Level, PacketLoss, Telephone, VoiceProcessing
from antideepfake.errors import InputError

RATE = 16000
FRAME = 320  # samples of a packet


@pytest.fixture(scope="module")
def speech():
    """Two seconds of noise in syllables with pauses, which falls off by 6 dB an octave."""
    rng = np.random.default_rng(1)
    spectrum = np.fft.rfft(rng.standard_normal(2 * RATE))
    spectrum /= np.maximum(np.arange(len(spectrum)), 600)
    spectrum[:400] = 0  # below 200 Hz
    syllables = np.sin(np.pi * 3 * np.arange(2 * RATE) / RATE).clip(0)
    noise = np.fft.irfft(spectrum) * syllables
    return torch.from_numpy(0.3 * noise / np.abs(noise).max()).float()


def rng(seed=1):
    return np.random.default_rng(seed)


def lag(x, y):
    """Samples by which y comes after x."""
    product = torch.fft.rfft(y, 2**16) * torch.fft.rfft(x, 2**16).conj()
    peak = torch.fft.irfft(product).argmax().item()
    return peak if peak < 2**15 else peak - 2**16


def make_all():
    names = ["amr_nb", "gsm", "mu_law", "g722", "aac"]
    stages = [BandLimit(), Codec(names), PacketLoss(max_fraction=0.5), Level()]
    pytest.importorskip("webrtc_noise_gain")
    return Telephone([*stages, VoiceProcessing()], max_depth=6)


def test_depth_is_sampled_from_0_to_the_maximum(speech):
    seen = []

    def count(waveform, generator):
        seen.append(waveform)
        return waveform

    telephone, generator, depths = Telephone([count], max_depth=3), rng(), Counter()
    for _ in range(400):
        seen.clear()
        telephone(speech, generator)
        depths[len(seen)] += 1
    assert set(depths) == {0, 1, 2, 3} and min(depths.values()) > 70  # 100 each on average


def test_every_stage_is_used_as_often_as_it_is_listed():
    counts = Counter()
    stages = [lambda waveform, generator, name=name: counts.update([name]) or waveform for name in "aab"]
    telephone, generator = Telephone(stages, max_depth=2), rng()
    for _ in range(600):
        telephone(torch.ones(10), generator)
    assert 1.6 < counts["a"] / counts["b"] < 2.5


def test_a_stage_that_leaves_silence_is_undone(speech):
    telephone = Telephone([lambda waveform, generator: torch.zeros_like(waveform)])
    for seed in range(5):
        assert torch.equal(telephone(speech, rng(seed)), speech)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1, 2, 319, 641, 4000]),
    st.sampled_from([1e-30, 1e-4, 0.5, 30.0, 1e30]),
    st.integers(0, 2**32),
)
def test_the_result_is_finite_as_long_repeatable_and_not_silent(length, amplitude, seed):
    waveform = amplitude * torch.randn(length, generator=torch.Generator().manual_seed(seed)).clamp(-3, 3)
    before = waveform.clone()
    telephone = make_all()
    first, second = (telephone(waveform, rng(seed)) for _ in range(2))
    assert torch.equal(waveform, before)
    assert first.shape == waveform.shape and first.dtype == torch.float32
    assert torch.isfinite(first).all() and first.any()
    assert torch.equal(first, second)


@pytest.mark.parametrize("stage", [BandLimit, PacketLoss, Level, VoiceProcessing])
def test_every_stage_is_in_step(speech, stage):
    if stage is VoiceProcessing:
        pytest.importorskip("webrtc_noise_gain")
    assert {lag(speech, stage()(speech, rng(seed))) for seed in range(10)} == {0}


def test_several_stages_are_in_step(speech):
    telephone = Telephone([BandLimit(), Codec(["gsm", "g722", "aac"]), PacketLoss()], max_depth=6)
    assert {lag(speech, telephone(speech, rng(seed))) for seed in range(20)} == {0}


def test_the_band_ends_between_the_given_limits():
    noise = torch.from_numpy(rng().standard_normal(4 * RATE)).float()
    edges = []
    for seed in range(30):
        power = torch.fft.rfft(BandLimit(8000, 12000)(noise, rng(seed))).abs().square()
        edges.append((power > 0.5 * power[1000:10000].mean()).nonzero().max().item() / 4)
    assert 3500 < min(edges) < 4100 and 5200 < max(edges) < 6100


def test_the_level_is_between_the_given_limits(speech):
    gains = [20 * torch.log10(Level(-20, 6)(speech, rng(seed)).norm() / speech.norm()).item() for seed in range(40)]
    assert -20 <= min(gains) < -15 and 1 < max(gains) <= 6.001


def find_lost(result, waveform):
    """Mark the samples that differ."""
    return (result - waveform).abs() > 1e-7


def test_packets_are_lost_in_the_fraction_and_the_gaps_that_are_given():
    waveform = torch.from_numpy(rng().standard_normal(100 * RATE)).float()
    loss = PacketLoss(max_fraction=0.3, max_gap=5.0)
    fractions, gaps = [], []
    for seed in range(30):
        lost = find_lost(loss(waveform, rng(seed)), waveform)
        fractions.append(lost.float().mean().item())
        begins = (lost[1:] & ~lost[:-1]).sum().item()
        gaps.append(lost.sum().item() / FRAME / max(begins, 1))
    assert max(fractions) < 0.36 and 0.1 < np.mean(fractions) < 0.2  # 0 to 0.3, evenly
    assert 1 <= min(gaps) < 1.8 and 3 < max(gaps) < 6.5


def test_gaps_are_silent_or_repeat_the_last_packet_ever_more_softly():
    waveform = torch.from_numpy(rng().standard_normal(10 * RATE)).float()
    kinds = set()
    for seed in range(20):
        result = PacketLoss(0.5)(waveform, rng(seed))
        lost = find_lost(result, waveform)
        begin = RATE + int((lost[RATE:] & ~lost[RATE - 1 : -1]).nonzero()[0])
        last = waveform[begin - FRAME : begin]
        packets = [result[start : start + FRAME] for start in (begin, begin + FRAME) if lost[start]]
        silent = [not packet.any() for packet in packets]
        softer = [torch.allclose(packet, gain * last) for packet, gain in zip(packets, (0.5, 0.25), strict=False)]
        assert all(silent) or all(softer)
        kinds.add((len(packets), all(silent)))
    assert kinds == {(1, False), (2, False), (1, True), (2, True)}


def test_noise_suppression_lowers_noise_more_than_speech(speech):
    pytest.importorskip("webrtc_noise_gain")
    noise = 0.003 * torch.from_numpy(rng().standard_normal(4 * RATE)).float()
    noisy = noise + torch.cat([torch.zeros(2 * RATE), speech])
    for seed in range(6):
        result = VoiceProcessing()(noisy, rng(seed))
        loss = [10 * torch.log10(noisy[part].square().mean() / result[part].square().mean()).item() for part in PARTS]
        assert loss[0] > loss[1] + 3


PARTS = (slice(RATE, 2 * RATE), slice(2 * RATE, 4 * RATE))  # noise alone, after it was learned; speech


def test_gain_control_raises_soft_speech_of_some_utterances(speech):
    pytest.importorskip("webrtc_noise_gain")
    soft = 0.1 * speech
    gains = [(VoiceProcessing()(soft, rng(seed)).norm() / soft.norm()).item() for seed in range(12)]
    assert max(gains) > 1.5 and min(gains) < 1.1


def test_it_can_be_composed(speech):
    augment = Compose([Telephone([BandLimit()]), Level()], probabilities=[1.0, 0.5])
    assert augment(speech, rng()).shape == speech.shape


@pytest.mark.parametrize(
    "make",
    [
        lambda: Telephone([]),
        lambda: Telephone([BandLimit()], max_depth=0),
        lambda: BandLimit(8000, 4000),
        lambda: BandLimit(8001, 9000),
        lambda: BandLimit(8000, 44100),
        lambda: Level(0, -10),
        lambda: PacketLoss(max_fraction=0.8),
        lambda: PacketLoss(max_gap=0.5),
    ],
)
def test_impossible_values_are_refused(make):
    with pytest.raises(InputError, match=r"; set|; swap"):
        make()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "webrtc_noise_gain", None)
    with pytest.raises(InputError, match="webrtc-noise-gain; install it"):
        VoiceProcessing()
