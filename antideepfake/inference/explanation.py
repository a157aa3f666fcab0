"""What a score rests on: parts of a recording are occluded one by one, and the change of its score is measured."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from antideepfake.audio.samples import SAMPLE_RATE, Samples
from antideepfake.errors import InputError

WINDOW, HOP = 512, 128  # samples: 32 ms resolve the harmonics of a voice, 8 ms its plosives
BAND_EDGES = np.array([0.0, 300, 600, 1000, 1500, 2200, 3000, 4000, 5500, 8000])  # Hz, wider where hearing is coarser
MARKED = 0.1  # part of the cells that is marked
RANDOM = 40  # random occlusions: the standard error of a correlation of 0 is 0.16


@dataclass(frozen=True)
class Explanation:
    """What a score rests on; :func:`explain_score` computes it.

    An effect is the score of the recording minus its score with a part occluded: below 0 where the part makes the
    recording look fake, above 0 where it makes it look real.

    Arguments
    ---------
    score : float
        Of the recording.
    times : array
        Edges of the spans, in seconds; shape [spans + 1].
    frequencies : array
        Edges of the bands, in Hz; shape [bands + 1].
    cell_effects : array
        Effect of each band in each span; shape [bands, spans].
    span_effects, band_effects : array
        Effects of whole spans and of whole bands.
    is_marked : array
        The tenth of the cells that push the score most to the side on which it is; shape [bands, spans].
    marked_score : float
        Score with all marked cells occluded at once.
    share : float
        Share of the score that the effects explain, from 0 to 1: over random occlusions of a quarter of the cells, the
        squared correlation of the score with the sum of their effects. NaN if the score never changes. Where it is low,
        the score is not a sum of what single cells contribute, and the effects mean little.
    """

    score: float
    times: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    cell_effects: NDArray[np.float64]
    span_effects: NDArray[np.float64]
    band_effects: NDArray[np.float64]
    is_marked: NDArray[np.bool_]
    marked_score: float
    share: float


def explain_score(
    score: Callable[[Iterable[Samples]], Iterable[float]],
    samples: Samples,
    threshold: float,
    rng: np.random.Generator,
    span_seconds: float = 0.5,
) -> Explanation:
    """Measure what the score of a recording rests on (occlusion, Zeiler and Fergus 2014).

    Where a part is occluded, what is louder than the background of its frequency, the 5th percentile over time, is
    lowered to it. The phases stay.

    Arguments
    ---------
    score : callable
        Computes the scores of several recordings: of samples at 16 kHz, shape [time].
    samples : array
        The recording: mono, 16 kHz, shape [time].
    threshold : float
        Of the decision: cells are marked for a fake recording if its score is below it, for a real one otherwise.
    rng : numpy.random.Generator
        Of the random occlusions.
    span_seconds : float
        Length of a span, at least 0.05 s. A phone takes about 0.1 s, a syllable 0.2 s.

    Raises
    ------
    InputError
        If the recording is shorter than two spans, or ``span_seconds`` is out of range.

    Example
    -------
    >>> noise = np.random.default_rng(1).normal(size=32000).astype(np.float32)
    >>> def listen(recordings):  # to the energy of its first half second
    ...     return [float(np.log(np.square(samples[:8000]).mean())) for samples in recordings]
    >>> explanation = explain_score(listen, noise, -99.0, np.random.default_rng(1))
    >>> int(explanation.span_effects.argmax()), len(explanation.span_effects)
    (0, 4)
    """
    if not span_seconds >= 0.05:
        raise InputError(f"the length of a span is {span_seconds} s; it must be at least 0.05 s")
    duration = len(samples) / SAMPLE_RATE
    n_spans = round(duration / span_seconds)
    if n_spans < 2:
        raise InputError(f"the recording has {duration:.2f} s; an explanation needs two spans of {span_seconds:g} s")
    times, n_bands = np.linspace(0, duration, n_spans + 1), len(BAND_EDGES) - 1
    occlusion = _Occlusion(samples, times)

    random = rng.random((RANDOM, n_bands, n_spans)) < 0.25

    def masks() -> Iterator[NDArray[np.bool_]]:
        yield np.zeros((n_bands, n_spans), dtype=bool)
        for shape in ((n_bands, 1), (1, n_spans), (n_bands, n_spans)):
            for cell in np.eye(shape[0] * shape[1], dtype=bool):
                yield np.broadcast_to(cell.reshape(shape), (n_bands, n_spans))
        yield from random

    plain, *others = score(map(occlusion.apply, masks()))
    parts = np.cumsum([n_bands, n_spans, n_bands * n_spans])
    bands, spans, cells, drops = np.split(plain - np.array(others), parts)
    cells = cells.reshape(n_bands, n_spans)
    pushes = -cells if plain < threshold else cells
    n_marked = max(1, round(MARKED * cells.size))
    is_marked = (pushes > 0) & (pushes >= np.sort(pushes, axis=None)[-n_marked])
    (marked_score,) = score([occlusion.apply(is_marked)])
    sums = (random * cells).sum((1, 2))
    changes = sums.std() > 0 and drops.std() > 0
    share = float(np.corrcoef(sums, drops)[0, 1]) ** 2 if changes else float("nan")
    return Explanation(plain, times, BAND_EDGES, cells, spans, bands, is_marked, marked_score, share)


class _Occlusion:
    """Lowers cells of the spectrogram of a recording to its background."""

    def __init__(self, samples: Samples, times: NDArray[np.float64]) -> None:
        self._transform = ShortTimeFFT(hann(WINDOW, sym=False), HOP, SAMPLE_RATE)
        self._count = len(samples)
        padded = np.pad(np.asarray(samples, np.float64), (0, max(0, WINDOW - len(samples))))
        self._spectrum = self._transform.stft(padded)
        magnitudes = np.abs(self._spectrum)
        background = np.percentile(magnitudes, 5, axis=1, keepdims=True)
        self._factors = np.minimum(1, background / np.maximum(magnitudes, 1e-12))
        frames = self._transform.t(len(padded))
        self._spans = np.clip(np.searchsorted(times, frames, "right") - 1, 0, len(times) - 2)
        bins = self._transform.f
        self._bands = np.clip(np.searchsorted(BAND_EDGES, bins, "right") - 1, 0, len(BAND_EDGES) - 2)

    def apply(self, mask: NDArray[np.bool_]) -> Samples:
        """Occlude the cells of ``mask``, [bands, spans]."""
        factors = np.where(mask[self._bands][:, self._spans], self._factors, 1.0)
        samples = self._transform.istft(self._spectrum * factors, k1=max(self._count, WINDOW))
        return samples[: self._count].astype(np.float32)
