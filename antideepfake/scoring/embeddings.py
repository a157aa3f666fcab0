"""Parquet files of embeddings: ID and embedding (float32) of each utterance, in the order of the score file."""

import csv
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.scoring.shards import Shards

SUFFIX = ".parquet"
CHUNK = 4096  # rows in memory at once


class Embeddings(NamedTuple):
    """Identifiers, and embeddings of shape [utterances, dimensions]."""

    ids: list[str]
    values: NDArray[np.float32]


class EmbeddingWriter:
    """Write embeddings one by one, from one or several processes; an interrupted run can be resumed.

    Arguments
    ---------
    path : str or Path
        The file; its suffix must be ``.parquet``.
    run : str
        Identifies the run, as in :class:`antideepfake.scoring.shards.Shards`.
    rank : int
        Index of this process.

    Raises
    ------
    InputError
        If the path has another suffix.

    Example
    -------
    >>> path = getfixture("tmp_path") / "embeddings.parquet"
    >>> with EmbeddingWriter(path, "run") as writer:
    ...     writer.write(1, "b", np.array([3.0, 4.0], np.float32))
    ...     writer.write(0, "a", np.array([1.0, 2.0], np.float32))
    >>> writer.merge(2)
    >>> writer.remove()
    >>> read_embeddings(path).ids, read_embeddings(path).values.tolist()
    (['a', 'b'], [[1.0, 2.0], [3.0, 4.0]])
    """

    def __init__(self, path: str | os.PathLike, run: str, rank: int = 0) -> None:
        self.path = Path(path)
        if self.path.suffix != SUFFIX:
            raise InputError(f"{path}: not a {SUFFIX} file; choose a name for the embeddings that ends in {SUFFIX}")
        self._shards = Shards(path, run, rank)

    def __enter__(self) -> "EmbeddingWriter":
        self._shards.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shards.__exit__(kind, error, trace)

    def write(self, index: int, utterance: str, embedding: NDArray[np.float32]) -> None:
        """Append the embedding, shape [dimensions], of the utterance at ``index``; it is on disk immediately."""
        # The identifier may contain spaces, but Base64 does not, so the first space separates them.
        self._shards.write(index, [f"{b64encode(embedding.astype('<f4').tobytes()).decode()} {utterance}"])

    def merge(self, count: int) -> None:
        """Write the file, ``count`` rows in the order of their indices; the shards remain."""
        rows = self._read(count)
        first = list(islice(rows, CHUNK))
        size = len(first[0][1]) if first else 0
        schema = pa.schema([("ID", pa.string()), ("embedding", pa.list_(pa.float32(), size))])
        with atomic_path(self.path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
            chunk = first
            while chunk:
                ids, values = zip(*chunk, strict=True)
                vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(values)), size)
                writer.write_table(pa.table([pa.array(ids), vectors], schema=schema))
                chunk = list(islice(rows, CHUNK))

    def _read(self, count: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for line in self._shards.rows(count):
            [text] = next(csv.reader([line.decode()]))
            code, _, utterance = text.partition(" ")
            yield utterance, np.frombuffer(b64decode(code), "<f4")

    def remove(self) -> None:
        """Delete the shards."""
        self._shards.remove()


def read_embeddings(path: str | os.PathLike) -> Embeddings:
    """Read a file of embeddings.

    Arguments
    ---------
    path : str or Path
        A file that :class:`EmbeddingWriter` wrote.

    Raises
    ------
    InputError
        If the file is missing or is not a file of embeddings.
    """
    try:
        table = pq.read_table(path, columns=["ID", "embedding"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'antideepfake score --embeddings' writes one") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a file of embeddings ({' '.join(str(error).split())[:100]})") from None
    kind = table.schema.field("embedding").type if len(table.schema) == 2 else pa.null()
    if not pa.types.is_fixed_size_list(kind) or kind.value_type != pa.float32():
        raise InputError(f"{path}: not a file of embeddings; it needs the columns ID and embedding, a list of float32")
    vectors = table["embedding"].combine_chunks().flatten().to_numpy()
    return Embeddings(table["ID"].to_pylist(), vectors.reshape(len(table), kind.list_size))
