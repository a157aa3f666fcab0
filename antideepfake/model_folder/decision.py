"""The decision for a recording: real, fake or unsure."""

UNSURE = "unsure"


def decide(score: float, threshold: float, is_ood: bool = False) -> str:
    """Return the decision for a recording.

    Arguments
    ---------
    score : float
        Logit of real minus logit of fake.
    threshold : float
        Threshold of the model folder.
    is_ood : bool
        Whether the recording is out of distribution.

    Returns
    -------
    str
        ``unsure`` if the recording is out of distribution; otherwise ``real`` for a score at or above the threshold,
        and ``fake`` for a lower one.

    Example
    -------
    >>> decide(0.5, 0.5), decide(0.4, 0.5), decide(0.5, 0.5, is_ood=True)
    ('real', 'fake', 'unsure')
    """
    if is_ood:
        return UNSURE
    return "real" if score >= threshold else "fake"
