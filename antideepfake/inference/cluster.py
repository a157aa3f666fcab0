"""Scoring of recordings on the workers of a Dask cluster."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import islice

from antideepfake.audio.recording import Recording
from antideepfake.inference.recordings import RecordingScorer
from antideepfake.inference.scores import FileScore
from antideepfake.model_folder.windowing import Windowing
from antideepfake.parallel import map_in_order

CHUNK = 16  # recordings that a worker gets at once


class ClusterScorer:
    """A detector that the workers of a Dask cluster load, each once, to score recordings with it.

    It takes the place of a :class:`antideepfake.inference.recordings.RecordingScorer` in
    :func:`antideepfake.scoring.scorer.score_protocol`.

    Arguments
    ---------
    load : callable
        Loads the detector, here and on the workers: a function of a module that they can import.
    arguments : tuple
        Its arguments.
    scheduler : str
        Address of the Dask scheduler, such as ``tcp://node1:8786``.
    """

    def __init__(self, load: Callable[..., RecordingScorer], arguments: tuple[Hashable, ...], scheduler: str) -> None:
        detector = load(*arguments)
        self.metadata, self.ood_detector = detector.metadata, detector.ood_detector
        self.weights_digest = detector.weights_digest
        self._load, self._arguments, self._scheduler = load, arguments, scheduler

    def score_files(
        self,
        items: Iterable[Recording],
        batch_seconds: float = 16.0,
        num_workers: int = 0,
        windowing: Windowing | None = None,
        timeline: bool = False,
    ) -> Iterator[FileScore]:
        """Score recordings as :meth:`antideepfake.inference.recordings.RecordingScorer.score_files` does.

        The scores are the same to 1e-5: a worker makes batches of the few recordings that it gets at once.

        Arguments
        ---------
        items : iterable of Recording
            With absolute paths that are valid on all workers.
        batch_seconds, windowing, timeline :
            As there.
        num_workers : int
            Has no effect: each worker reads its own files.

        Yields
        ------
        FileScore
            One for each item, in order.

        Raises
        ------
        InputError
            As of :func:`antideepfake.parallel.map_in_order`.
        """
        rest = iter(items)
        chunks = iter(lambda: list(islice(rest, CHUNK)), [])
        score = partial(_score_chunk, self._load, self._arguments, batch_seconds, windowing, timeline)
        for results in map_in_order(score, chunks, scheduler=self._scheduler):
            yield from results


def _score_chunk(
    load: Callable[..., RecordingScorer],
    arguments: tuple[Hashable, ...],
    batch_seconds: float,
    windowing: Windowing | None,
    timeline: bool,
    items: list[Recording],
) -> list[FileScore]:
    detector = _load_once(load, arguments)
    return list(detector.score_files(items, batch_seconds, windowing=windowing, timeline=timeline))


@lru_cache(maxsize=1)
def _load_once(load: Callable[..., RecordingScorer], arguments: tuple[Hashable, ...]) -> RecordingScorer:
    """Load a detector once in a worker, not for every chunk."""
    return load(*arguments)
