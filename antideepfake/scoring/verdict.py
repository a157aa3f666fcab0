"""The verdict on one recording, in words."""

from antideepfake.inference.scores import FileScore
from antideepfake.model_folder.metadata import ModelMetadata

CERTAIN, LIKELY = 0.99, 0.9  # probabilities from which a verdict is "very likely" and "likely"


def format_time(seconds: float) -> str:
    """Format a time as minutes and seconds, with hours where there are any.

    Example
    -------
    >>> format_time(75.25), format_time(3675)
    ('1:15.2', '1:01:15.0')
    """
    tenths = int(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def judge(result: FileScore) -> str:
    """Say in words what the score of a recording means.

    Arguments
    ---------
    result : FileScore
        A recording with a score.

    Returns
    -------
    str
        With the calibrated probability, if the model folder has a calibration. It assumes that real and fake are
        equally likely before anything is heard.

    Example
    -------
    >>> judge(FileScore("a.wav", (0.0, 3.0), threshold=1.0))
    'real, by the threshold (not calibrated: no probability can be given)'
    """
    if result.is_ood:
        return "unsure: the recording is out of distribution"
    if result.speech == 0:
        return "unsure: no speech was found"
    if not result.calibration:
        return f"{result.decision}, by the threshold (not calibrated: no probability can be given)"
    real = result.probability
    side, probability = ("real", real) if real >= 0.5 else ("fake", 1 - real)
    if probability < LIKELY:
        return f"uncertain: {100 * probability:.0f} % {side}"
    return f"{'very likely' if probability >= CERTAIN else 'likely'} {side} ({format_percent(probability)} {side})"


def format_percent(probability: float) -> str:
    """Format a probability without ever promising certainty.

    Example
    -------
    >>> format_percent(0.934), format_percent(0.99999)
    ('93 %', 'more than 99.9 %')
    """
    return "more than 99.9 %" if probability > 0.999 else f"{100 * probability:.{1 if probability > 0.99 else 0}f} %"


def explain(result: FileScore, metadata: ModelMetadata, knows_its_data: bool = False) -> list[tuple[str, str]]:
    """Say what a verdict rests on.

    Arguments
    ---------
    result : FileScore
        A recording with a score.
    metadata : ModelMetadata
        Of the detector.
    knows_its_data : bool
        Whether the detector has an out-of-distribution detector.

    Returns
    -------
    list of (str, str)
        Names and texts, in the order in which to show them.

    Example
    -------
    >>> dict(explain(FileScore("a.wav", (0.0, 3.0), 1.0, windows=1, duration=2.0), ModelMetadata(1.0)))["score"]
    '3.00, above the threshold 1.00'
    """
    side = "above" if result.score >= result.threshold else "below"
    judged = format_time(result.duration)
    if result.speech == result.speech:  # measured
        judged = f"{format_time(result.speech)} of speech in {judged}"
    if result.windows > 1:
        judged += f", {result.windows} windows"
    rows = [
        ("verdict", judge(result)),
        ("score", f"{result.score:.2f}, {side} the threshold {result.threshold:.2f}"),
        ("threshold", metadata.threshold_source),
        ("judged", judged),
        (
            "familiar",
            _describe_distance(result.is_ood) if knows_its_data else "unknown: no out-of-distribution detector",
        ),
        ("trained on", ", ".join(metadata.training_corpora) or "unknown"),
    ]
    segments = result.timeline.most_suspicious(result.threshold) if result.timeline else []
    spans = [f"{format_time(start)} to {format_time(end)} ({score:.2f})" for start, end, score, _ in segments]
    if result.timeline:
        rows.append(("most suspicious", ", ".join(spans) or "no speech is below the threshold"))
    return rows


def _describe_distance(is_ood: bool) -> str:
    return "no: the recording is out of distribution" if is_ood else "yes: the recording is like the reference data"
