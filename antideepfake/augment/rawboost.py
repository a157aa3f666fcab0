"""RawBoost: noise and distortion of the kind that telephone networks add, computed from the waveform alone."""

from collections.abc import Callable
from itertools import accumulate

import numpy as np
import scipy.fft
import torch

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError


class RawBoost:
    """Augmentation by RawBoost (Tak, Kamble, Patino, Todisco, Evans, ICASSP 2022, https://arxiv.org/abs/2111.04433).

    It has three parts, and eight ways to combine them:

    - linear and non-linear convolutive noise: the sum of the powers 1 to ``n_powers`` of the waveform, each through its
      own filter of random notches, as codecs, amplifiers and loudspeakers do;
    - impulsive, signal-dependent noise: some samples, drawn at random, change in proportion to themselves;
    - stationary, signal-independent noise: white noise through a filter of random notches.

    ============  =====================================================================
    algorithm     parts
    ============  =====================================================================
    1, 2, 3       convolutive; impulsive; stationary
    4             1, 2 and 3 in series
    5, 6, 7       in series: 1 and 2; 1 and 3; 2 and 3
    8             1 and 2 in parallel, summed
    ============  =====================================================================

    Every number that has a least and a greatest value is drawn evenly between the two at each call. All defaults are
    the paper's. A clip of 4 s takes some milliseconds.

    Arguments
    ---------
    algorithm : int
        1 to 8.
    n_bands : int
        Notches of a filter.
    min_frequency, max_frequency : float
        Of the center of a notch, in Hz, from 0 to 8000.
    min_bandwidth, max_bandwidth : float
        Of a notch, in Hz.
    min_taps, max_taps : int
        Length of the filter that makes one notch, in samples, at least 2; an even one is made odd by another sample.
    min_gain, max_gain : float
        Of a filter where it passes most, in dB.
    min_bias, max_bias : float
        What the powers from the second on are weaker, in dB: their gain lies between ``min_gain - min_bias`` and
        ``max_gain - max_bias``.
    n_powers : int
        Highest power of the waveform.
    max_impulses : float
        Greatest share of the samples that the impulsive noise changes, in per cent; the least is 0.
    impulse_gain : float
        Times the sample and two numbers from [-1, 1] is what it adds.
    min_snr, max_snr : float
        Of the stationary noise, in dB.

    Raises
    ------
    InputError
        When there is no such algorithm, or a range that nothing can be drawn from.

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
            raise InputError(f"RawBoost has no algorithm {algorithm}; choose one from 1 to 8, or leave RawBoost out")
        for name, least, low, high, most in (
            ("frequency", 0, min_frequency, max_frequency, SAMPLE_RATE / 2),
            ("bandwidth", 0, min_bandwidth, max_bandwidth, SAMPLE_RATE / 2),
            ("taps", 2, min_taps, max_taps, SAMPLE_RATE),
            ("gain", -np.inf, min_gain, max_gain, np.inf),
            ("bias", -np.inf, min_bias, max_bias, np.inf),
            ("impulses", 0, 0, max_impulses, 100),
            ("snr", -np.inf, min_snr, max_snr, np.inf),
        ):
            if not least <= low <= high <= most:
                raise InputError(
                    f"RawBoost cannot draw {name} between {low} and {high}; "
                    f"give the lesser first, and both from {least} to {most}"
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
        # Blocks to filter in: a power of two, of which the filters reach over an eighth on either side
        reach = n_bands * (max_taps // 2) + 1
        self.block = max(1024, 1 << (8 * reach - 1).bit_length())

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz); the result is as long. Random numbers from ``generator``."""
        augmented = waveform.double()
        for step in self.steps:
            augmented = step(augmented, generator)
        return augmented.float()

    def convolutive(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Linear and non-linear convolutive noise; no sample of the result exceeds 1."""
        is_biased = np.arange(self.n_powers) > 0  # all but the waveform itself
        low, high = (gain - bias * is_biased for gain, bias in zip(self.gain, self.bias, strict=True))
        gains = _uniform(generator, low, high, self.n_powers)
        # The filters take over the level, since powers of a loud waveform are too much for 32 bits, which take half the
        # time of 64
        level = float(waveform.abs().max()) or 1.0
        gains += 20 * np.log10(level) * np.arange(1, self.n_powers + 1)
        powers = torch.stack(list(accumulate([(waveform / level).float()] * self.n_powers, torch.mul)))
        filtered = filter_sum(powers, self.draw_filters(generator, gains - gains.max())).double()
        return _limit((filtered - filtered.mean()) * 10 ** (gains.max() / 20))

    def impulsive(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Impulsive, signal-dependent noise; no sample of the result exceeds 1."""
        count = int(len(waveform) * _uniform(generator, *self.impulses))
        chosen = torch.from_numpy(generator.choice(len(waveform), count, replace=False, shuffle=False))
        factors = torch.from_numpy(generator.uniform(-1, 1, (2, count)).prod(0))
        noisy = waveform.clone()
        noisy[chosen] *= 1 + self.impulse_gain * factors
        return _limit(noisy)

    def stationary(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Stationary, signal-independent noise; the result may exceed 1."""
        noise = torch.from_numpy(generator.standard_normal((1, len(waveform)), np.float32))
        noise = filter_sum(noise, self.draw_filters(generator, _uniform(generator, *self.gain, 1)))
        snr = _uniform(generator, *self.snr)
        return waveform + noise * (waveform.norm() / noise.norm() / 10 ** (snr / 20))

    def parallel(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Convolutive and impulsive noise, each from the waveform itself; no sample of the sum exceeds 1."""
        return _limit(self.convolutive(waveform, generator) + self.impulsive(waveform, generator))

    def draw_filters(self, generator: np.random.Generator, gains: np.ndarray) -> torch.Tensor:
        """Draw as many filters as there are ``gains`` (in dB) and give their responses, as :func:`notch_responses`."""
        size = len(gains), self.n_bands
        centres = _uniform(generator, *self.frequency, size)
        bandwidths = _uniform(generator, *self.bandwidth, size)
        taps = _uniform(generator, *self.taps, size).astype(int) // 2 * 2 + 1
        return torch.from_numpy(notch_responses(centres, bandwidths, taps, gains, self.block)).float()


def notch_responses(
    centres: np.ndarray, bandwidths: np.ndarray, taps: np.ndarray, gains: np.ndarray, block: int
) -> np.ndarray:
    """Design filters of several notches.

    One notch is an ideal band-stop filter cut short by a Hamming window, scaled to pass 0 Hz unchanged. Each is
    symmetric, so that without its delay its response is real, and that of the notches one after another the product.

    Arguments
    ---------
    centres, bandwidths : numpy.ndarray
        Of the notches, in Hz, shape [filters, notches].
    taps : numpy.ndarray
        Length of each, in samples, odd, shape [filters, notches].
    gains : numpy.ndarray
        Of each filter at the one of 512 frequencies at which it passes most, in dB, shape [filters].
    block : int
        Samples of the transform: a power of two, at least 1024.

    Returns
    -------
    numpy.ndarray
        Responses at 0 to 8000 Hz, shape [filters, block // 2 + 1].

    Example
    -------
    >>> response = notch_responses(np.array([[2000.0]]), np.array([[500.0]]), np.array([[99]]), np.zeros(1), 1024)
    >>> response[0, [0, 128, 256]].round(1)  # 0, 2000 and 4000 Hz
    array([1., 0., 1.])
    """
    nyquist = SAMPLE_RATE / 2
    reach = (taps // 2)[..., None]
    offset = np.arange(reach.max() + 1)  # from the middle: the other half is the same
    low, high = (
        ((centres + side * bandwidths / 2).clip(0.001, nyquist - 0.001) / nyquist)[..., None] for side in (-1, 1)
    )
    ideal = (offset == 0) + low * np.sinc(low * offset) - high * np.sinc(high * offset)
    window = np.where(offset <= reach, 0.54 + 0.46 * np.cos(np.pi * offset / reach), 0)
    notches = scipy.fft.hfft(ideal * window, block)[..., : block // 2 + 1]
    filters = (notches / notches[..., :1]).prod(-2)
    peaks = np.abs(filters[:, : block // 2 : block // 1024]).max(1)
    return filters * (10 ** (gains / 20) / peaks)[:, None]


def filter_sum(signals: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
    """Filter each signal and add up the results, block by block in the frequency domain.

    The filters' delay is taken away and one sample more, as RawBoost has it. The result so comes a sample early, which
    shows in the sum of algorithm 8.

    Arguments
    ---------
    signals : torch.Tensor
        Shape [signals, time].
    responses : torch.Tensor
        Real, of one filter for each, shape [signals, block // 2 + 1]. A filter reaches over less than an eighth of a
        block on either side.

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
    """Numbers evenly between ``low`` and ``high``, whichever is the greater; ``Generator.uniform`` minds."""
    return low + (high - low) * np.asarray(generator.random(size))


def _limit(waveform: torch.Tensor) -> torch.Tensor:
    """Scale a waveform that exceeds 1 down to it."""
    return waveform / waveform.abs().max().clamp(min=1)
