"""Vocoders, to re-synthesize bona fide speech as the last stage of a text-to-speech system does.

A vocoder takes a waveform (float64, shape [time], in [-1, 1], at a resolution of at least 16 bits), its sample rate in
Hz and a seed. It returns a waveform and its sample rate.
"""

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray

from antideepfake.errors import InputError

Waveform = NDArray[np.float64]
Vocoder = Callable[[Waveform, int, int], tuple[Waveform, int]]

MELS = 80
FRAME_SECONDS = 0.064  # maximum frame length of Griffin-Lim: 1024 samples at 16 kHz
ITERATIONS = 32
HOP = 256  # hop length of the neural vocoders, in samples
PEAK = 0.99


def world(waveform: Waveform, sample_rate: int, seed: int = 0) -> tuple[Waveform, int]:
    """Analyze and synthesize with WORLD (Morise, Yokomori, Ozawa 2016): pitch, spectral envelope, aperiodicity.

    Arguments
    ---------
    waveform : array
        Shape [time].
    sample_rate : int
        Sample rate in Hz.
    seed : int
        Not used, because WORLD samples no random numbers.

    Returns
    -------
    waveform : array
        Re-synthesized waveform, a few samples longer or shorter.
    sample_rate : int
        The same sample rate in Hz.

    Raises
    ------
    InputError
        When pyworld is not installed.
    """
    try:
        import pyworld
    except ImportError:
        raise InputError("the vocoder world needs the package pyworld-prebuilt; install it") from None
    return pyworld.synthesize(*pyworld.wav2world(np.ascontiguousarray(waveform), sample_rate), sample_rate), sample_rate


def griffin_lim(waveform: Waveform, sample_rate: int, seed: int = 0) -> tuple[Waveform, int]:
    """Reconstruct a waveform from its mel spectrogram of 80 bands with fast Griffin-Lim (Griffin and Lim 1984).

    Arguments
    ---------
    waveform : array
        Shape [time].
    sample_rate : int
        Sample rate in Hz. Frames are up to 64 ms long and overlap by three quarters.
    seed : int
        Seed of the initial phases.

    Returns
    -------
    waveform : array
        Re-synthesized waveform, a few samples longer or shorter.
    sample_rate : int
        The same sample rate in Hz.

    Example
    -------
    >>> tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> again, rate = griffin_lim(tone, 16000)
    >>> rate, np.abs(np.fft.rfft(again[:16000])).argmax() in range(400, 480)
    (16000, True)
    """
    size = 2 ** int(np.log2(FRAME_SECONDS * sample_rate))
    sizes: dict[str, Any] = {"n_fft": size, "hop_length": size // 4}
    signal = torch.as_tensor(waveform, dtype=torch.float32)
    signal = torch.nn.functional.pad(signal, (0, max(size - len(signal), 0)))  # at least one frame
    power = torchaudio.transforms.Spectrogram(**sizes)(signal)
    banks = torchaudio.functional.melscale_fbanks(size // 2 + 1, 0.0, sample_rate / 2, MELS, sample_rate, norm="slaney")
    smooth = (power.T @ (banks @ torch.linalg.pinv(banks))).clamp(min=1e-10).T
    with torch.random.fork_rng(devices=[]):  # torchaudio uses torch's global random generator
        torch.manual_seed(seed)
        again = torchaudio.transforms.GriffinLim(n_iter=ITERATIONS, **sizes)(smooth)
    return again.numpy().astype(np.float64), sample_rate


class SpeechBrainVocoder:
    """A HiFi-GAN vocoder from SpeechBrain, such as ``speechbrain/tts-hifigan-libritts-16kHz``.

    Arguments
    ---------
    source : str
        A local folder or a Hugging Face Hub ID. Its hyperparams.yaml can run code, so use only sources that you trust.
        Its weights are loaded with ``weights_only``, the default of SpeechBrain and torch.
    device : str
        Device, such as ``cpu`` or ``cuda``.

    Notes
    -----
    The spectrogram is that of SpeechBrain's training recipe: frames of 1024 samples every 256 samples, and 80 bands up
    to 8 kHz. The sample rate is ``sample_rate`` in hyperparams.yaml, or 16 kHz if it is not set.
    """

    def __init__(self, source: str, device: str = "cpu") -> None:
        from speechbrain.inference.vocoders import HIFIGAN

        self.model = HIFIGAN.from_hparams(source=source, savedir=None, run_opts={"device": device})
        self.sample_rate = int(getattr(self.model.hparams, "sample_rate", 16000))

    @torch.inference_mode()
    def __call__(self, waveform: Waveform, sample_rate: int, seed: int = 0) -> tuple[Waveform, int]:
        """Re-synthesize a waveform."""
        from speechbrain.lobes.models.FastSpeech2 import mel_spectrogram

        signal = _resample(waveform, sample_rate, self.sample_rate)
        spectrogram, _ = mel_spectrogram(
            audio=signal,
            sample_rate=self.sample_rate,
            hop_length=HOP,
            win_length=1024,
            n_mels=MELS,
            n_fft=1024,
            f_min=0.0,
            f_max=8000.0,
            power=1,
            normalized=False,
            min_max_energy_norm=True,
            norm="slaney",
            mel_scale="slaney",
            compression=True,
        )
        again = self.model.decode_batch(spectrogram[None].to(self.model.device)).squeeze()
        # the HiFi-GAN pads by repeating frames, equally many before the first frame and after the last
        before = self.model.hparams.generator.inference_padding * HOP
        return again[before:].cpu().numpy().astype(np.float64), self.sample_rate


class TransformersVocoder:
    """A HiFi-GAN vocoder from transformers, such as ``microsoft/speecht5_hifigan``: 16 kHz, SpeechT5 mel spectrogram.

    Arguments
    ---------
    source : str
        A local folder or a Hugging Face Hub ID. No code from the source is run.
    device : str
        Device, such as ``cpu`` or ``cuda``.
    """

    def __init__(self, source: str, device: str = "cpu") -> None:
        from transformers import SpeechT5FeatureExtractor, SpeechT5HifiGan

        loaded: Any = SpeechT5HifiGan.from_pretrained(source, output_loading_info=True)
        model, report = loaded
        # transformers initializes missing weights at random and only logs a warning
        if mismatched := sorted(set(report["missing_keys"]) | set(report["unexpected_keys"])):
            raise ValueError(f"the weights do not match the model: {', '.join(mismatched[:3])} ...")
        self.model = model.to(device).eval()
        self.features = SpeechT5FeatureExtractor()
        self.sample_rate = self.model.config.sampling_rate

    @torch.inference_mode()
    def __call__(self, waveform: Waveform, sample_rate: int, seed: int = 0) -> tuple[Waveform, int]:
        """Re-synthesize a waveform."""
        signal = _resample(waveform, sample_rate, self.sample_rate).numpy()
        spectrogram = self.features(audio_target=signal, sampling_rate=self.sample_rate, return_tensors="pt")
        again = self.model(spectrogram["input_values"].to(self.model.device)).squeeze()
        return again.cpu().numpy().astype(np.float64), self.sample_rate


def _resample(waveform: Waveform, sample_rate: int, new_rate: int) -> torch.Tensor:
    signal = torch.as_tensor(waveform, dtype=torch.float32)
    signal = torchaudio.functional.resample(signal, sample_rate, new_rate)
    return torch.nn.functional.pad(signal, (0, max(1024 - len(signal), 0)))  # at least one frame


def load_vocoder(name: str, device: str = "cpu") -> Vocoder:
    """Load a vocoder by name.

    Arguments
    ---------
    name : str
        ``world``, ``griffin_lim``, ``speechbrain:SOURCE`` or ``transformers:SOURCE``.
    device : str
        Device of a neural vocoder.

    Returns
    -------
    callable
        Function of waveform, sample rate and seed that returns a waveform and its sample rate.

    Raises
    ------
    InputError
        When the name is unknown or the source cannot be loaded.

    Example
    -------
    >>> load_vocoder("griffin_lim").__name__
    'griffin_lim'
    """
    plain: dict[str, Vocoder] = {"world": world, "griffin_lim": griffin_lim}
    neural: dict[str, Callable[[str, str], Vocoder]] = {
        "speechbrain": SpeechBrainVocoder,
        "transformers": TransformersVocoder,
    }
    if name in plain:
        return plain[name]
    kind, _, source = name.partition(":")
    if kind not in neural or not source:
        raise InputError(
            f"the vocoder '{name}' is unknown; use world, griffin_lim, speechbrain:SOURCE or transformers:SOURCE"
        )
    try:
        return neural[kind](source, device)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"the vocoder '{name}' cannot be loaded: {' '.join(str(error).split())[:200]}") from None


def resynthesize(vocoder: Vocoder, waveform: Waveform, sample_rate: int, seed: int) -> tuple[Waveform, int]:
    """Re-synthesize a recording with the same level and length, so that these do not reveal the vocoder.

    Arguments
    ---------
    vocoder : callable
        The result of :func:`load_vocoder`.
    waveform : array
        Shape [time].
    sample_rate : int
        Sample rate in Hz.
    seed : int
        Seed for vocoders that use random numbers.

    Returns
    -------
    waveform : array
        Waveform with the length and power of the source. The power is lower if the peak would otherwise exceed 0.99.
    sample_rate : int
        Sample rate of the vocoder in Hz.

    Example
    -------
    >>> noise = 0.1 * np.random.default_rng(1).standard_normal(8001)
    >>> again, rate = resynthesize(griffin_lim, noise, 8000, seed=1)
    >>> len(again), rate, round(float(np.std(again)), 3)
    (8001, 8000, 0.1)
    """
    again, rate = vocoder(waveform, sample_rate, seed)
    length = ceil(len(waveform) * rate / sample_rate)
    again = np.pad(again[:length], (0, max(length - len(again), 0)))
    source_power, power = np.mean(np.square(waveform)), np.mean(np.square(again))
    again = again * np.sqrt(source_power / power) if power > 0 else again
    return again * min(1.0, PEAK / max(float(np.abs(again).max()), 1e-12)), rate
