"""Embeddings as a file."""

import numpy as np
import pytest

from antideepfake.errors import InputError
from antideepfake.scoring.embeddings import EmbeddingWriter, read_embeddings


def test_several_processes_and_a_kill(tmp_path):
    """Rows would stand at other utterances' places, or a torn row end the merge."""
    path, rows = tmp_path / "e.npy", np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32)
    for rank, places in enumerate([(0, 3, 6), (5, 1)]):
        with EmbeddingWriter(path, "run", rank) as writer:
            for place in places:
                writer.write(place, rows[place])
    (part,) = tmp_path.glob("*.run.1.part")
    part.write_bytes(part.read_bytes() + b"2,AAAA")  # killed within a line
    with EmbeddingWriter(path, "run", 1) as writer:
        writer.write(2, rows[2])
        writer.write(4, rows[4])
    writer.merge(7)
    np.testing.assert_array_equal(read_embeddings(path), rows)
    writer.remove()
    assert [file.name for file in tmp_path.iterdir()] == ["e.npy"]


def test_rows_that_are_missing(tmp_path):
    """Embeddings would be taken for those of other utterances than they are."""
    with EmbeddingWriter(tmp_path / "e.npy", "run") as writer:
        writer.write(0, np.ones(3, np.float32))
    with pytest.raises(InputError, match="1 of 2 rows"):
        writer.merge(2)
    assert not (tmp_path / "e.npy").exists()


def test_what_is_no_file_of_embeddings(tmp_path):
    """Objects of others would be unpickled, or a table of something else be compared."""
    with pytest.raises(InputError, match="whose name ends in"):
        EmbeddingWriter(tmp_path / "e.csv", "run")
    with pytest.raises(InputError, match="no such file"):
        read_embeddings(tmp_path / "e.npy")
    for table in (np.array([{}], dtype=object), np.zeros(3, np.float32), np.zeros((2, 2))):
        np.save(tmp_path / "e.npy", table, allow_pickle=True)
        with pytest.raises(InputError, match="not a file of embeddings"):
            read_embeddings(tmp_path / "e.npy")
