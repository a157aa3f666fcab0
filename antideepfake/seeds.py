"""Derive seeds from their purpose, so that random numbers do not depend on the order of execution."""

import hashlib


def derive_seed(*parts: object) -> int:
    """Derive a seed from the seed of a run and from what the random numbers are for.

    A resumed run, or a run with another number of workers or processes, samples the same random numbers. No state of a
    random generator needs to be saved.

    Arguments
    ---------
    *parts : object
        Values whose text determines the seed, such as the seed of the run, the epoch and the ID of an utterance.

    Returns
    -------
    int
        A seed in [0, 2**63).

    Example
    -------
    >>> derive_seed(1234, 0, "LJ001-0001") == derive_seed(1234, 0, "LJ001-0001")
    True
    >>> derive_seed(1234, 0, "LJ001-0001") == derive_seed(1234, 1, "LJ001-0001")
    False
    """
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(errors="backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
