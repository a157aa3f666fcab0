"""Lossy codecs: what telephones, messengers and web sites do to speech."""

import io
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torchaudio.functional import resample

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError


class Format(NamedTuple):
    """How libsndfile names a codec, and what it is used with."""

    container: str
    subtype: str
    sample_rate: int = 8000
    """Hz: that of the networks that the codec is made for, or our own."""
    compression: tuple[float, float] | None = None
    """Least and greatest compression to draw from, of 0 to 1, where the codec has more than one bit rate."""


FORMATS = {
    "mp3": Format("MP3", "MPEG_LAYER_III", SAMPLE_RATE, (0.0, 1.0)),
    "vorbis": Format("OGG", "VORBIS", SAMPLE_RATE, (0.0, 1.0)),
    "opus": Format("OGG", "OPUS", SAMPLE_RATE, (0.75, 1.0)),  # less, 70 kbit/s and up, leaves speech nearly as it is
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


class Codec:
    """Encode and decode with one of several codecs, drawn at random, in memory.

    ================  =======================================================  ===========  =============
    format            codec                                                    sample rate  kbit/s
    ================  =======================================================  ===========  =============
    ``mp3``           MPEG layer III, variable bit rate                        16 kHz       20 to 50
    ``vorbis``        Vorbis                                                   16 kHz       35 to 75
    ``opus``          Opus                                                     16 kHz       6 to 70
    ``ima_adpcm``     adaptive differential PCM, IMA                           16 kHz       64
    ``ms_adpcm``      the same, Microsoft                                      16 kHz       64
    ``mu_law``        G.711 mu-law: telephones of America and Japan            8 kHz        64
    ``a_law``         G.711 A-law: telephones elsewhere                        8 kHz        64
    ``g721``          G.721, adaptive differential PCM                         8 kHz        32
    ``g723_24``       G.723 (of 1988), adaptive differential PCM               8 kHz        24
    ``g723_40``       the same                                                 8 kHz        40
    ``gsm``           GSM 6.10, full rate                                      8 kHz        13
    ``narrow_band``   none; 16 bits, only the band of a telephone              8 kHz        128
    ================  =======================================================  ===========  =============

    Where a codec has a range of bit rates (which depend on the speech, too), its compression is drawn. At 8 kHz, what
    lies above 4 kHz is lost. The result is as long as the waveform, in step with it and of about the same level. What
    exceeds full scale is scaled down to it before and up after, since an encoder would clip it; quiet speech suffers
    more from some codecs than loud, as everywhere. Any length will do.

    Arguments
    ---------
    formats : iterable of str
        Names from the table, each as likely as the others; one that is there twice is twice as likely.

    Raises
    ------
    InputError
        When a name is not in the table, the installed libsndfile cannot write that format, or there is none.

    Example
    -------
    >>> codec = Codec(["gsm", "mp3"])
    >>> waveform = torch.rand(16000) - 0.5
    >>> codec(waveform, np.random.default_rng(1)).shape
    torch.Size([16000])
    """

    def __init__(self, formats: Iterable[str]) -> None:
        self.formats = list(formats)
        known = [name for name, form in FORMATS.items() if soundfile.check_format(form.container, form.subtype)]
        unknown = [name for name in self.formats if name not in known]
        if unknown or not self.formats:
            raise InputError(
                f"codec formats: {', '.join(map(str, unknown)) or 'none given'}; "
                f"those of this installation are {', '.join(known)}"
            )

    def __call__(self, waveform: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Code ``waveform`` (float32, [time], 16 kHz); the result is as long. Random numbers from ``generator``."""
        name = self.formats[generator.integers(len(self.formats))]
        form = FORMATS[name]
        level = None if form.compression is None else generator.uniform(*form.compression)
        return code(waveform, name, level)


def code(waveform: torch.Tensor, name: str, level: float | None = None) -> torch.Tensor:
    """Encode and decode a waveform of 16 kHz at the rate of the format.

    Arguments
    ---------
    waveform : torch.Tensor
        Float32, shape [time], 16 kHz.
    name, level :
        As :func:`encode_decode`.

    Returns
    -------
    torch.Tensor
        As long as the waveform.

    Example
    -------
    >>> code(torch.rand(16000) - 0.5, "gsm").shape
    torch.Size([16000])
    """
    form = FORMATS[name]
    signal = resample(waveform, SAMPLE_RATE, form.sample_rate)
    scale = signal.abs().max().clamp(min=1)
    coded = torch.from_numpy(encode_decode((signal / scale).numpy(), name, level)) * scale
    return resample(coded, form.sample_rate, SAMPLE_RATE)[: len(waveform)]


def encode_decode(samples: np.ndarray, name: str, level: float | None = None) -> np.ndarray:
    """Encode and decode in memory.

    Arguments
    ---------
    samples : numpy.ndarray
        Shape [time], from -1 to 1, at the sample rate of the format.
    name : str
        Of the format, from ``FORMATS``.
    level : float, optional
        Compression from 0 to less than 1; the more, the fewer bits. Only for formats that have it.

    Returns
    -------
    numpy.ndarray
        Float32, of the same length or, since some codecs fill their last frame, a little longer.

    Example
    -------
    >>> len(encode_decode(np.sin(0.1 * np.arange(8000)), "a_law"))
    8000
    """
    form = FORMATS[name]
    file = io.BytesIO()
    soundfile.write(file, samples, form.sample_rate, form.subtype, format=form.container, compression_level=level)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]
