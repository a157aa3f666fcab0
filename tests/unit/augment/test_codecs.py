"""Codecs: in step, of the same level, of the band and the bit rate that is promised."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, coherence, lfilter, sosfilt
from torchaudio.functional import resample

from antideepfake.augment.codecs import CODECS, FORMATS, Codec, encode_decode
from antideepfake.augment.network_codecs import NETWORK_CODECS, NetworkCodec
from antideepfake.errors import InputError

NAMES = sorted(FORMATS)
LOSS = {
    "g723_1": 0.7,
    "opus_voip": 3.5,
}  # dB by which the level may change, with the high-pass filter of the lowest rate
PHASE = {"amr_nb", "opus_voip"}  # their high-pass filters shift the phase of the lowest frequencies


@pytest.fixture(scope="module")
def speech():
    """A second of voice: soft pulses with vibrato through two formants, syllables, a little noise up to 8 kHz."""
    rng = np.random.default_rng(1)
    time = np.arange(16000) / 16000
    pulses = np.diff(np.floor(120 * time + np.sin(9 * time)), prepend=0)
    for denominator in ([1, -0.9], [1, -0.9], [1, -1.9, 0.94], [1, -1.5, 0.85]):
        pulses = lfilter([1], denominator, pulses)
    voice = lfilter([1, -1], [1, -0.97], pulses)
    voice *= np.sin(10 * time) ** 2
    voice = voice / np.abs(voice).max() + 0.02 * rng.standard_normal(16000)
    return torch.from_numpy(0.5 * voice).float()


def lag(x, y):
    """Samples by which y comes after x."""
    spectrum = np.fft.rfft(y, 32768) * np.fft.rfft(x, 32768).conj()
    peak = np.fft.irfft(spectrum).argmax()
    return peak if peak < 16384 else peak - 32768


def likeness(x, y):
    """Correlation coefficient."""
    return torch.corrcoef(torch.stack([x, y]))[0, 1].item()


def without_lows(x):
    """Only what is above 400 Hz."""
    return torch.from_numpy(sosfilt(butter(4, 400, "highpass", fs=16000, output="sos"), x.numpy()))


def high_energy(y):
    """Share of the energy above 4.2 kHz, in dB."""
    power = np.abs(np.fft.rfft(y)) ** 2
    return 10 * np.log10(power[round(4200 / 8000 * len(power)) :].sum() / power.sum())


@pytest.mark.parametrize("name", sorted(CODECS))
def test_the_result_is_in_step_and_as_loud(name, speech):
    for seed in range(3):
        coded = Codec([name])(speech, np.random.default_rng(seed))
        assert coded.shape == speech.shape and coded.dtype == torch.float32
        assert not torch.equal(coded, speech)
        one, other = (without_lows(speech), without_lows(coded)) if name in PHASE else (speech, coded)
        assert abs(lag(one.numpy(), other.numpy())) <= 1
        assert 20 * torch.log10(coded.norm() / speech.norm()).item() == pytest.approx(0, abs=LOSS.get(name, 0.5))
        assert likeness(one, other) > (0.8 if name in PHASE else 0.95)


@pytest.mark.parametrize("name", NAMES)
def test_the_band_is_that_of_the_table(name, speech):
    coded = Codec([name])(speech, np.random.default_rng(1))
    if FORMATS[name].sample_rate == 8000:
        assert high_energy(coded.numpy()) < high_energy(speech.numpy()) - 20
    elif FORMATS[name].compression is None:
        assert high_energy(coded.numpy()) > high_energy(speech.numpy()) - 3


@pytest.mark.parametrize("name", [name for name in NAMES if FORMATS[name].compression])
def test_more_compression_loses_more(name, speech):
    least, most = FORMATS[name].compression

    def error(level):
        coded = encode_decode(speech.numpy(), name, level)[: len(speech)]
        return np.linalg.norm(coded - speech.numpy())

    assert error(most - 0.01) > 1.5 * error(least)


@pytest.mark.parametrize("name", [name for name in sorted(NETWORK_CODECS) if NETWORK_CODECS[name].bit_rates])
def test_a_lower_bit_rate_loses_more(name, speech):
    codec = NETWORK_CODECS[name]
    signal = resample(speech, 16000, codec.sample_rate).numpy()

    def kept(bit_rate):
        """Coherence below 3 kHz, which a filter does not change."""
        coded = encode_decode(signal, name, bit_rate)
        frequencies, coherent = coherence(signal, coded, codec.sample_rate, nperseg=256)
        return coherent[(frequencies > 200) & (frequencies < 3000)].mean()

    assert kept(codec.bit_rates[0]) < kept(codec.bit_rates[-1]) - 0.02


@pytest.mark.parametrize("name", [name for name in NAMES if FORMATS[name].compression])
def test_every_clip_has_its_own_compression(name, speech):
    codec, rng = Codec([name]), np.random.default_rng(1)
    results = [codec(speech, rng) for _ in range(6)]
    losses = [(result - speech).norm().item() for result in results]
    assert max(losses) > 1.2 * min(losses)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(CODECS)),
    st.sampled_from([1, 2, 401, 1000]),
    st.sampled_from([1e-30, 1e-4, 0.5, 30.0, 1e30]),
    st.integers(0, 2**32),
)
def test_the_result_is_finite_as_long_and_repeatable(name, length, amplitude, seed):
    waveform = amplitude * torch.randn(length, generator=torch.Generator().manual_seed(seed)).clamp(-3, 3)
    before = waveform.clone()
    codec = Codec([name])
    first, second = (codec(waveform, np.random.default_rng(seed)) for _ in range(2))
    assert torch.equal(waveform, before)
    assert first.shape == waveform.shape and first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_loud_speech_is_not_clipped(name, speech):
    full = speech / speech.abs().max()
    for loudness in (1.0, 30.0):
        coded = Codec([name])(loudness * full, np.random.default_rng(1)) / loudness
        assert likeness(full, coded) > 0.95
        assert 20 * torch.log10(coded.norm() / full.norm()).item() == pytest.approx(0, abs=0.5)


def test_every_format_gets_its_turn(speech):
    codec, rng = Codec(["mu_law", "narrow_band", "ima_adpcm"]), np.random.default_rng(1)
    results = {tuple(codec(speech[:1000], rng).tolist()) for _ in range(20)}
    assert len(results) == 3


def test_a_copy_does_the_same(speech):
    codec = Codec(["gsm", "mp3"])
    expected = codec(speech, np.random.default_rng(1))
    assert torch.equal(copy.deepcopy(codec)(speech, np.random.default_rng(1)), expected)


def test_a_codec_that_is_not_installed_is_refused(monkeypatch):
    assert not NetworkCodec("no_such_codec", "g722", 16000).is_available()
    monkeypatch.setitem(CODECS, "g722", NetworkCodec("g722", "no_such_codec", 16000))
    with pytest.raises(InputError, match="formats: g722; this installation supports mp3"):
        Codec(["g722"])


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"formats: speex; this installation supports mp3, .*gsm"):
        Codec(["mp3", "speex"])
    with pytest.raises(InputError, match="no codec format is given"):
        Codec([])
