"""Split a corpus that has no official split."""

from collections.abc import Sequence

import numpy as np

from antideepfake.errors import InputError
from antideepfake.protocol.table import LABELS, SPLITS


def assign_splits(
    labels: Sequence[str],
    groups: Sequence[str],
    rng: np.random.Generator,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
) -> list[str]:
    """Assign every utterance to train, valid or test, so that no group is in two splits.

    Groups are assigned from the largest to the smallest, in random order among groups of equal size. Each group is
    assigned to the split that needs its labels most.

    Arguments
    ---------
    labels : sequence of str
        Label of each utterance, ``real`` or ``fake``.
    groups : sequence of str
        Group of each utterance: its speaker, or its ID if utterances can be assigned independently.
    rng : numpy.random.Generator
        Random generator for the order of the groups.
    fractions : tuple of float
        Target fractions of train, valid and test.

    Returns
    -------
    list of str
        The Proportion of each utterance.

    Raises
    ------
    InputError
        When there are too few groups for both labels in every split.

    Example
    -------
    >>> speakers = ["ann", "bob", "cem", "dot"] * 4
    >>> labels = ["real", "real", "real", "real", "fake", "fake", "fake", "fake"] * 2
    >>> splits = assign_splits(labels, speakers, np.random.default_rng(1))
    >>> len({(speaker, split) for speaker, split in zip(speakers, splits)})
    4
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), len(LABELS)))
    np.add.at(counts, (members, np.array([LABELS.index(label) for label in labels])), 1)
    totals = np.maximum(counts.sum(0), 1)
    lacking = np.outer(fractions, np.ones(len(LABELS)))  # fraction of each label that each split still needs
    choice = np.empty(len(names), dtype=int)
    order = rng.permutation(len(names))
    for group in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        has = counts[group] > 0
        # relative to the target fraction, so that small splits are not filled last
        choice[group] = int((lacking[:, has] / np.asarray(fractions)[:, None]).max(1).argmax())
        lacking[choice[group]] -= counts[group] / totals
    splits = [SPLITS[choice[member]] for member in members]
    for split in SPLITS:
        for label in LABELS:
            if not any(pair == (split, label) for pair in zip(splits, labels, strict=True)):
                raise InputError(f"too few speakers or utterances: the {split} set would have no {label} utterance")
    return splits
