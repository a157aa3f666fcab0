"""The decision: what a score means at a threshold."""

UNSURE = "unsure"


def decide(score: float, threshold: float, is_ood: bool = False) -> str:
    """Decide on a recording.

    Arguments
    ---------
    score : float
        Logit of real minus logit of fake.
    threshold : float
        Of the model folder.
    is_ood : bool
        Whether the recording is out of distribution.

    Returns
    -------
    str
        ``unsure`` when the recording is out of distribution; else ``real`` for a score at or above the threshold, and
        ``fake`` below it.

    Example
    -------
    >>> decide(0.5, 0.5), decide(0.4, 0.5), decide(0.5, 0.5, is_ood=True)
    ('real', 'fake', 'unsure')
    """
    if is_ood:
        return UNSURE
    return "real" if score >= threshold else "fake"
