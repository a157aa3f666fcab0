"""RawBoost: the definition written out slowly, and the library's against it."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import firwin, freqz, lfilter
from scipy.stats import ks_2samp

from antideepfake.augment.rawboost import RawBoost, filter_sum, notch_responses
from antideepfake.errors import InputError

RATE = 16000
LIMITED = (1, 2, 5, 8)  # algorithms that end in a division by the peak


# The definition, step by step as the paper has it ---------------------------------------------------------------------
def design(centers, bandwidths, taps, gain):
    """Coefficients of one filter of several notches."""
    coefficients = np.ones(1)
    for center, bandwidth, count in zip(centers, bandwidths, taps, strict=True):
        edges = max(center - bandwidth / 2, 0.001), min(center + bandwidth / 2, RATE / 2 - 0.001)
        coefficients = np.convolve(firwin(count, edges, window="hamming", fs=RATE), coefficients)
    _, response = freqz(coefficients, 1, 512)
    return 10 ** (gain / 20) * coefficients / np.abs(response).max()


def delay_compensated(x, coefficients):
    taps = len(coefficients)
    start = (taps + 1) // 2
    return lfilter(coefficients, 1, np.pad(x, (0, taps)))[start : start + len(x)]


def between(rng, low, high):
    return low + (high - low) * rng.random()


def draw_notches(rng, bands=5):
    centers, bandwidths, taps = [], [], []
    for _ in range(bands):
        centers.append(between(rng, 20, 8000))
        bandwidths.append(between(rng, 100, 1000))
        count = int(between(rng, 10, 100))
        taps.append(count + 1 if count % 2 == 0 else count)
    return centers, bandwidths, taps


def limited(x):
    return x / max(np.abs(x).max(), 1)


def convolutive(x, rng):
    y = np.zeros(len(x))
    for power in range(1, 6):
        gain = 0 if power == 1 else between(rng, 0 - 5, 0 - 20)
        y += delay_compensated(x**power, design(*draw_notches(rng), gain))
    return limited(y - y.mean())


def impulsive(x, rng):
    y = x.copy()
    chosen = rng.permutation(len(x))[: int(len(x) * between(rng, 0, 10) / 100)]
    first, second = rng.uniform(-1, 1, (2, len(chosen)))
    y[chosen] += 2 * x[chosen] * first * second
    return limited(y)


def stationary(x, rng):
    noise = delay_compensated(rng.standard_normal(len(x)), design(*draw_notches(rng), 0))
    snr = between(rng, 10, 40)
    return x + noise / np.linalg.norm(noise) * np.linalg.norm(x) / 10 ** (snr / 20)


# Of the waveform, and of what algorithm 1 made of it
REFERENCE = {
    1: lambda x, convolved, rng: convolved,
    2: lambda x, convolved, rng: impulsive(x, rng),
    3: lambda x, convolved, rng: stationary(x, rng),
    4: lambda x, convolved, rng: stationary(impulsive(convolved, rng), rng),
    5: lambda x, convolved, rng: impulsive(convolved, rng),
    6: lambda x, convolved, rng: stationary(convolved, rng),
    7: lambda x, convolved, rng: stationary(impulsive(x, rng), rng),
    8: lambda x, convolved, rng: limited(convolved + impulsive(x, rng)),
}


# What is deterministic agrees exactly ---------------------------------------------------------------------------------
def impulse_response(response):
    """Of a filter without its delay, from its middle outwards to either side."""
    return np.fft.fftshift(np.fft.irfft(response))


@given(st.integers(0, 2**32), st.integers(1, 6), st.floats(-20, 10))
def test_filters_are_those_of_the_definition(seed, bands, gain):
    centers, bandwidths, taps = draw_notches(np.random.default_rng(seed), bands)
    expected = design(centers, bandwidths, taps, gain)
    block = 2048
    ours = impulse_response(
        notch_responses(np.array([centers]), np.array([bandwidths]), np.array([taps]), np.array([gain]), block)[0]
    )
    half = len(expected) // 2
    np.testing.assert_allclose(ours[block // 2 - half : block // 2 + half + 1], expected, atol=1e-7, rtol=1e-6)


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 50, 400, 1535, 1536, 1537, 5000]))
def test_filtering_is_that_of_the_definition(seed, length):
    rng = np.random.default_rng(seed)
    signals = rng.standard_normal((3, length))
    notches = [draw_notches(rng) for _ in signals]
    gains = [0.0, -5.0, -20.0]
    expected = sum(
        delay_compensated(signal, design(*notch, gain))
        for signal, notch, gain in zip(signals, notches, gains, strict=True)
    )
    responses = notch_responses(*(np.array(values) for values in zip(*notches, strict=True)), np.array(gains), 2048)
    ours = filter_sum(torch.from_numpy(signals).float(), torch.from_numpy(responses).float())
    np.testing.assert_allclose(ours, expected, atol=2e-5)


# What is drawn has the same distribution ------------------------------------------------------------------------------
DRAWS = 200
PULSE = 2000  # where the signal of these tests has a click within a pause, which shows the filters' own response


@pytest.fixture(scope="module")
def speech():
    """A third of a second of noise with formants, syllables, a pause with a click, and a peak of 0.9."""
    rng = np.random.default_rng(1)
    noise = lfilter([1], [1, -1.6, 0.9], rng.standard_normal(4800)) * np.repeat([0.2, 1.0, 0.0, 0.5, 0.8, 0.1], 800)
    noise *= 0.9 / np.abs(noise).max()
    noise[PULSE] = 0.9
    return noise


def statistics(x, y):
    """What the ear or a detector would notice of y, made from x, as numbers."""
    power = np.abs(np.fft.rfft(y)) ** 2
    bands = np.log(power[1:].reshape(8, -1).mean(1))
    pulse = y[PULSE - 256 : PULSE + 256]
    pulse = pulse - np.median(pulse)  # convolutive noise has its mean taken away
    response = np.abs(np.fft.rfft(pulse))
    return {
        "rms": y.std(),
        "peak": np.abs(y).max(),
        "centroid": (power * np.linspace(0, 1, len(power))).sum() / power.sum(),
        "kurtosis": (y**4).mean() / (y**2).mean() ** 2,
        "distance": np.linalg.norm(y - x),
        "projection": y @ x / (x @ x),
        "changed samples": (np.abs(y - x) > 1e-6).mean(),
        "highest band": bands[-1],
        "unevenness": bands.std(),
        "depth of the notches": np.log(response / response.max() + 0.001).mean(),
        "reach of the filters": np.flatnonzero(np.abs(pulse) > 0.01 * np.abs(pulse).max())[0],
    }


def sample(draw, x):
    rows = [statistics(x, np.asarray(draw(n), np.float64)) for n in range(DRAWS)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def library_sample(x, seed, algorithm, **options):
    rawboost, waveform, rng = RawBoost(algorithm, **options), torch.from_numpy(x).float(), np.random.default_rng(seed)
    return sample(lambda n: rawboost(waveform, rng), x)


@pytest.fixture(scope="module")
def reference_samples(speech):
    """Statistics of the definition's output, by algorithm."""
    rng = np.random.default_rng(1)
    convolved = [convolutive(speech, rng) for _ in range(DRAWS)]
    return {
        algorithm: sample(lambda n, draw=draw: draw(speech, convolved[n], rng), speech)
        for algorithm, draw in REFERENCE.items()
    }


def least_p_value(first, second):
    # What does not vary differs by rounding alone, which the test would take for a difference of distributions
    return min(ks_2samp(first[name].round(6), second[name].round(6), method="asymp").pvalue for name in first)


@pytest.mark.parametrize("algorithm", range(1, 9))
def test_the_distribution_is_that_of_the_definition(algorithm, speech, reference_samples):
    assert least_p_value(reference_samples[algorithm], library_sample(speech, 100 + algorithm, algorithm)) > 0.001


@pytest.mark.parametrize(
    ("algorithm", "wrong"),
    [
        (1, {"max_bias": 5.0}),
        (1, {"min_bias": 20.0}),
        (1, {"n_powers": 3}),
        (1, {"n_bands": 4}),
        (1, {"max_taps": 70}),
        (1, {"max_bandwidth": 600.0}),
        (1, {"max_frequency": 6000.0}),
        (2, {"max_impulses": 7.0}),
        (2, {"impulse_gain": 1.5}),
        (3, {"max_snr": 30.0}),
        (3, {"min_snr": -5.0}),
    ],
)
def test_the_comparison_of_distributions_has_power(algorithm, wrong, speech, reference_samples):
    assert least_p_value(reference_samples[algorithm], library_sample(speech, 7, algorithm, **wrong)) < 1e-6


def test_the_parallel_sum_differs_from_the_series(speech, reference_samples):
    assert least_p_value(reference_samples[8], library_sample(speech, 7, 5)) < 1e-6


# Properties -----------------------------------------------------------------------------------------------------------
@given(
    st.integers(1, 8),
    st.sampled_from([1, 2, 400, 1000, 7000]),
    st.sampled_from([1e-30, 1e-4, 0.5, 1.0, 30.0, 3e4, 1e30]),
    st.integers(0, 2**32),
)
def test_the_result_is_finite_as_long_and_repeatable(algorithm, length, amplitude, seed):
    waveform = amplitude * torch.randn(length, generator=torch.Generator().manual_seed(seed)).clamp(-3, 3)
    before = waveform.clone()
    rawboost = RawBoost(algorithm)
    first, second = (rawboost(waveform, np.random.default_rng(seed)) for _ in range(2))
    assert torch.equal(waveform, before)
    assert first.shape == waveform.shape and first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert torch.equal(first, second)
    if algorithm in LIMITED:
        assert first.abs().max() <= 1 + 1e-6


@pytest.mark.parametrize("algorithm", range(1, 9))
def test_every_algorithm_changes_the_waveform(algorithm, speech):
    waveform = torch.from_numpy(speech).float()
    rng = np.random.default_rng(1)
    rawboost = RawBoost(algorithm)
    first, second = rawboost(waveform, rng), rawboost(waveform, rng)
    assert not torch.equal(first, waveform) and not torch.equal(first, second)


@pytest.mark.parametrize("algorithm", range(1, 9))
def test_silence_stays_finite(algorithm):
    assert torch.isfinite(RawBoost(algorithm)(torch.zeros(1000), np.random.default_rng(1))).all()


@pytest.mark.parametrize("snr", [-5.0, 10.0, 40.0])
def test_the_stationary_noise_has_the_ratio_that_is_asked_for(snr, speech):
    waveform = torch.from_numpy(speech).float()
    noise = RawBoost(3, min_snr=snr, max_snr=snr)(waveform, np.random.default_rng(1)) - waveform
    assert 20 * torch.log10(waveform.norm() / noise.norm()).item() == pytest.approx(snr, abs=0.01)


def test_the_global_random_state_has_no_effect(speech):
    waveform = torch.from_numpy(speech).float()

    def run(seed):
        torch.manual_seed(seed)
        np.random.seed(seed)
        return RawBoost(4)(waveform, np.random.default_rng(1))

    assert torch.equal(run(1), run(2))


def test_a_copy_does_the_same(speech):
    waveform = torch.from_numpy(speech).float()
    rawboost = RawBoost(5)
    expected = rawboost(waveform, np.random.default_rng(1))
    assert torch.equal(copy.deepcopy(rawboost)(waveform, np.random.default_rng(1)), expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"algorithm": 0}, "no algorithm 0; use 1 to 8"),
        ({"algorithm": 9}, "no algorithm 9"),
        ({"min_snr": 20.0, "max_snr": 10.0}, "cannot sample snr between 20.0 and 10.0"),
        ({"max_frequency": 9000.0}, "frequency between 20.0 and 9000.0.*from 0 to 8000"),
        ({"min_taps": 1}, "taps between 1 and 100.*from 2"),
        ({"max_impulses": 101.0}, "impulses between 0 and 101.0"),
    ],
)
def test_a_setting_that_cannot_be_is_named(options, sentence):
    with pytest.raises(InputError, match=sentence):
        RawBoost(**options)
