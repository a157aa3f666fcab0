"""RawBoost: noise and distortion similar to those of telephone networks, generated without noise recordings."""

from collections.abc import Callable
from itertools import accumulate

import numpy as np
import scipy.fft
import torch

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError


class RawBoost:
    """Augment with RawBoost (Tak, Kamble, Patino, Todisco, Evans, ICASSP 2022, https://arxiv.org/abs/2111.04433).

    RawBoost has three kinds of noise and eight ways to combine them:

    - linear and non-linear convolutive noise: the sum of the powers 1 to ``n_powers`` of the waveform, each filtered by
      its own random notch filter. This models codecs, amplifiers and loudspeakers;
    - impulsive, signal-dependent noise: randomly chosen samples change in proportion to their value;
    - stationary, signal-independent noise: white noise filtered by a random notch filter.

    ============  =====================================================================
    algorithm     noise
    ============  =====================================================================
    1, 2, 3       convolutive; impulsive; stationary
    4             1, 2 and 3 in series
    5, 6, 7       in series: 1 and 2; 1 and 3; 2 and 3
    8             1 and 2 in parallel, summed
    ============  =====================================================================

    Each call samples every parameter that has a minimum and a maximum uniformly between the two. All defaults are those
    of the paper. An utterance of 4 s takes a few milliseconds.

    Arguments
    ---------
    algorithm : int
        Combination of noises, 1 to 8.
    n_bands : int
        Number of notches of a filter.
    min_frequency, max_frequency : float
        Center frequency of a notch in Hz, from 0 to 8000.
    min_bandwidth, max_bandwidth : float
        Bandwidth of a notch in Hz.
    min_taps, max_taps : int
        Length of the filter of one notch in samples, at least 2. One is added to an even length.
    min_gain, max_gain : float
        Maximum gain of a filter over frequency, in dB.
    min_bias, max_bias : float
        Attenuation in dB of the second and higher powers: their gain is between ``min_gain - min_bias`` and
        ``max_gain - max_bias``.
    n_powers : int
        Highest power of the waveform.
    max_impulses : float
        Maximum percentage of samples that the impulsive noise changes; the minimum is 0.
    impulse_gain : float
        Gain of the impulsive noise. It adds the product of this gain, the sample and two random numbers in [-1, 1].
    min_snr, max_snr : float
        Signal-to-noise ratio of the stationary noise in dB.

    Raises
    ------
    InputError
        When the algorithm does not exist or a range is invalid.

    Example
    -------
    >>> rawboost = RawBoost(algorithm=5)
    >>> waveform = torch.randn(16000)
    >>> augmented = rawboost(waveform, np.random.default_rng(1))
    >>> augmented.shape, bool(augmented.abs().max() <= 1)
    (torch.Size([16000]), True)
    """

    def __init__(
        self,
        algorithm: int = 5,
        n_bands: int = 5,
        min_frequency: float = 20.0,
        max_frequency: float = 8000.0,
        min_bandwidth: float = 100.0,
        max_bandwidth: float = 1000.0,
        min_taps: int = 10,
        max_taps: int = 100,
        min_gain: float = 0.0,
        max_gain: float = 0.0,
        min_bias: float = 5.0,
        max_bias: float = 20.0,
        n_powers: int = 5,
        max_impulses: float = 10.0,
        impulse_gain: float = 2.0,
        min_snr: float = 10.0,
        max_snr: float = 40.0,
    ) -> None:
        convolutive, impulsive, stationary = self.convolutive, self.impulsive, self.stationary
        steps: dict[int, list[Callable[[torch.Tensor, np.random.Generator], torch.Tensor]]] = {
            1: [convolutive],
            2: [impulsive],
            3: [stationary],
            4: [convolutive, impulsive, stationary],
            5: [convolutive, impulsive],
            6: [convolutive, stationary],
            7: [impulsive, stationary],
            8: [self.parallel],
        }
        if algorithm not in steps:
            raise InputError(f"RawBoost has no algorithm {algorithm}; use 1 to 8, or remove RawBoost")
        for name, lowest, low, high, highest in (
            ("frequency", 0, min_frequency, max_frequency, SAMPLE_RATE / 2),
            ("bandwidth", 0, min_bandwidth, max_bandwidth, SAMPLE_RATE / 2),
            ("taps", 2, min_taps, max_taps, SAMPLE_RATE),
            ("gain", -np.inf, min_gain, max_gain, np.inf),
            ("bias", -np.inf, min_bias, max_bias, np.inf),
            ("impulses", 0, 0, max_impulses, 100),
            ("snr", -np.inf, min_snr, max_snr, np.inf),
        ):
            if not lowest <= low <= high <= highest:
                raise InputError(
                    f"RawBoost cannot sample {name} between {low} and {high}; "
                    f"the minimum must not exceed the maximum, and both must be from {lowest} to {highest}"
                )
        self.steps = steps[algorithm]
        self.n_bands = n_bands
        self.frequency = min_frequency, max_frequency
        self.bandwidth = min_bandwidth, max_bandwidth
        self.taps = min_taps, max_taps
        self.gain = min_gain, max_gain
        self.bias = min_bias, max_bias
        self.n_powers = n_powers
        self.impulses = 0.0, max_impulses / 100
        self.impulse_gain = impulse_gain
        self.snr = min_snr, max_snr
        # Block length of the filter: a power of two, so long that a filter spans at most an eighth of it on each side
        reach = n_bands * (max_taps // 2) + 1
        self.block = max(1024, 1 << (8 * reach - 1).bit_length())

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``.

        The result has the same length.
        """
        augmented = waveform.double()
        for step in self.steps:
            augmented = step(augmented, generator)
        return augmented.float()

    def convolutive(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Add linear and non-linear convolutive noise; no sample of the result exceeds 1."""
        is_biased = np.arange(self.n_powers) > 0  # all but the waveform itself
        low, high = (gain - bias * is_biased for gain, bias in zip(self.gain, self.bias, strict=True))
        gains = _uniform(generator, low, high, self.n_powers)
        # Compute powers of the waveform at full scale in float32, and include the level in the gains of the filters.
        # Powers of a loud waveform would overflow float32, and float64 would take twice the time.
        level = float(waveform.abs().max()) or 1.0
        gains += 20 * np.log10(level) * np.arange(1, self.n_powers + 1)
        powers = torch.stack(list(accumulate([(waveform / level).float()] * self.n_powers, torch.mul)))
        filtered = filter_sum(powers, self.sample_filters(generator, gains - gains.max())).double()
        return _limit((filtered - filtered.mean()) * 10 ** (gains.max() / 20))

    def impulsive(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Add impulsive, signal-dependent noise; no sample of the result exceeds 1."""
        count = int(len(waveform) * _uniform(generator, *self.impulses))
        chosen = torch.from_numpy(generator.choice(len(waveform), count, replace=False, shuffle=False))
        factors = torch.from_numpy(generator.uniform(-1, 1, (2, count)).prod(0))
        noisy = waveform.clone()
        noisy[chosen] *= 1 + self.impulse_gain * factors
        return _limit(noisy)

    def stationary(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Add stationary, signal-independent noise; the result may exceed 1."""
        noise = torch.from_numpy(generator.standard_normal((1, len(waveform)), np.float32))
        noise = filter_sum(noise, self.sample_filters(generator, _uniform(generator, *self.gain, 1)))
        snr = _uniform(generator, *self.snr)
        return waveform + noise * (waveform.norm() / noise.norm() / 10 ** (snr / 20))

    def parallel(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Sum the results of convolutive and impulsive noise; no sample of the sum exceeds 1."""
        return _limit(self.convolutive(waveform, generator) + self.impulsive(waveform, generator))

    def sample_filters(self, generator: np.random.Generator, gains: np.ndarray) -> torch.Tensor:
        """Sample one filter for each of the ``gains`` (in dB); return their responses, see :func:`notch_responses`."""
        size = len(gains), self.n_bands
        centers = _uniform(generator, *self.frequency, size)
        bandwidths = _uniform(generator, *self.bandwidth, size)
        taps = _uniform(generator, *self.taps, size).astype(int) // 2 * 2 + 1
        return torch.from_numpy(notch_responses(centers, bandwidths, taps, gains, self.block)).float()


def notch_responses(
    centers: np.ndarray, bandwidths: np.ndarray, taps: np.ndarray, gains: np.ndarray, block: int
) -> np.ndarray:
    """Design filters of several notches.

    A notch is an ideal band-stop filter, truncated by a Hamming window and scaled to a gain of 1 at 0 Hz. Each notch is
    symmetric, so its frequency response without the delay is real. The response of a filter is the product of the
    responses of its notches.

    Arguments
    ---------
    centers, bandwidths : numpy.ndarray
        Center frequencies and bandwidths of the notches in Hz, shape [filters, notches].
    taps : numpy.ndarray
        Length of each notch filter in samples, odd, shape [filters, notches].
    gains : numpy.ndarray
        Maximum gain of each filter over 512 frequencies, in dB, shape [filters].
    block : int
        Length of the Fourier transform in samples: a power of two, at least 1024.

    Returns
    -------
    numpy.ndarray
        Frequency responses from 0 to 8000 Hz, shape [filters, block // 2 + 1].

    Example
    -------
    >>> response = notch_responses(np.array([[2000.0]]), np.array([[500.0]]), np.array([[99]]), np.zeros(1), 1024)
    >>> response[0, [0, 128, 256]].round(1)  # 0, 2000 and 4000 Hz
    array([1., 0., 1.])
    """
    nyquist = SAMPLE_RATE / 2
    reach = (taps // 2)[..., None]
    offset = np.arange(reach.max() + 1)  # from the middle; the other half is its mirror image
    low, high = (
        ((centers + side * bandwidths / 2).clip(0.001, nyquist - 0.001) / nyquist)[..., None] for side in (-1, 1)
    )
    ideal = (offset == 0) + low * np.sinc(low * offset) - high * np.sinc(high * offset)
    window = np.where(offset <= reach, 0.54 + 0.46 * np.cos(np.pi * offset / reach), 0)
    notches = scipy.fft.hfft(ideal * window, block)[..., : block // 2 + 1]
    filters = (notches / notches[..., :1]).prod(-2)
    peaks = np.abs(filters[:, : block // 2 : block // 1024]).max(1)
    return filters * (10 ** (gains / 20) / peaks)[:, None]


def filter_sum(signals: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
    """Filter each signal and sum the results, block by block in the frequency domain.

    The delay of the filters and one more sample is removed, as in the reference implementation of RawBoost. The result
    is therefore one sample early, which affects the sum of algorithm 8.

    Arguments
    ---------
    signals : torch.Tensor
        Shape [signals, time].
    responses : torch.Tensor
        Real frequency response of the filter of each signal, shape [signals, block // 2 + 1]. A filter spans less than
        an eighth of a block on each side.

    Returns
    -------
    torch.Tensor
        Shape [time].

    Example
    -------
    >>> filter_sum(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 10.0]]), torch.ones(2, 513))[:2]
    tensor([ 2., 13.])
    """
    block = 2 * (responses.shape[1] - 1)
    reach, hop = block // 8, block // 8 * 6
    blocks = torch.nn.functional.pad(signals, (reach, block)).unfold(1, block, hop)
    spectrum = (torch.fft.rfft(blocks) * responses[:, None]).sum(0)
    start = reach + 1
    return torch.fft.irfft(spectrum, block)[:, start : start + hop].reshape(-1)[: signals.shape[1]]


def _uniform(
    generator: np.random.Generator, low: float | np.ndarray, high: float | np.ndarray, size: int | tuple | None = None
) -> np.ndarray:
    """Sample uniformly between ``low`` and ``high``. Unlike in ``Generator.uniform``, ``low`` may exceed ``high``."""
    return low + (high - low) * np.asarray(generator.random(size))


def _limit(waveform: torch.Tensor) -> torch.Tensor:
    """Scale a waveform down to a peak of 1 if it exceeds 1."""
    return waveform / waveform.abs().max().clamp(min=1)
