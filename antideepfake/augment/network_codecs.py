"""Codecs of telephone networks and calls over the internet that libsndfile lacks: FFmpeg's, through PyAV."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from torchaudio.functional import resample

FRAME_SECONDS = 0.02  # length of a packet of a codec without frames of its own


class NetworkCodec(NamedTuple):
    """FFmpeg's names for a codec, and its parameters.

    Arguments
    ---------
    encoder, decoder : str
        FFmpeg's names.
    sample_rate : int
        Sample rate of the encoder in Hz.
    bit_rates : tuple of int
        Bit rates to sample from, in bit/s; empty if the codec has a single one.
    delay : int
        Samples by which the decoded waveform lags behind, at ``sample_rate``.
    options : mapping
        Options of the encoder.

    Example
    -------
    >>> tone = np.sin(0.3 * np.arange(8000))
    >>> len(NETWORK_CODECS["amr_nb"].encode_decode(tone, 12200))
    8000
    """

    encoder: str
    decoder: str
    sample_rate: int
    bit_rates: tuple[int, ...] = ()
    delay: int = 0
    options: Mapping[str, str] = {}

    def is_available(self) -> bool:
        """Return whether the installed PyAV can encode and decode."""
        try:
            av.Codec(self.encoder, "w")
            av.Codec(self.decoder, "r")
        except ValueError:
            return False
        return True

    def sample_level(self, generator: np.random.Generator) -> int | None:
        """Sample a bit rate in bit/s; None if the codec has a single one."""
        return int(generator.choice(self.bit_rates)) if self.bit_rates else None

    def encode_decode(self, samples: np.ndarray, level: float | None = None) -> np.ndarray:
        """Encode and decode samples in memory.

        Arguments
        ---------
        samples : numpy.ndarray
            Shape [time], from -1 to 1, at the sample rate of the codec.
        level : float, optional
            Bit rate in bit/s; by default the codec's own.

        Returns
        -------
        numpy.ndarray
            Float32, of the same length, without the delay of the codec.
        """
        encoder: Any = av.CodecContext.create(self.encoder, "w")
        encoder.sample_rate, encoder.layout, encoder.options = self.sample_rate, "mono", dict(self.options)
        encoder.format = "s16" if "s16" in [form.name for form in encoder.codec.audio_formats] else "fltp"
        if level is not None:
            encoder.bit_rate = int(level)
        encoder.open()
        decoder: Any = av.CodecContext.create(self.decoder, "r")
        decoder.sample_rate, decoder.layout, decoder.thread_count = self.sample_rate, "mono", 1
        if encoder.extradata:
            decoder.extradata = encoder.extradata
        size = encoder.frame_size or round(FRAME_SECONDS * self.sample_rate)
        count = -(-(len(samples) + self.delay) // size)
        frames = np.pad(samples, (0, count * size - len(samples))).reshape(count, 1, size)
        is_integer = encoder.format.name == "s16"
        frames = np.rint(frames * 32767).astype(np.int16) if is_integer else frames.astype(np.float32)
        packets = [packet for frame in _make_frames(frames, encoder) for packet in encoder.encode(frame)]
        decoded = [frame.to_ndarray() for packet in (*packets, None) for frame in decoder.decode(packet)]
        waveform = torch.from_numpy(np.concatenate(decoded, axis=1)[0])
        waveform = waveform / 32768 if waveform.dtype == torch.int16 else waveform.float()
        if decoder.sample_rate != self.sample_rate:  # Opus decodes at 48 kHz
            waveform = resample(waveform, decoder.sample_rate, self.sample_rate)
        coded = waveform[self.delay : self.delay + len(samples)].numpy()
        return np.pad(coded, (0, len(samples) - len(coded)))


def _make_frames(frames: np.ndarray, encoder: Any) -> Iterator[Any]:
    """Yield the frames of an encoder, and at last None, which makes it give all packets."""
    for number, samples in enumerate(frames):
        frame = av.AudioFrame.from_ndarray(samples, encoder.format.name, "mono")
        frame.sample_rate, frame.pts = encoder.sample_rate, number * samples.shape[1]
        yield frame
    yield None


NETWORK_CODECS = {
    "amr_nb": NetworkCodec(
        "libopencore_amrnb", "amrnb", 8000, (4750, 5150, 5900, 6700, 7400, 7950, 10200, 12200), delay=40
    ),
    "g722": NetworkCodec("g722", "g722", 16000, delay=22),
    "g723_1": NetworkCodec("g723_1", "g723_1", 8000, delay=60),
    "opus_voip": NetworkCodec(
        "libopus",
        "libopus",
        16000,
        (6000, 8000, 12000, 16000, 24000),
        options={"application": "voip", "compression_level": "5"},
    ),
    "aac": NetworkCodec("aac", "aac", 16000, (12000, 16000, 24000, 32000), delay=1024),
    "mp3_low": NetworkCodec("libmp3lame", "mp3float", 16000, (8000, 16000, 24000, 32000)),
}
"""Names of the codecs and their parameters. The bit rates of AMR are all that it has."""
