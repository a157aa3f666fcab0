"""Dividing a corpus: no speaker on two sides, both classes on every side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.protocol.split import assign_splits
from antideepfake.protocol.table import LABELS, SPLITS

CORPUS = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 9).map(str)), min_size=1, max_size=60)


@given(CORPUS, st.integers(0, 5))
def test_groups_stay_together_and_every_split_has_both_classes(corpus, seed):
    labels, groups = zip(*corpus, strict=True)
    try:
        splits = assign_splits(labels, groups, np.random.default_rng(seed))
    except InputError as told:
        assert "too few" in str(told)
        return
    assert len(splits) == len(labels)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    assert set(zip(splits, labels, strict=True)) == {(split, label) for split in SPLITS for label in LABELS}


@given(st.integers(3, 12), st.integers(1, 5), st.integers(0, 20))
def test_three_speakers_with_both_classes_are_enough(speakers, utterances, seed):
    groups = [str(speaker) for speaker in range(speakers) for _ in range(2 * utterances)]
    splits = assign_splits(["real", "fake"] * (speakers * utterances), groups, np.random.default_rng(seed))
    assert set(splits) == set(SPLITS)


@given(st.integers(0, 50))
def test_fractions_are_as_requested(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(LABELS, 600, p=[0.8, 0.2]).tolist()
    splits = np.array(assign_splits(labels, rng.integers(0, 60, 600).astype(str).tolist(), rng))
    for label in LABELS:
        of_label = splits[np.array(labels) == label]
        shares = [(of_label == split).mean() for split in SPLITS]
        np.testing.assert_allclose(shares, [0.7, 0.15, 0.15], atol=0.1)


def test_speakers_of_a_single_label_are_shared_out_by_their_own_label():
    groups = [f"real{number // 4}" for number in range(80)] + [f"fake{number}" for number in range(20)]
    splits = np.array(assign_splits(["real"] * 80 + ["fake"] * 20, groups, np.random.default_rng(1)))
    for utterances in (splits[:80:4], splits[80:]):
        assert [(utterances == split).sum() for split in SPLITS] == [14, 3, 3]


def test_each_group_goes_to_the_split_that_needs_its_labels_most():
    # utterances of both labels by speaker, largest first; the targets are 4, 2, 2 real and 6, 3, 3 fake utterances
    speakers = {"a": (3, 5), "b": (1, 4), "c": (3, 1), "d": (1, 2)}
    labels, groups = [], []
    for speaker, (real, fake) in speakers.items():
        labels += ["real"] * real + ["fake"] * fake
        groups += [speaker] * (real + fake)
    splits = assign_splits(labels, groups, np.random.default_rng(1), (0.5, 0.25, 0.25))
    # before d, train lacks 1/4 of its real, valid 1/2 of its real and test 2/3 of its fake utterances
    assert dict(zip(groups, splits, strict=True)) == {"a": "train", "b": "valid", "c": "test", "d": "test"}


def test_same_seed_same_split_and_other_seed_another():
    labels, groups = ["real", "fake"] * 30, [str(number // 2) for number in range(60)]
    once, again, other = (assign_splits(labels, groups, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert once == again
    assert once != other


@pytest.mark.parametrize(
    ("labels", "groups"),
    [(["real"] * 9, list("abcabcabc")), (["real", "fake"] * 4, list("aabbaabb")), (["real", "fake"], ["a", "b"])],
)
def test_too_few_groups_are_refused(labels, groups):
    with pytest.raises(InputError, match="too few speakers or utterances"):
        assign_splits(labels, groups, np.random.default_rng(1))


@pytest.mark.parametrize("seed", range(5))
def test_a_large_speaker_does_not_unbalance_the_splits(seed):
    """Guards against large groups that come last, when no split has room for them."""
    sizes = [40] + [2] * 30
    groups = np.repeat([str(number) for number in range(len(sizes))], sizes).tolist()
    splits = np.array(assign_splits(["real", "fake"] * 50, groups, np.random.default_rng(seed)))
    np.testing.assert_allclose([(splits == split).mean() for split in SPLITS], [0.7, 0.15, 0.15], atol=0.021)
