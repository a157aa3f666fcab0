"""Assign utterances to batches, and batches to processes."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from antideepfake.seeds import derive_seed


class BatchPlan:
    """Group utterances of similar length into batches of about the same amount of audio, in random order.

    The batches of an epoch depend only on the seed and the epoch. Without weights, an epoch contains every utterance
    once. With weights, it samples about as many utterances with replacement, with probabilities proportional to the
    weights. All epochs have the same number of batches.

    Arguments
    ---------
    seconds : sequence of float
        Length of each utterance in seconds.
    batch_seconds : float
        Maximum amount of audio in a batch, in seconds, including padding. A longer utterance gets its own batch.
    num_buckets : int
        Number of groups of utterances of similar length. More groups mean less padding and less randomness.
    seed : int
        Seed of the random order.
    weights : sequence of float, optional
        How often to sample each utterance, relative to the others; above 0.

    Example
    -------
    >>> plan = BatchPlan([1.0, 2.0, 3.0] * 10, batch_seconds=10.0, num_buckets=3, seed=1)
    >>> len(plan), sorted(index for batch in plan.epoch(0) for index in batch) == list(range(30))
    (8, True)
    """

    def __init__(
        self,
        seconds: Sequence[float],
        batch_seconds: float,
        num_buckets: int,
        seed: int,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.seed = seed
        lengths = np.asarray(seconds, np.float64)
        bounds = np.unique(np.quantile(lengths, np.arange(1, num_buckets + 1) / num_buckets, method="higher"))
        bucket = np.searchsorted(bounds, lengths)
        self.buckets = [np.flatnonzero(bucket == number) for number in range(len(bounds))]
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        sizes = np.array([len(members) for members in self.buckets])
        if self.weights is not None:
            totals = np.array([self.weights[members].sum() for members in self.buckets])
            sizes = np.maximum(np.rint(len(lengths) * totals / totals.sum()), 1).astype(int)
        self.sizes = sizes
        self.counts = -(-sizes // np.maximum(batch_seconds // bounds, 1).astype(int))
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return int(self.counts.sum())

    def epoch(self, number: int) -> list[np.ndarray]:
        """Return the batches of an epoch as arrays of utterance indices. Epochs are counted from 0."""
        if self._epoch[0] != number:
            rng = np.random.default_rng(derive_seed(self.seed, "batches", number))
            batches = [
                batch
                for members, size, count in zip(self.buckets, self.sizes, self.counts, strict=True)
                for batch in np.array_split(self._sample(members, size, rng), count)
            ]
            self._epoch = (number, [batches[index] for index in rng.permutation(len(batches))])
        return self._epoch[1]

    def _sample(self, members: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Return the utterances of a bucket for one epoch, in random order."""
        if self.weights is None:
            return rng.permutation(members)
        weights = self.weights[members]
        return rng.choice(members, size, p=weights / weights.sum())


class PlannedBatches(Sampler[list[tuple[int, int]]]):
    """Yield the batches of one process. Consecutive batches are assigned to the processes in turn.

    Batches are numbered across epochs. An optimizer step that accumulates several batches may therefore begin in one
    epoch and end in the next, and no batch is dropped. A batch consists of pairs (epoch, index), so that
    :class:`antideepfake.dataio.UtteranceDataset` receives the epoch.

    Arguments
    ---------
    plan : BatchPlan
        The batches of all processes.
    rank, world_size : int
        Index of this process and number of processes.

    Example
    -------
    >>> plan = BatchPlan([1.0] * 4, batch_seconds=2.0, num_buckets=1, seed=1)
    >>> first, second = PlannedBatches(plan, 0, 2), PlannedBatches(plan, 1, 2)
    >>> first.range = second.range = (0, 4)  # two epochs
    >>> sorted(index for batches in (first, second) for batch in batches for index in batch)
    [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]
    """

    def __init__(self, plan: BatchPlan, rank: int = 0, world_size: int = 1) -> None:
        self.plan = plan
        self.rank = rank
        self.world_size = world_size
        self.range = (0, len(plan))
        """First batch to yield and the batch after the last; initially all batches of epoch 0."""

    def __len__(self) -> int:
        return len(self._numbers())

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for number in self._numbers():
            epoch, index = divmod(number, len(self.plan))
            yield [(epoch, utterance) for utterance in self.plan.epoch(epoch)[index].tolist()]

    def _numbers(self) -> range:
        return range(self.range[0] + self.rank, self.range[1], self.world_size)
