"""Shortcuts: properties without speech content that separate the classes of a corpus.

A detector learns the simplest property that separates its classes. If spoofed utterances are shorter, louder or have a
wider band than bona fide ones, it may learn only this: it then has few errors on the same corpus and many on others.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.speech import find_speech_frames
from antideepfake.metrics.rates import roc_auc, sort_trials
from antideepfake.parallel import map_in_order
from antideepfake.protocol.table import SPLITS, resolve_path

LIMIT = 0.65
"""A property with an AUC above this limit, or below one minus this limit, is a shortcut."""

FRAME_SECONDS = 0.01  # length of a frame, in seconds
FLOOR = 1e-12  # power of digital silence: -120 dB
NOISE_MARGIN = 3.0  # dB by which the mean spectrum of stationary noise fluctuates at most
WINDOWS = 1024  # of a spectrum at once: some MB
DEEPEST_FLOOR, HIGHEST_FLOOR = 60.0, 20.0  # dB below the peak of a spectrum: limits of its noise floor


def measure_properties(samples: NDArray[np.floating], sample_rate: int) -> dict[str, float]:
    """Measure properties of a recording that do not depend on how the speech was made.

    Arguments
    ---------
    samples : array
        Samples in [-1, 1], shape [time] or [time, channels]; channels are averaged.
    sample_rate : int
        Sample rate in Hz.

    Returns
    -------
    dict
        ``duration`` (s); ``level`` (power, dB of full scale); ``bandwidth`` (Hz: see :func:`measure_bandwidth`);
        ``noise floor`` (dB of full scale: 5th percentile of the power of 10 ms frames); ``leading silence`` and
        ``trailing silence`` (s, before the first and after the last frame within 35 dB of the loudest); ``peak``
        (largest absolute sample); ``DC`` (mean of the samples).

    Example
    -------
    >>> tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> measure_properties(tone, 16000)["bandwidth"] < 1400
    True
    """
    samples = np.asarray(samples, dtype=np.float64)
    samples = samples.mean(1) if samples.ndim == 2 else samples
    frame = max(round(FRAME_SECONDS * sample_rate), 1)
    # An utterance shorter than a frame is one frame.
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame) if len(samples) >= frame else samples[None]
    powers = 10 * np.log10(np.mean(frames**2, axis=1) + FLOOR)
    is_speech = find_speech_frames(frames.ravel(), frames.shape[1])
    return {
        "duration": len(samples) / sample_rate,
        "level": float(10 * np.log10(np.mean(samples**2) + FLOOR)),
        "bandwidth": measure_bandwidth(samples, sample_rate),
        "noise floor": float(np.percentile(powers, 5)),
        "leading silence": float(np.argmax(is_speech)) * FRAME_SECONDS,
        "trailing silence": float(np.argmax(is_speech[::-1])) * FRAME_SECONDS,
        "peak": float(np.abs(samples).max()),
        "DC": float(samples.mean()),
    }


def measure_bandwidth(samples: NDArray[np.floating], sample_rate: int) -> float:
    """Measure where the band of a recording ends, also above a background of noise.

    The spectrum, in dB, is the mean over 32 ms windows. Its noise floor is its 5th percentile plus 3 dB, but lies 20 to
    60 dB below its peak. The band ends at the frequency below which 99 % of what exceeds the floor lies: of dB, because
    nearly all energy of speech is below 4 kHz, whatever the band.

    Arguments
    ---------
    samples : array
        Shape [time].
    sample_rate : int
        Sample rate in Hz.

    Returns
    -------
    float
        Frequency in Hz.

    Example
    -------
    >>> from scipy import signal
    >>> noise = np.random.default_rng(1).normal(size=32000)
    >>> telephone = signal.sosfilt(signal.ellip(10, 0.1, 70, 3400, fs=16000, output="sos"), noise)
    >>> 3300 < measure_bandwidth(telephone + 0.003 * noise, 16000) < 3700
    True
    """
    size = min(round(0.032 * sample_rate), len(samples))
    frequencies, spectrum = np.fft.rfftfreq(size, 1 / sample_rate), _average_spectrum(samples, size)
    decibels = 10 * np.log10(spectrum + np.finfo(np.float64).tiny)
    peak = decibels.max()
    noise = np.percentile(decibels, 5) + NOISE_MARGIN
    excess = np.maximum(decibels - np.clip(noise, peak - DEEPEST_FLOOR, peak - HIGHEST_FLOOR), 0).cumsum()
    return float(frequencies[np.searchsorted(excess, 0.99 * excess[-1])])


def _average_spectrum(samples: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """Compute a spectrum as ``scipy.signal.welch`` does, but for a factor, and without its loop over windows."""
    window = np.hanning(size + 1)[:-1]
    windows = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size - size // 2]
    spectrum = np.zeros(size // 2 + 1)
    for start in range(0, len(windows), WINDOWS):
        some = windows[start : start + WINDOWS]
        some = (some - some.mean(1, keepdims=True)) * window
        spectrum += (np.abs(np.fft.rfft(some)) ** 2).sum(0)
    spectrum[1 : (size + 1) // 2] *= 2  # negative frequencies; those of DC and of half the sample rate are these
    return spectrum / len(windows)


def measure_shortcuts(
    protocol: pd.DataFrame,
    data_folder: str | os.PathLike,
    quiet: bool = False,
    num_workers: int = 0,
    scheduler: str | None = None,
) -> pd.DataFrame:
    """Measure how well each property alone separates the classes of a corpus.

    Arguments
    ---------
    protocol : pandas.DataFrame
        Protocol of the corpus.
    data_folder : str or Path
        Folder that ``$ROOT`` stands for.
    quiet : bool
        Show no progress bar.
    num_workers : int
        Processes that read the files; 0 for this one alone.
    scheduler : str, optional
        Address of a Dask scheduler whose workers read the files (:func:`antideepfake.parallel.map_in_order`).

    Returns
    -------
    pandas.DataFrame
        AUC of each property (rows), over the whole corpus (column ``all``) and in each split that has both classes.
    """
    paths = [resolve_path(path, data_folder).absolute() for path in protocol["Path"]]
    measured = map_in_order(_measure_file, paths, num_workers, scheduler, chunk_size=16)
    progress = tqdm(measured, desc="measuring utterances", total=len(paths), unit="file", disable=quiet)
    properties = pd.DataFrame(list(progress))
    is_real = (protocol["Label"] == "real").to_numpy()
    splits = {"all": np.ones(len(protocol), dtype=bool)}
    splits |= {split: (protocol["Proportion"] == split).to_numpy() for split in SPLITS}
    areas = {
        split: {
            name: float(roc_auc(sort_trials(values[inside & is_real], values[inside & ~is_real])))
            for name, values in ((column, properties[column].to_numpy()) for column in properties)
        }
        for split, inside in splits.items()
        if (inside & is_real).any() and (inside & ~is_real).any()
    }
    return pd.DataFrame(areas)


def find_shortcuts(areas: pd.DataFrame) -> list[str]:
    """Return the properties that separate the classes of the whole corpus too well.

    Arguments
    ---------
    areas : pandas.DataFrame
        AUC of each property, as :func:`measure_shortcuts` returns them.

    Returns
    -------
    list of str
        Properties with an AUC above ``LIMIT`` or below ``1 - LIMIT``.

    Example
    -------
    >>> find_shortcuts(pd.DataFrame({"all": {"duration": 0.5, "peak": 0.3}}))
    ['peak']
    """
    distances = (areas["all"] - 0.5).abs()
    return [str(name) for name in areas.index[distances > LIMIT - 0.5]]


def format_shortcuts(areas: pd.DataFrame) -> str:
    """Format the result of :func:`measure_shortcuts` for a terminal.

    Arguments
    ---------
    areas : pandas.DataFrame
        AUC of each property, as :func:`measure_shortcuts` returns them.

    Returns
    -------
    str
        One line per property.

    Example
    -------
    >>> print(format_shortcuts(pd.DataFrame({"all": {"duration": 0.5, "peak": 0.3}})))
    AUC of one property       all
    duration                 0.50
    peak                     0.30  shortcut
    """
    shortcuts = find_shortcuts(areas)
    lines = ["AUC of one property" + "".join(f"{split:>10}" for split in areas)]
    for name, row in areas.iterrows():
        line = f"{name!s:<19}" + "".join(f"{area:>10.2f}" for area in row)
        lines.append(line + ("  shortcut" if name in shortcuts else ""))
    return "\n".join(lines)


def _measure_file(path: Path) -> dict[str, float]:
    with open_audio(path) as file:
        return measure_properties(np.concatenate(list(file.blocks())), file.samplerate)
