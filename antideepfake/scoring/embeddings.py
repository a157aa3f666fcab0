"""The embeddings of utterances as a file: float32, shape [utterances, dimensions], in the order of the score file."""

import os
from base64 import b64decode, b64encode
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.scoring.parts import Parts


class EmbeddingWriter:
    """Write embeddings one by one, by one process or several, so that a run that dies goes on where it stopped.

    Arguments
    ---------
    path : str or Path
        The file, ``.npy``.
    run : str
        What tells this run from others, as for :class:`antideepfake.scoring.parts.Parts`.
    rank : int
        Which of the processes this is.

    Example
    -------
    >>> path = getfixture("tmp_path") / "embeddings.npy"
    >>> with EmbeddingWriter(path, "run") as writer:
    ...     writer.write(1, np.array([3.0, 4.0], np.float32))
    ...     writer.write(0, np.array([1.0, 2.0], np.float32))
    >>> writer.merge(2)
    >>> writer.remove()
    >>> read_embeddings(path).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(self, path: str | os.PathLike, run: str, rank: int = 0) -> None:
        self.path = Path(path)
        if self.path.suffix != ".npy":
            raise InputError(f"{path}: embeddings go to a file whose name ends in .npy")
        self._parts = Parts(path, run, rank)

    def __enter__(self) -> "EmbeddingWriter":
        self._parts.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.__exit__(kind, error, trace)

    def write(self, place: int, embedding: NDArray[np.float32]) -> None:
        """Append the embedding of the utterance at ``place``, shape [dimensions]; it outlives this process."""
        self._parts.write(place, [b64encode(embedding.astype("<f4").tobytes()).decode()])

    def merge(self, count: int) -> None:
        """Write the file, ``count`` rows in the order of their places; what was gathered for it stays."""
        with atomic_path(self.path) as temporary:
            table = None
            for row, line in enumerate(self._parts.rows(count)):
                embedding = np.frombuffer(b64decode(line), "<f4")
                if table is None:
                    shape = (count, len(embedding))
                    table = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
                table[row] = embedding
            if table is None:
                np.save(temporary, np.empty((0, 0), np.float32))
            else:
                table.flush()

    def remove(self) -> None:
        """Delete what was gathered."""
        self._parts.remove()


def read_embeddings(path: str | os.PathLike) -> NDArray[np.float32]:
    """Map a file of embeddings: rows are read when they are used.

    Raises
    ------
    InputError
        When it is none.
    """
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; tools/score.py --embeddings writes one") from None
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not a file of embeddings ({error})") from None
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.dtype != np.float32:
        raise InputError(f"{path}: not a file of embeddings; these are float32 of shape [utterances, dimensions]")
    return table
