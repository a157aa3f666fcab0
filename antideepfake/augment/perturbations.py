"""Perturbations of a fixed strength, to measure the robustness of a detector.

A perturbation takes a waveform (float32, [time], 16 kHz, before normalization), a strength and a random generator, and
returns a waveform. Unlike in an augmentation, only the noise itself is random.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torchaudio.functional import resample

from antideepfake.audio.speech import find_speech_frames
from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.augment.codecs import FORMATS, code

FRAME = 160  # frame length for speech activity in samples: 10 ms
SHORTEST = 8000  # minimum length in samples after speech is removed: half a second


def find_speech(waveform: torch.Tensor) -> torch.Tensor:
    """Mark the samples that are speech. Samples after the last complete frame are marked like that frame.

    Example
    -------
    >>> waveform = torch.cat([torch.zeros(3200), torch.ones(3200), torch.zeros(3200)])
    >>> find_speech(waveform).nonzero().flatten()[[0, -1]].tolist()
    [3200, 6399]
    """
    frames = torch.from_numpy(find_speech_frames(waveform.numpy(), FRAME))
    speech = frames.repeat_interleave(FRAME)
    last = frames[-1:] if len(frames) else torch.ones(1, dtype=torch.bool)
    return torch.cat([speech, last.expand(len(waveform) - len(speech))])


def add_noise(
    waveform: torch.Tensor, decibels: float, generator: np.random.Generator, slope: float = 0
) -> torch.Tensor:
    """Add noise at a signal-to-noise ratio that is relative to the power of the speech frames.

    Arguments
    ---------
    waveform : torch.Tensor
        Shape [time].
    decibels : float
        Signal-to-noise ratio in dB.
    generator : numpy.random.Generator
        Random generator for the noise.
    slope : float
        Slope of the noise spectrum: power is proportional to frequency ** -slope. 0 is white noise, 1 pink noise.
    """
    spectrum = np.fft.rfft(generator.standard_normal(len(waveform)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** (slope / 2)
    noise = torch.from_numpy(np.fft.irfft(spectrum, len(waveform))).float()
    signal = waveform[find_speech(waveform)].square().mean()
    scale = torch.sqrt(signal / noise.square().mean() * 10 ** (-decibels / 10))
    return waveform + scale * noise


def add_pink_noise(waveform: torch.Tensor, decibels: float, generator: np.random.Generator) -> torch.Tensor:
    """Add pink noise, see :func:`add_noise`."""
    return add_noise(waveform, decibels, generator, slope=1)


def reverberate(waveform: torch.Tensor, seconds: float, generator: np.random.Generator) -> torch.Tensor:
    """Add the reverberation of a room with a reverberation time (RT60) of ``seconds``.

    The impulse response follows Polack's model of diffuse reverberation: noise that decays by 60 dB in ``seconds`` and
    has the same energy as the direct sound. The result has the same length as the waveform.
    """
    times = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = torch.from_numpy(generator.standard_normal(len(times))).float() * 10 ** (-3 * times / seconds)
    response = torch.cat([torch.ones(1), tail / tail.norm()])
    size = len(waveform) + len(response)
    return torch.fft.irfft(torch.fft.rfft(waveform, size) * torch.fft.rfft(response, size), size)[: len(waveform)]


def narrow(waveform: torch.Tensor, sample_rate: float, generator: np.random.Generator) -> torch.Tensor:
    """Resample to ``sample_rate`` Hz and back, which removes frequencies above half of that rate."""
    return resample(resample(waveform, SAMPLE_RATE, int(sample_rate)), int(sample_rate), SAMPLE_RATE)[: len(waveform)]


def change_level(waveform: torch.Tensor, decibels: float, generator: np.random.Generator) -> torch.Tensor:
    """Change the level; this must not change the scores of a detector that normalizes its input."""
    return waveform * 10 ** (decibels / 20)


def clip(waveform: torch.Tensor, percent: float, generator: np.random.Generator) -> torch.Tensor:
    """Clip the peaks, so that ``percent`` percent of the samples are at the limit."""
    limit = waveform.abs().quantile(1 - percent / 100) if len(waveform) < 2**24 else waveform.abs().max()
    return waveform.clamp(-limit, limit)


def change_speed(waveform: torch.Tensor, factor: float, generator: np.random.Generator) -> torch.Tensor:
    """Change speed and pitch by a factor; a factor above 1 is faster."""
    return resample(waveform, round(100 * factor), 100)


def trim(waveform: torch.Tensor, strength: float, generator: np.random.Generator) -> torch.Tensor:
    """Remove the silence before and after speech."""
    speech = find_speech(waveform).nonzero().flatten()
    return waveform[speech[0] : speech[-1] + 1]


def keep_silence(waveform: torch.Tensor, strength: float, generator: np.random.Generator) -> torch.Tensor:
    """Remove speech and repeat the remaining silence until it lasts at least half a second.

    If a recording has no pauses, keep its quietest 5 % of frames.
    """
    silence = waveform[~find_speech(waveform)]
    if len(silence) < FRAME:
        frames = waveform[: max(len(waveform) // FRAME, 1) * FRAME].reshape(-1, min(FRAME, len(waveform)))
        quiet = frames.square().mean(1).argsort()[: max(len(frames) // 20, 1)].sort().values
        silence = frames[quiet].flatten()
    if len(silence) < SHORTEST:
        silence = silence.repeat(-(-SHORTEST // len(silence)))[:SHORTEST]
    # Add noise below the last bit of 16-bit audio, because digital silence would be rejected.
    return silence + torch.from_numpy(generator.standard_normal(len(silence))).float() / 2**16


class Perturbation(NamedTuple):
    """A kind of perturbation.

    Arguments
    ---------
    apply : callable
        Function of waveform, strength and random generator that returns a waveform.
    strengths : tuple of float
        Strengths from mild to severe.
    unit : str
        Meaning and unit of a strength.
    """

    apply: Callable[[torch.Tensor, float, np.random.Generator], torch.Tensor]
    strengths: tuple[float, ...]
    unit: str


def _codec(name: str) -> Callable[[torch.Tensor, float, np.random.Generator], torch.Tensor]:
    level = FORMATS[name].compression is not None
    return lambda waveform, strength, generator: code(waveform, name, strength if level else None)


COMPRESSION = "compression, 0 to 1"
PERTURBATIONS = {
    "white noise": Perturbation(add_noise, (30, 20, 10, 0), "signal-to-noise ratio, dB"),
    "pink noise": Perturbation(add_pink_noise, (30, 20, 10, 0), "signal-to-noise ratio, dB"),
    "reverberation": Perturbation(reverberate, (0.2, 0.5, 1.0), "RT60, s"),
    "bandwidth": Perturbation(narrow, (12000, 8000, 4000), "sample rate, Hz"),
    "mp3": Perturbation(_codec("mp3"), (0.0, 0.5, 0.95), COMPRESSION),
    "vorbis": Perturbation(_codec("vorbis"), (0.0, 0.5, 0.95), COMPRESSION),
    "opus": Perturbation(_codec("opus"), (0.75, 0.9, 0.99), COMPRESSION),
    "a-law": Perturbation(_codec("a_law"), (64,), "kbit/s, 8 kHz"),
    "g723": Perturbation(_codec("g723_24"), (24,), "kbit/s, 8 kHz"),
    "gsm": Perturbation(_codec("gsm"), (13,), "kbit/s, 8 kHz"),
    "level": Perturbation(change_level, (-10, -30), "dB"),
    "clipping": Perturbation(clip, (0.1, 1, 10), "samples clipped, %"),
    "speed": Perturbation(change_speed, (0.8, 0.9, 1.1, 1.25), "factor"),
    "trimmed": Perturbation(trim, (1,), "silence before and after removed"),
    "no speech": Perturbation(keep_silence, (1,), "speech removed"),
}
