"""Re-synthesis: real speech through a vocoder, as the last step of a text-to-speech system would have made it.

A vocoder takes a waveform of 16 bits or more (float64, shape [time], in [-1, 1]), its rate in Hz and a seed, and gives
another waveform and its rate.
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
FRAME_SECONDS = 0.064  # of Griffin-Lim: 1024 samples at 16 kHz
ITERATIONS = 32
HOP = 256  # of the neural ones, samples
PEAK = 0.99


def world(waveform: Waveform, sample_rate: int, seed: int = 0) -> tuple[Waveform, int]:
    """Analysis and synthesis by WORLD (Morise, Yokomori, Ozawa 2016): pitch, spectral envelope, aperiodicity.

    Arguments
    ---------
    waveform : array
        Shape [time].
    sample_rate : int
        Hz; it stays.
    seed : int
        Not used: nothing is drawn.

    Returns
    -------
    waveform : array
        Some samples longer or shorter.
    sample_rate : int
        Hz.

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
    """Phases estimated (Griffin and Lim 1984, the fast form) from a mel spectrogram of 80 bands.

    Arguments
    ---------
    waveform : array
        Shape [time].
    sample_rate : int
        Hz; it stays. Frames last 64 ms or a little less and follow one another after a quarter of that.
    seed : int
        Of the first phases.

    Returns
    -------
    waveform : array
        Some samples longer or shorter.
    sample_rate : int
        Hz.

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
    signal = torch.nn.functional.pad(signal, (0, max(size - len(signal), 0)))  # a frame at least
    power = torchaudio.transforms.Spectrogram(**sizes)(signal)
    banks = torchaudio.functional.melscale_fbanks(size // 2 + 1, 0.0, sample_rate / 2, MELS, sample_rate, norm="slaney")
    smooth = (power.T @ (banks @ torch.linalg.pinv(banks))).clamp(min=1e-10).T
    with torch.random.fork_rng(devices=[]):  # torchaudio draws from the global generator
        torch.manual_seed(seed)
        again = torchaudio.transforms.GriffinLim(n_iter=ITERATIONS, **sizes)(smooth)
    return again.numpy().astype(np.float64), sample_rate


class SpeechBrainVocoder:
    """A HiFi-GAN of SpeechBrain's, such as ``speechbrain/tts-hifigan-libritts-16kHz``.

    Arguments
    ---------
    source : str
        A folder, or an id on the Hugging Face hub. Its hyperparams.yaml can run code: only of those that you trust. Its
        weights are read with torch's ``weights_only``, SpeechBrain's and torch's default.
    device : str
        ``cpu``, ``cuda`` ...

    Notes
    -----
    The spectrogram is that of SpeechBrain's own training recipe: frames of 1024 samples every 256, 80 bands to 8 kHz.
    The rate is ``sample_rate`` of its hyperparams.yaml, 16 kHz where it has none.
    """

    def __init__(self, source: str, device: str = "cpu") -> None:
        from speechbrain.inference.vocoders import HIFIGAN

        self.model = HIFIGAN.from_hparams(source=source, savedir=None, run_opts={"device": device})
        self.sample_rate = int(getattr(self.model.hparams, "sample_rate", 16000))

    @torch.inference_mode()
    def __call__(self, waveform: Waveform, sample_rate: int, seed: int = 0) -> tuple[Waveform, int]:
        """Synthesise a waveform again."""
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
        # the generator repeats some frames before the first, as many as after the last
        before = self.model.hparams.generator.inference_padding * HOP
        return again[before:].cpu().numpy().astype(np.float64), self.sample_rate


class TransformersVocoder:
    """A HiFi-GAN of transformers', such as ``microsoft/speecht5_hifigan``: 16 kHz, with SpeechT5's mel spectrogram.

    Arguments
    ---------
    source : str
        A folder, or an id on the Hugging Face hub. Nothing in it runs.
    device : str
        ``cpu``, ``cuda`` ...
    """

    def __init__(self, source: str, device: str = "cpu") -> None:
        from transformers import SpeechT5FeatureExtractor, SpeechT5HifiGan

        loaded: Any = SpeechT5HifiGan.from_pretrained(source, output_loading_info=True)
        model, report = loaded
        # transformers fills missing weights with random numbers and only logs it
        if lacking := sorted(set(report["missing_keys"]) | set(report["unexpected_keys"])):
            raise ValueError(f"the weights do not match the model: {', '.join(lacking[:3])} ...")
        self.model = model.to(device).eval()
        self.features = SpeechT5FeatureExtractor()
        self.sample_rate = self.model.config.sampling_rate

    @torch.inference_mode()
    def __call__(self, waveform: Waveform, sample_rate: int, seed: int = 0) -> tuple[Waveform, int]:
        """Synthesise a waveform again."""
        signal = _resample(waveform, sample_rate, self.sample_rate).numpy()
        spectrogram = self.features(audio_target=signal, sampling_rate=self.sample_rate, return_tensors="pt")
        again = self.model(spectrogram["input_values"].to(self.model.device)).squeeze()
        return again.cpu().numpy().astype(np.float64), self.sample_rate


def _resample(waveform: Waveform, sample_rate: int, wanted: int) -> torch.Tensor:
    signal = torch.as_tensor(waveform, dtype=torch.float32)
    signal = torchaudio.functional.resample(signal, sample_rate, wanted)
    return torch.nn.functional.pad(signal, (0, max(1024 - len(signal), 0)))  # a frame at least


def load_vocoder(name: str, device: str = "cpu") -> Vocoder:
    """Give a vocoder by its name.

    Arguments
    ---------
    name : str
        ``world``, ``griffin_lim``, ``speechbrain:SOURCE`` or ``transformers:SOURCE``.
    device : str
        For the neural ones.

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
            f"the vocoder '{name}' is unknown; it is world, griffin_lim, speechbrain:... or transformers:..."
        )
    try:
        return neural[kind](source, device)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"the vocoder '{name}' cannot be loaded: {' '.join(str(error).split())[:200]}") from None


def resynthesize(vocoder: Vocoder, waveform: Waveform, sample_rate: int, seed: int) -> tuple[Waveform, int]:
    """Put a recording through a vocoder so that neither level nor length tells it from its source.

    Arguments
    ---------
    vocoder : callable
        As :func:`load_vocoder` gives.
    waveform : array
        Shape [time].
    sample_rate : int
        Hz.
    seed : int
        For vocoders that draw random numbers.

    Returns
    -------
    waveform : array
        As long as the source, of its power, and below 0.99 everywhere; for the last its power may be less.
    sample_rate : int
        Of the vocoder.

    Example
    -------
    >>> noise = 0.1 * np.random.default_rng(1).standard_normal(8001)
    >>> again, rate = resynthesize(griffin_lim, noise, 8000, seed=1)
    >>> len(again), rate, round(float(np.std(again)), 3)
    (8001, 8000, 0.1)
    """
    again, rate = vocoder(waveform, sample_rate, seed)
    wanted = ceil(len(waveform) * rate / sample_rate)
    again = np.pad(again[:wanted], (0, max(wanted - len(again), 0)))
    power, ours = np.mean(np.square(waveform)), np.mean(np.square(again))
    again = again * np.sqrt(power / ours) if ours > 0 else again
    return again * min(1.0, PEAK / max(float(np.abs(again).max()), 1e-12)), rate
