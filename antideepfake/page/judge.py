"""Judge recordings within limits, and say the result to programs."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antideepfake.errors import InputError
from antideepfake.inference.scores import FileScore
from antideepfake.page.sound import Sound, trace_sound
from antideepfake.scoring.verdict import judge as word_verdict

if TYPE_CHECKING:
    from antideepfake.inference.recordings import RecordingScorer


@dataclass(frozen=True)
class Limits:
    """What the page takes.

    Arguments
    ---------
    megabytes : float
        Size of a file.
    minutes : float
        Length of a recording.
    files : int
        Recordings that are dropped together.
    """

    megabytes: float = 200
    minutes: float = 60
    files: int = 20


@dataclass(frozen=True)
class Judgment:
    """A recording that was judged, or the reason why it could not be.

    Arguments
    ---------
    name : str
        Name of the file, without its folder.
    error : str
        Why there is no result; empty if there is one.
    result : FileScore, optional
        Its score and timeline.
    sound : Sound, optional
        What the page shows and plays of it.
    """

    name: str
    error: str = ""
    result: FileScore | None = None
    sound: Sound | None = None


class Judge:
    """A detector that judges files within limits.

    Arguments
    ---------
    detector : RecordingScorer
        The model.
    limits : Limits
        What it takes.
    batch_seconds : float
        As for :meth:`antideepfake.inference.Detector.score_files`.
    """

    def __init__(self, detector: "RecordingScorer", limits: Limits, batch_seconds: float = 16.0) -> None:
        self.detector = detector
        self.limits = limits
        self.batch_seconds = batch_seconds

    def judge(self, path: str | os.PathLike) -> Judgment:
        """Judge a file. Its content decides whether it is audio, not its name.

        Arguments
        ---------
        path : str or Path
            An uploaded file.

        Returns
        -------
        Judgment
            The result, or the reason why there is none, without the folder of the file.
        """
        path = Path(path)
        try:
            check_size(path, self.limits.megabytes)
            sound = trace_sound(path, 60 * self.limits.minutes)
        except InputError as error:
            return Judgment(path.name, _without_folder(str(error), path))
        (result,) = self.detector.score_files([path], self.batch_seconds, timeline=True)
        if result.error:
            return Judgment(path.name, _without_folder(result.error, path))
        return Judgment(path.name, "", result, sound)


def check_size(path: Path, megabytes: float) -> None:
    """Refuse a file that is too large, before anything reads it.

    Raises
    ------
    InputError
        When it is too large, or is gone.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> _ = path.write_bytes(bytes(2_000_000))
    >>> check_size(path, 1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    antideepfake.errors.InputError: ...a.wav: 2.0 MB, more than the 1 MB that this page takes
    """
    try:
        size = path.stat().st_size / 1e6
    except FileNotFoundError:
        raise InputError(f"{path}: it waited too long and was deleted; upload it again") from None
    if size > megabytes:
        raise InputError(f"{path}: {size:.1f} MB, more than the {megabytes:g} MB that this page takes")


def _without_folder(message: str, path: Path) -> str:
    """Remove the name of the file, which the page shows anyway, and its folder, which is nobody's business."""
    return message.removeprefix(f"{path}: ").replace(os.fspath(path), path.name)


def describe_judgment(judgment: Judgment) -> dict[str, Any]:
    """Describe a judgment for programs, as plain data.

    Arguments
    ---------
    judgment : Judgment
        A recording that was judged.

    Returns
    -------
    dict
        ``file`` and ``error``, which is None if the recording was judged. Then: ``verdict``, in words; ``decision``,
        ``real``, ``fake`` or ``unsure``; ``score`` and ``threshold``; ``probability`` of being real, None without a
        calibration; ``duration`` and ``speech`` in seconds; ``segments``, a list of ``start``, ``end``, ``score`` and
        ``label``.

    Example
    -------
    >>> described = describe_judgment(Judgment("a.wav", result=FileScore("a.wav", (0.0, 3.0), 1.0, duration=2.0)))
    >>> described["decision"], described["score"], described["probability"], described["error"]
    ('real', 3.0, None, None)
    >>> describe_judgment(Judgment("b.wav", "silent"))["error"]
    'silent'
    """
    result = judgment.result
    described: dict[str, Any] = {"file": judgment.name, "error": judgment.error or None}
    if not result:
        return described
    segments = result.timeline.segments(result.threshold) if result.timeline else []
    return described | {
        "verdict": word_verdict(result),
        "decision": result.decision,
        "score": result.score,
        "threshold": result.threshold,
        "probability": result.probability if result.calibration else None,
        "duration": result.duration,
        "speech": result.speech if result.speech == result.speech else None,
        "segments": [segment._asdict() for segment in segments],
    }
