"""Which utterances go into which batch, and which process gets it."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from antideepfake.seeds import derive_seed


class BatchPlan:
    """Batches of about the same amount of audio, of clips of about the same length, in random order.

    The batches of an epoch follow from the seed and the epoch alone. They hold every utterance once; with
    weights, about as many utterances as there are, drawn with replacement, each as often as its weight says on average.
    There are equally many batches in all epochs.

    Arguments
    ---------
    seconds : sequence of float
        How long each utterance is.
    batch_seconds : float
        Audio in a batch, padding included, at most; a longer utterance makes a batch of its own.
    num_buckets : int
        Groups of clips by length, equally large: more means less padding and less randomness.
    seed : int
        Of the order.
    weights : sequence of float, optional
        Above 0: how often each utterance is drawn, relative to the others.

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
        """Give the number of batches in an epoch."""
        return int(self.counts.sum())

    def epoch(self, number: int) -> list[np.ndarray]:
        """Give the batches of an epoch, counted from 0: arrays of positions of utterances."""
        if self._epoch[0] != number:
            rng = np.random.default_rng(derive_seed(self.seed, "batches", number))
            batches = [
                batch
                for members, size, count in zip(self.buckets, self.sizes, self.counts, strict=True)
                for batch in np.array_split(self._draw(members, size, rng), count)
            ]
            self._epoch = (number, [batches[place] for place in rng.permutation(len(batches))])
        return self._epoch[1]

    def _draw(self, members: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Give the utterances of a bucket that an epoch takes, in random order."""
        if self.weights is None:
            return rng.permutation(members)
        weights = self.weights[members]
        return rng.choice(members, size, p=weights / weights.sum())


class PlannedBatches(Sampler[list[tuple[int, int]]]):
    """The batches that one process takes: of each run of consecutive ones, every process takes one.

    Batches are counted through all epochs: an optimizer step over several may begin in one and end in the next, so that
    none is dropped where their number does not divide. They hold pairs of epoch and position, by which a
    :class:`antideepfake.dataio.UtteranceDataset` knows which epoch it is.

    Arguments
    ---------
    plan : BatchPlan
        Of all processes.
    rank, world_size : int
        Which of how many processes this is.

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
        """Which batches to give, from the first up to but not with the last; all of epoch 0 at the start."""

    def __len__(self) -> int:
        return len(self._numbers())

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for number in self._numbers():
            epoch, place = divmod(number, len(self.plan))
            yield [(epoch, position) for position in self.plan.epoch(epoch)[place].tolist()]

    def _numbers(self) -> range:
        return range(self.range[0] + self.rank, self.range[1], self.world_size)
