"""Geometry of the page's pictures, in per cent of their width and height."""

import base64
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
from numpy.typing import ArrayLike, NDArray

from antideepfake.inference.timeline import Timeline
from antideepfake.page.sound import BANDS, Sound

POINTS = 1000  # of a curve
HIGHEST = BANDS * 125 // 1000  # kHz, of the spectrogram


@dataclass(frozen=True)
class Histogram:
    """The scores of real and fake validation recordings, and where a score lies among them.

    Arguments
    ---------
    real, fake : str
        Points of the polygons, each in a box of 100 by 100.
    score, threshold : float
        Their places from the left.
    real_below, fake_below : float
        Per cent of the validation recordings that have a lower score.
    low, high : float
        Scores at the left and the right end.
    """

    real: str
    fake: str
    score: float
    threshold: float
    real_below: float
    fake_below: float
    low: float
    high: float


def draw_histogram(values: dict[str, list[float]], score: float, threshold: float) -> Histogram:
    """Draw the histogram of a model folder.

    Arguments
    ---------
    values : dict
        ``validation_scores`` of :class:`antideepfake.model_folder.ModelMetadata`; not empty.
    score, threshold : float
        Of the recording, and of the model folder.

    Returns
    -------
    Histogram
        Wide enough for the score and the threshold. Each class is as high as the picture.

    Example
    -------
    >>> drawn = draw_histogram({"edges": [0, 1, 2], "real": [1, 3], "fake": [2, 0]}, 1.0, 2.0)
    >>> drawn.score, drawn.real_below, drawn.fake_below, drawn.low, drawn.high
    (50.0, 25.0, 100.0, -0.1, 2.1)
    """
    edges = np.asarray(values["edges"], np.float64)
    low, high = min(edges[0], score, threshold), max(edges[-1], score, threshold)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)

    def place(x: ArrayLike) -> NDArray[np.float64]:
        return 100 * (np.asarray(x, np.float64) - low) / (high - low)

    polygons, below = [], []
    for name in ("real", "fake"):
        counts = np.asarray(values[name], np.float64)
        heights = 100 - 95 * counts / max(counts.max(), 1)
        polygons.append(_points(place(np.repeat(edges, 2)), [100, *np.repeat(heights, 2), 100]))
        shares = np.append(0, np.cumsum(counts)) / max(counts.sum(), 1)
        below.append(round(100 * float(np.interp(score, edges, shares)), 1))
    return Histogram(
        real=polygons[0],
        fake=polygons[1],
        score=float(place(score)),
        threshold=float(place(threshold)),
        real_below=below[0],
        fake_below=below[1],
        low=round(float(low), 4),
        high=round(float(high), 4),
    )


@dataclass(frozen=True)
class Track:
    """The timeline of a recording over its waveform and spectrogram.

    Arguments
    ---------
    waveform, scores : str
        Points of a polygon and of a curve, each in a box of 100 by 100.
    threshold : float
        Place of the threshold from the top of the scores.
    highest, lowest : float
        Scores at the top and at the bottom.
    spectrogram : str
        A PNG as a data URI.
    sound_width : float
        Width of the spectrogram and the waveform; the last column may end after the recording.
    spans : list of (float, float, str)
        Left end, width and label of the segments.
    ticks : list of (float, float)
        Places and times in seconds.
    """

    waveform: str
    scores: str
    threshold: float
    highest: float
    lowest: float
    spectrogram: str
    sound_width: float
    spans: list[tuple[float, float, str]]
    ticks: list[tuple[float, float]]


def draw_track(timeline: Timeline, threshold: float, sound: Sound) -> Track:
    """Draw a timeline.

    Arguments
    ---------
    timeline : Timeline
        Scores over time.
    threshold : float
        A score at or above it counts as real.
    sound : Sound
        The recording.

    Returns
    -------
    Track
        The time of a place is the place times the duration.
    """
    width = 100 * len(sound.envelope) * sound.column_seconds / sound.duration
    x = np.linspace(0, 100, len(sound.envelope))
    peak = max(float(np.abs(sound.envelope).max()), 1e-6)
    upper, lower = 50 - 48 * sound.envelope[:, 1] / peak, 50 - 48 * sound.envelope[:, 0] / peak
    waveform = _points(np.concatenate([x, x[::-1]]), np.concatenate([upper, lower[::-1]]))

    group = -(-len(timeline.scores) // POINTS)  # steps in a point of the curve
    starts = np.arange(0, len(timeline.scores), group)
    scores = np.add.reduceat(timeline.scores, starts) / np.diff(np.append(starts, len(timeline.scores)))
    lowest, highest = min(scores.min(), threshold), max(scores.max(), threshold)
    margin = max(0.08 * (highest - lowest), 0.05)
    lowest, highest = lowest - margin, highest + margin
    ends = np.append(starts, len(timeline.scores)) * 100 * timeline.step / timeline.duration
    heights = 100 * (highest - scores) / (highest - lowest)
    curve = _points(np.minimum(np.repeat(ends, 2)[1:-1], 100), np.repeat(heights, 2))
    spans = [
        (100 * segment.start / sound.duration, 100 * (segment.end - segment.start) / sound.duration, segment.label)
        for segment in timeline.segments(threshold)
    ]
    return Track(
        waveform=waveform,
        scores=curve,
        threshold=float(100 * (highest - threshold) / (highest - lowest)),
        highest=float(highest),
        lowest=float(lowest),
        spectrogram=_draw_spectrogram(sound.spectrogram),
        sound_width=width,
        spans=spans,
        ticks=[(100 * time / sound.duration, time) for time in _choose_ticks(sound.duration)],
    )


def _points(x: ArrayLike, y: ArrayLike) -> str:
    pairs = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], 1).round(2).tolist()
    return " ".join(f"{left:g},{top:g}" for left, top in pairs)


def _draw_spectrogram(spectrogram: NDArray[np.float32]) -> str:
    """Color a spectrogram, lowest frequency at the bottom."""
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, spectrogram.T[::-1], cmap=matplotlib.colormaps["magma"], vmin=0, vmax=1, format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _choose_ticks(duration: float) -> list[float]:
    """Choose up to five round times; the first is 0.

    Example
    -------
    >>> _choose_ticks(77.0), _choose_ticks(1800.0)
    ([0.0, 20.0, 40.0, 60.0], [0.0, 600.0, 1200.0])
    """
    steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200]
    step = next((step for step in steps if 4 * step >= 0.9 * duration), duration)
    times = [float(time) for time in np.arange(0, 0.97 * duration, step).round(3)]
    return times or [0.0]
