"""Batches: every utterance once in an epoch, whatever the number of processes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.dataio.batches import BatchPlan, PlannedBatches

LENGTHS = st.lists(st.floats(0.01, 60), min_size=1, max_size=60)


@given(LENGTHS, st.floats(1, 50), st.integers(1, 10))
def test_every_clip_is_in_one_batch_and_no_batch_too_large(lengths, batch_seconds, num_buckets):
    plan = BatchPlan(lengths, batch_seconds, num_buckets, 1)
    for epoch in (0, 1):
        batches = plan.epoch(epoch)
        assert len(batches) == len(plan)
        assert Counter(index for batch in batches for index in batch) == Counter(range(len(lengths)))
        for batch in batches:
            assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= batch_seconds * (1 + 1e-6)


@given(LENGTHS, st.integers(1, 4), st.integers(1, 3))
def test_processes_share_all_batches(lengths, size, epochs):
    plan = BatchPlan(lengths, 20.0, 3, 1)
    shares = [PlannedBatches(plan, rank, size) for rank in range(size)]
    for share in shares:
        share.range = (0, epochs * len(plan))
    assert all(len(share) == len(list(share)) for share in shares)
    indices = Counter(index for share in shares for batch in share for index in batch)
    assert indices == Counter((epoch, place) for epoch in range(epochs) for place in range(len(lengths)))


def test_one_process_accumulating_takes_the_batches_of_two():
    plan = BatchPlan(np.random.default_rng(1).uniform(1, 5, 61), 20.0, 3, 1)
    one, first, second = shares = PlannedBatches(plan), PlannedBatches(plan, 0, 2), PlannedBatches(plan, 1, 2)
    for share in shares:
        share.range = (0, 20)
    taken = [batch for pair in zip(first, second, strict=True) for batch in pair]
    assert list(one) == taken


def test_resumed_batches_continue_the_plan():
    plan = BatchPlan(np.random.default_rng(1).uniform(1, 5, 60), 20.0, 3, 1)
    whole, rest = (
        PlannedBatches(plan),
        PlannedBatches(BatchPlan(np.random.default_rng(1).uniform(1, 5, 60), 20.0, 3, 1)),
    )
    whole.range, rest.range = (0, 2 * len(plan)), (len(plan) - 3, 2 * len(plan))
    assert list(whole)[len(plan) - 3 :] == list(rest)


@pytest.mark.parametrize(
    ("low", "high", "batch_seconds", "num_buckets"), [(2.0, 3.0, 100.0, 8), (1.0, 13.0, 100.0, 8), (0.5, 4.0, 30.0, 4)]
)
def test_batches_contain_about_the_requested_seconds(low, high, batch_seconds, num_buckets):
    lengths = np.random.default_rng(1).uniform(low, high, 2000)
    audio, padded = [], []
    for batch in BatchPlan(lengths, batch_seconds, num_buckets, 1).epoch(0):
        audio.append(lengths[batch].sum())
        padded.append(lengths[batch].max() * len(batch))
    assert np.median(padded) > 0.7 * batch_seconds
    assert sum(audio) > 0.75 * sum(padded)


@given(LENGTHS, st.floats(1, 50), st.integers(1, 10), st.data())
def test_weighted_epochs_have_equally_many_batches_none_too_large(lengths, batch_seconds, num_buckets, data):
    weights = data.draw(st.lists(st.floats(0.001, 1000), min_size=len(lengths), max_size=len(lengths)))
    plan = BatchPlan(lengths, batch_seconds, num_buckets, 1, weights)
    for epoch in (0, 1):
        batches = plan.epoch(epoch)
        assert len(batches) == len(plan)
        for batch in batches:
            assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= batch_seconds * (1 + 1e-6)


def test_weights_set_how_often_an_utterance_is_sampled():
    rng = np.random.default_rng(1)
    weights = np.where(np.arange(1000) < 100, 5.5, 0.5)
    plan = BatchPlan(rng.uniform(1, 5, 1000), 20.0, 4, 1, weights)
    drawn = np.concatenate([index for epoch in range(20) for index in plan.epoch(epoch)])
    assert abs(len(drawn) - 20_000) <= 40
    counts = np.bincount(drawn, minlength=1000) / 20
    assert abs(counts[:100].mean() - 5.5) < 0.2 and abs(counts[100:].mean() - 0.5) < 0.02
    assert counts[:100].std() < 1.0  # all of them, not some of them often


def test_weighted_samples_depend_on_seed_and_epoch_only():
    lengths, weights = np.random.default_rng(1).uniform(1, 5, (2, 60))

    def epochs(seed, numbers):
        plan = BatchPlan(lengths, 20.0, 3, seed, weights)
        return [[batch.tolist() for batch in plan.epoch(number)] for number in numbers]

    first, second = epochs(1, [0, 1])
    assert epochs(1, [1]) == [second] and first != second and epochs(2, [0]) != [first]


def test_order_depends_on_seed_and_epoch():
    lengths = np.random.default_rng(1).uniform(1, 5, 100)

    def batches(seed, epoch):
        return [tuple(batch) for batch in BatchPlan(lengths, 20.0, 4, seed).epoch(epoch)]

    assert batches(1, 1) == batches(1, 1)
    assert set(batches(1, 1)) != set(batches(1, 2))
    assert set(batches(1, 1)) != set(batches(2, 1))
