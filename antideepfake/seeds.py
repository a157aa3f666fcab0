"""Seeds that follow from what they are for, so that nothing depends on the order in which things happen."""

import hashlib


def derive_seed(*parts: object) -> int:
    """Make a seed of a run's seed and the names or numbers of what it is for.

    A run that was resumed, or that has another number of workers or processes, draws the same numbers, and no state of
    a generator has to be kept.

    Arguments
    ---------
    *parts : object
        What the seed depends on, by their text: the seed of the run, the epoch, the identifier of an utterance ...

    Returns
    -------
    int
        In [0, 2**63).

    Example
    -------
    >>> derive_seed(1234, 0, "LJ001-0001") == derive_seed(1234, 0, "LJ001-0001")
    True
    >>> derive_seed(1234, 0, "LJ001-0001") == derive_seed(1234, 1, "LJ001-0001")
    False
    """
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(errors="backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
