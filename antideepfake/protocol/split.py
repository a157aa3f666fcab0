"""Dividing a corpus that has no split of its own."""

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
    """Give every utterance to train, valid or test, so that no group is in two of them.

    Groups are taken in random order, large ones first, and each goes to the split that lacks most of its labels.

    Arguments
    ---------
    labels : sequence of str
        ``real`` or ``fake`` of each utterance.
    groups : sequence of str
        What must stay together: the speaker of each utterance, or its ID where every utterance may go anywhere.
    rng : numpy.random.Generator
        Of the order.
    fractions : tuple of float
        Wanted shares of train, valid and test.

    Returns
    -------
    list of str
        The Proportion of each utterance.

    Raises
    ------
    InputError
        When some split would be left without a label: too few groups.

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
    lacking = np.outer(fractions, np.ones(len(LABELS)))  # share of each label that each split still lacks
    choice = np.empty(len(names), dtype=int)
    order = rng.permutation(len(names))
    for group in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        has = counts[group] > 0
        # relative to what the split wants, so that the small splits are not left to the end
        choice[group] = int((lacking[:, has] / np.asarray(fractions)[:, None]).max(1).argmax())
        lacking[choice[group]] -= counts[group] / totals
    splits = [SPLITS[choice[member]] for member in members]
    for split in SPLITS:
        for label in LABELS:
            if not any(pair == (split, label) for pair in zip(splits, labels, strict=True)):
                raise InputError(f"too few speakers or utterances: none is left for {label} speech in the {split} set")
    return splits
