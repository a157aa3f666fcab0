"""What telephones and calls over the internet do to speech: a random number of stages in a random order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.augment.perturbations import change_level, narrow
from antideepfake.dataio.datasets import Augmentation
from antideepfake.errors import InputError

FRAME = SAMPLE_RATE // 50  # samples in the 20 ms of a packet
BLOCK = SAMPLE_RATE // 100  # samples that WebRTC processes at once
SUPPRESSION_DELAY = 96  # samples by which WebRTC's noise suppression delays


class Telephone:
    """Pass speech through a random number of random stages, each with its own random strength.

    The result has the length of the waveform, is aligned with it, and is never silent unless the waveform is. With the
    stages of ``hparams/augmentations/telephone.yaml``, a second of speech takes 10 ms on average on one core of an AMD
    EPYC; the slowest codec, G.723.1, takes 20 ms.

    Arguments
    ---------
    stages : sequence of callables
        Augmentations that keep the length: each takes a waveform (float32, [time], 16 kHz) and a
        ``numpy.random.Generator``. All are equally likely; one that is listed twice is twice as likely.
    max_depth : int
        The number of stages is sampled from 0, which leaves the waveform unchanged, to this number.

    Raises
    ------
    InputError
        When there is no stage, or the number is below 1.

    Example
    -------
    >>> from antideepfake.augment import Codec
    >>> telephone = Telephone([BandLimit(), Codec(["gsm", "amr_nb"]), PacketLoss()])
    >>> telephone(torch.rand(16000) - 0.5, np.random.default_rng(1)).shape
    torch.Size([16000])
    """

    def __init__(self, stages: Sequence[Augmentation], max_depth: int = 4) -> None:
        if not stages or max_depth < 1:
            raise InputError(f"{len(stages)} stages with a max_depth of {max_depth}; set at least one of each")
        self.stages, self.max_depth = list(stages), max_depth

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``."""
        for index in generator.integers(len(self.stages), size=generator.integers(self.max_depth + 1)):
            changed = self.stages[index](waveform, generator)
            # very quiet speech rounds to 0 in a codec, and lost packets may leave only a pause
            waveform = changed if changed.any() else waveform
        return waveform


class BandLimit:
    """Resample to a random sample rate and back, which removes all frequencies above half of that rate.

    Arguments
    ---------
    min_rate, max_rate : int
        Lowest and highest sample rate in Hz; all multiples of 500 Hz between them are equally likely.

    Raises
    ------
    InputError
        When the rates are not multiples of 500 Hz from 500 to 16000 Hz in that order.

    Example
    -------
    >>> BandLimit(8000, 8000)(torch.rand(16000) - 0.5, np.random.default_rng(1)).shape
    torch.Size([16000])
    """

    def __init__(self, min_rate: int = 8000, max_rate: int = 16000) -> None:
        if not 500 <= min_rate <= max_rate <= SAMPLE_RATE or min_rate % 500 or max_rate % 500:
            raise InputError(
                f"a min_rate of {min_rate} Hz with a max_rate of {max_rate} Hz; set multiples of 500 Hz, up to "
                f"{SAMPLE_RATE} Hz, in this order"
            )
        self.min_rate, self.max_rate = min_rate, max_rate

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``."""
        rate = 500 * int(generator.integers(self.min_rate // 500, self.max_rate // 500 + 1))
        return narrow(waveform, rate, generator)


class Level:
    """Change the level at random.

    Detectors normalize the level of their input, so this matters only before a codec or another stage that depends on
    the level.

    Arguments
    ---------
    min_decibels, max_decibels : float
        Smallest and largest gain in dB.

    Raises
    ------
    InputError
        When the smallest gain is above the largest.

    Example
    -------
    >>> Level(-20, -20)(torch.ones(2), np.random.default_rng(1))
    tensor([0.1000, 0.1000])
    """

    def __init__(self, min_decibels: float = -30.0, max_decibels: float = 0.0) -> None:
        if not min_decibels <= max_decibels:
            raise InputError(f"a min_decibels of {min_decibels} is above a max_decibels of {max_decibels}; swap them")
        self.min_decibels, self.max_decibels = min_decibels, max_decibels

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``."""
        return change_level(waveform, generator.uniform(self.min_decibels, self.max_decibels), generator)


class PacketLoss:
    """Lose packets of 20 ms, often several in succession, and conceal the gaps.

    Each waveform has its own fraction of lost packets, its own mean length of a gap, and its own concealment: the last
    packet is repeated, at half the amplitude each time, or there is silence. The first packet is never lost.

    Arguments
    ---------
    max_fraction : float
        The fraction of lost packets is sampled from 0 to this number.
    max_gap : float
        The mean length of a gap is sampled from 1 packet to this number.

    Raises
    ------
    InputError
        When the fraction is not in [0, 0.5], or the gap is shorter than a packet.

    Example
    -------
    >>> lost = PacketLoss(max_fraction=0.5)(torch.ones(16000), np.random.default_rng(3))
    >>> lost.shape, bool((lost < 1).any())
    (torch.Size([16000]), True)
    """

    def __init__(self, max_fraction: float = 0.2, max_gap: float = 3.0) -> None:
        if not (0 <= max_fraction <= 0.5 and max_gap >= 1):
            raise InputError(
                f"a max_fraction of {max_fraction} with a max_gap of {max_gap}; set 0 to 0.5 and 1 or more"
            )
        self.max_fraction, self.max_gap = max_fraction, max_gap

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``."""
        fraction, gap = generator.uniform(0, self.max_fraction), generator.uniform(1, self.max_gap)
        fade = float(generator.choice([0.0, 0.5]))
        start = int(generator.integers(FRAME))  # packets do not begin where the utterance begins
        count = (len(waveform) + start) // FRAME + 1
        # Gilbert's model: the state, received or lost, stays or changes with a fixed probability
        stay, begin = 1 - 1 / gap, fraction / (gap * (1 - fraction))
        lost = np.zeros(count, bool)
        for index, number in enumerate(generator.random(count - 1), 1):
            lost[index] = number < (stay if lost[index - 1] else begin)
        source = np.maximum.accumulate(np.where(lost, 0, np.arange(count)))
        gains = torch.from_numpy(fade ** (np.arange(count) - source)).float()
        padded = torch.nn.functional.pad(waveform, (start, count * FRAME - start - len(waveform)))
        packets = padded.reshape(count, FRAME)[torch.from_numpy(source)] * gains[:, None]
        return packets.flatten()[start : start + len(waveform)]


class VoiceProcessing:
    """Suppress noise and control the gain with WebRTC, as browsers and most programs for calls do.

    Noise suppression has one of WebRTC's four levels, at random; the gain is controlled for half of the waveforms.

    Raises
    ------
    InputError
        When webrtc-noise-gain is not installed.

    Example
    -------
    >>> VoiceProcessing()(torch.rand(16000) - 0.5, np.random.default_rng(1)).shape  # doctest: +SKIP
    torch.Size([16000])
    """

    def __init__(self) -> None:
        _import_webrtc()

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Augment ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``."""
        level, gain = int(generator.integers(1, 5)), int(generator.integers(2))
        processor = _import_webrtc().AudioProcessor(gain, level)
        scale = waveform.abs().max().clamp(min=1)
        length = len(waveform) + SUPPRESSION_DELAY
        samples = np.zeros(-(-length // BLOCK) * BLOCK, np.int16)
        samples[: len(waveform)] = np.rint((waveform / scale).numpy() * 32767)
        blocks = [processor.Process10ms(block.tobytes()).audio for block in samples.reshape(-1, BLOCK)]
        processed = np.frombuffer(b"".join(blocks), np.int16)[SUPPRESSION_DELAY:length]
        return torch.from_numpy(processed / np.float32(32767)) * scale


def _import_webrtc() -> Any:
    try:
        import webrtc_noise_gain
    except ImportError:
        raise InputError(
            "VoiceProcessing needs the package webrtc-noise-gain; install it, or remove this stage from the YAML"
        ) from None
    return webrtc_noise_gain
