"""What every clip of MiniCorpus passes through, real or generated, so that the channel says nothing of the class.

A channel belongs to a sentence: the recording of a sentence and everything generated from that sentence share one band,
one length, one level and one noise floor.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

import av
import numpy as np
from scipy import signal

from antideepfake.audio.speech import find_speech_frames

SAMPLE_RATE = 16000
FRAME = SAMPLE_RATE // 100  # samples in the 10 ms frames in which speech is told from silence
MARGIN = 2  # frames left on either side of the speech, so that a soft onset is not cut into
MIN_SECONDS, MAX_SECONDS = 1.0, 4.0


@dataclass(frozen=True)
class Channel:
    """What one sentence's clips have in common.

    Arguments
    ---------
    cutoff : float
        Upper edge of the band in Hz: 3400 to 3800 where narrow, 6600 to 7400 where not.
    low_cutoff : float
        Lower edge in Hz. At least 60, which removes any offset and hum below the voice.
    seconds : float
        Length that a clip is cut to. Shorter than the recording's own speech, so that the recording ends as abruptly
        as what is generated.
    level : float
        Level of the speech in dB relative to full scale.
    snr : float
        Distance in dB between speech and the added noise floor.
    tilt : float
        Slope of the noise: its spectrum falls as ``1 / f ** tilt``.
    """

    cutoff: float
    low_cutoff: float
    seconds: float
    level: float
    snr: float
    tilt: float


def generator_for(*parts: object) -> np.random.Generator:
    """Random numbers that depend on nothing but ``parts``, the same on every machine and in every order of work."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def draw_channel(sentence: str, narrow: bool, speech_seconds: float, seed: int) -> Channel:
    """Draw the channel of one sentence.

    Arguments
    ---------
    sentence : str
        Its key; the same key and seed give the same channel.
    narrow : bool
        Whether the band is that of a telephone.
    speech_seconds : float
        Speech in the recording of the sentence, seconds from first to last active frame.
    seed : int
        Seed of the corpus.

    Returns
    -------
    Channel
    """
    rng = generator_for(seed, "channel", sentence)
    return Channel(
        cutoff=rng.uniform(3400, 3800) if narrow else rng.uniform(6600, 7400),
        low_cutoff=rng.uniform(60, 120),
        seconds=min(0.9 * speech_seconds, rng.uniform(1.2, MAX_SECONDS)),
        # loud speech peaks some 20 dB above its level: nothing clips
        level=rng.uniform(-36, -24),
        snr=rng.uniform(25, 40),
        tilt=rng.uniform(0, 1),
    )


def find_speech(waveform: np.ndarray, margin: int = MARGIN) -> tuple[int, int]:
    """Where speech begins and ends.

    Arguments
    ---------
    waveform : np.ndarray
        Samples, shape (time,), 16 kHz.
    margin : int
        Frames of 10 ms to add on either side.

    Returns
    -------
    tuple of int
        First sample and the one after the last of what lies within 35 dB of the loudest 10 ms frame, with the margin
        on either side. (0, 0) when there is no frame or all is silent.
    """
    active = np.flatnonzero(find_speech_frames(waveform, FRAME))
    if not len(active):
        return 0, 0
    return max(active[0] - margin, 0) * FRAME, min((active[-1] + 1 + margin) * FRAME, len(waveform))


def speech_level(waveform: np.ndarray) -> float:
    """Root mean square over the frames that hold speech, pauses left out (linear, as the samples)."""
    frames = waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)
    energy = np.mean(frames**2, axis=1)
    return float(np.sqrt(energy[find_speech_frames(waveform, FRAME)].mean()))


def apply_channel(waveform: np.ndarray, channel: Channel, rng: np.random.Generator) -> np.ndarray:
    """Band limit, trim, cut, level and noise floor; the codec comes after (:func:`code_g722`).

    Arguments
    ---------
    waveform : np.ndarray
        Samples, shape (time,), 16 kHz, any level.
    channel : Channel
        That of the sentence.
    rng : numpy.random.Generator
        Of the noise.

    Returns
    -------
    np.ndarray
        Float64 samples, shape (at most ``channel.seconds * 16000``,).

    Raises
    ------
    ValueError
        When less than half a second of speech is left: the engine said next to nothing.
    """
    sections = _band(round(channel.low_cutoff), round(channel.cutoff))
    if len(waveform):  # sosfilt refuses nothing else
        waveform = signal.sosfilt(sections, np.asarray(waveform, dtype=np.float64))
    start, end = find_speech(waveform)
    waveform = waveform[start:end][: round(channel.seconds * SAMPLE_RATE)]
    # Recordings are cut within the speech, and generated speech may end before: both end with the last active frame.
    waveform = waveform[: find_speech(waveform, margin=0)[1]]
    if len(waveform) < SAMPLE_RATE // 2:
        raise ValueError("less than half a second of speech")
    waveform = waveform / speech_level(waveform)
    noise = signal.sosfilt(sections, _colored_noise(len(waveform), channel.tilt, rng))
    noise *= 10 ** (-channel.snr / 20) / noise.std()
    return (waveform + noise) * 10 ** (channel.level / 20)


@cache
def _band(low: int, high: int) -> np.ndarray:
    """Second-order sections of the band-pass: elliptic, since 8 kHz speech ends as steeply, 70 dB down outside."""
    high_pass = signal.butter(4, low, "highpass", fs=SAMPLE_RATE, output="sos")
    low_pass = signal.ellip(10, 0.1, 70, high, fs=SAMPLE_RATE, output="sos")
    return np.concatenate([high_pass, low_pass])


def _colored_noise(length: int, tilt: float, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-tilt / 2)
    return np.fft.irfft(spectrum, length)


def code_g722(waveforms: list[np.ndarray]) -> list[np.ndarray]:
    """Encode and decode with G.722 at 64 kbit/s, all waveforms as one stream.

    Arguments
    ---------
    waveforms : list of np.ndarray
        Samples within -1 and 1, shape (time,), 16 kHz.

    Returns
    -------
    list of np.ndarray
        As many samples each, 16-bit integers.
    """
    if not waveforms:
        return []
    pause = np.zeros(SAMPLE_RATE // 10)  # lets the coder's step size fall back before the next waveform
    padded = [part for waveform in waveforms for part in (pause, waveform, np.zeros(len(waveform) % 2))]
    samples = np.round(np.concatenate([*padded, pause]) * 32767).clip(-32768, 32767).astype("<i2")
    decoded = decode_g722(_encode_g722(samples))[22:]  # the coder's two filter banks delay by 22 samples
    lengths = np.array([len(pause), *(len(part) for part in padded)])
    starts = lengths[1:].cumsum() - lengths[1:]
    return [decoded[start : start + len(waveform)] for start, waveform in zip(starts[1::3], waveforms, strict=True)]


def _encode_g722(samples: np.ndarray) -> bytes:
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    return b"".join(bytes(packet) for part in (frame, None) for packet in encoder.encode(part))


def decode_g722(stream: bytes) -> np.ndarray:
    """Decode raw G.722 (64 kbit/s).

    Arguments
    ---------
    stream : bytes
        May be empty.

    Returns
    -------
    np.ndarray
        16-bit samples, shape (time,), 16 kHz.
    """
    if not stream:
        return np.empty(0, dtype="<i2")
    decoder = av.CodecContext.create("g722", "r")
    decoder.layout = "mono"
    return np.concatenate([frame.to_ndarray()[0] for frame in decoder.decode(av.Packet(stream))])
