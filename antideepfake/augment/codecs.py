"""Apply the lossy codecs of telephone networks, messengers and web sites."""

import io
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torchaudio.functional import resample

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.augment.network_codecs import NETWORK_CODECS, NetworkCodec
from antideepfake.errors import InputError


class Format(NamedTuple):
    """libsndfile's names for a codec, and its parameters."""

    container: str
    subtype: str
    sample_rate: int = 8000
    """Hz: the rate of the networks that use the codec, or 16 kHz."""
    compression: tuple[float, float] | None = None
    """Range of compression levels to sample from, within 0 to 1; None if the codec has a single bit rate."""

    def is_available(self) -> bool:
        """Return whether the installed libsndfile can write the format."""
        return soundfile.check_format(self.container, self.subtype)

    def sample_level(self, generator: np.random.Generator) -> float | None:
        """Sample a compression level; None if the codec has a single bit rate."""
        return None if self.compression is None else generator.uniform(*self.compression)


FORMATS = {
    "mp3": Format("MP3", "MPEG_LAYER_III", SAMPLE_RATE, (0.0, 1.0)),
    "vorbis": Format("OGG", "VORBIS", SAMPLE_RATE, (0.0, 1.0)),
    "opus": Format("OGG", "OPUS", SAMPLE_RATE, (0.75, 1.0)),  # lower levels, 70 kbit/s and more, hardly change speech
    "ima_adpcm": Format("WAV", "IMA_ADPCM", SAMPLE_RATE),
    "ms_adpcm": Format("WAV", "MS_ADPCM", SAMPLE_RATE),
    "mu_law": Format("WAV", "ULAW"),
    "a_law": Format("WAV", "ALAW"),
    "g721": Format("AU", "G721_32"),
    "g723_24": Format("AU", "G723_24"),
    "g723_40": Format("AU", "G723_40"),
    "gsm": Format("WAV", "GSM610"),
    "narrow_band": Format("WAV", "PCM_16"),
}
CODECS: dict[str, Format | NetworkCodec] = {**FORMATS, **NETWORK_CODECS}


class Codec:
    """Encode and decode in memory with a codec that is chosen at random from a list.

    ================  =======================================================  ===========  =============
    format            codec                                                    sample rate  kbit/s
    ================  =======================================================  ===========  =============
    ``mp3``           MPEG layer III, variable bit rate                        16 kHz       20 to 50
    ``vorbis``        Vorbis                                                   16 kHz       35 to 75
    ``opus``          Opus                                                     16 kHz       6 to 70
    ``ima_adpcm``     adaptive differential PCM, IMA                           16 kHz       64
    ``ms_adpcm``      adaptive differential PCM, Microsoft                     16 kHz       64
    ``mu_law``        G.711 mu-law: telephony in North America and Japan       8 kHz        64
    ``a_law``         G.711 A-law: telephony elsewhere                         8 kHz        64
    ``g721``          G.721, adaptive differential PCM                         8 kHz        32
    ``g723_24``       G.723 (1988), adaptive differential PCM                  8 kHz        24
    ``g723_40``       G.723 (1988), adaptive differential PCM                  8 kHz        40
    ``gsm``           GSM 6.10, full rate                                      8 kHz        13
    ``narrow_band``   no codec; 16-bit PCM with telephone bandwidth            8 kHz        128
    ``amr_nb``        AMR: mobile telephony                                    8 kHz        4.75 to 12.2
    ``g722``          G.722: wide-band telephony                               16 kHz       64
    ``g723_1``        G.723.1: early calls over the internet                   8 kHz        6.3
    ``opus_voip``     Opus, tuned for calls                                    16 kHz       6 to 24
    ``aac``           AAC at low rates                                         16 kHz       12 to 32
    ``mp3_low``       MPEG layer III at low, constant rates                    16 kHz       8 to 32
    ================  =======================================================  ===========  =============

    If a codec has a range of bit rates, its bit rate or compression level is sampled at random; after a compression
    level, the bit rate also depends on the speech. A sample rate of 8 kHz removes all frequencies above 4 kHz. The
    result has the same length as the waveform, is aligned with it and has about the same level. A waveform that exceeds
    full scale is scaled down before encoding, to avoid clipping, and scaled up after decoding. Some codecs degrade
    quiet speech more than loud speech. The waveform may have any length.

    Arguments
    ---------
    formats : iterable of str
        Names from the table. All entries are equally likely; a name that is listed twice is twice as likely.

    Raises
    ------
    InputError
        When the list is empty, a name is not in the table, or the installed libsndfile or PyAV cannot write the format.

    Example
    -------
    >>> codec = Codec(["gsm", "mp3"])
    >>> waveform = torch.rand(16000) - 0.5
    >>> codec(waveform, np.random.default_rng(1)).shape
    torch.Size([16000])
    """

    def __init__(self, formats: Iterable[str]) -> None:
        self.formats = list(formats)
        known = [name for name, codec in CODECS.items() if codec.is_available()]
        unknown = [name for name in self.formats if name not in known]
        if unknown or not self.formats:
            fault = f"unknown codec formats: {', '.join(map(str, unknown))}" if unknown else "no codec format is given"
            raise InputError(f"{fault}; this installation supports {', '.join(known)}")

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Encode and decode ``waveform`` (float32, [time], 16 kHz) with random numbers from ``generator``.

        The result has the same length.
        """
        name = self.formats[generator.integers(len(self.formats))]
        return code(waveform, name, CODECS[name].sample_level(generator))


def code(waveform: torch.Tensor, name: str, level: float | None = None) -> torch.Tensor:
    """Resample a 16 kHz waveform to the sample rate of a format, encode and decode it, and resample it back.

    Arguments
    ---------
    waveform : torch.Tensor
        Float32, shape [time], 16 kHz.
    name, level :
        As for :func:`encode_decode`.

    Returns
    -------
    torch.Tensor
        Waveform of the same length.

    Example
    -------
    >>> code(torch.rand(16000) - 0.5, "gsm").shape
    torch.Size([16000])
    """
    codec = CODECS[name]
    signal = resample(waveform, SAMPLE_RATE, codec.sample_rate)
    scale = signal.abs().max().clamp(min=1)
    coded = torch.from_numpy(encode_decode((signal / scale).numpy(), name, level)) * scale
    return resample(coded, codec.sample_rate, SAMPLE_RATE)[: len(waveform)]


def encode_decode(samples: np.ndarray, name: str, level: float | None = None) -> np.ndarray:
    """Encode and decode samples in memory.

    Arguments
    ---------
    samples : numpy.ndarray
        Shape [time], from -1 to 1, at the sample rate of the format.
    name : str
        Name of the format, a key of ``CODECS``.
    level : float, optional
        For formats that support it: of a :class:`Format`, the compression level in [0, 1), where higher levels use
        fewer bits; of a :class:`~antideepfake.augment.network_codecs.NetworkCodec`, the bit rate in bit/s.

    Returns
    -------
    numpy.ndarray
        Float32, of the same length, or slightly longer because some codecs fill their last frame.

    Example
    -------
    >>> len(encode_decode(np.sin(0.1 * np.arange(8000)), "a_law"))
    8000
    """
    codec = CODECS[name]
    if isinstance(codec, NetworkCodec):
        return codec.encode_decode(samples, level)
    file = io.BytesIO()
    soundfile.write(file, samples, codec.sample_rate, codec.subtype, format=codec.container, compression_level=level)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]
