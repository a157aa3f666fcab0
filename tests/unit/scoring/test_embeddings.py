"""Embeddings as a file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from antideepfake.errors import InputError
from antideepfake.scoring import embeddings
from antideepfake.scoring.embeddings import EmbeddingWriter, read_embeddings


def test_several_processes_and_a_kill(tmp_path):
    path, rows = tmp_path / "e.parquet", np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32)
    for rank, places in enumerate([(0, 3, 6), (5, 1)]):
        with EmbeddingWriter(path, "run", rank) as writer:
            for place in places:
                writer.write(place, f"u,{place} x", rows[place])
    (part,) = tmp_path.glob("*.run.1.part")
    part.write_bytes(part.read_bytes() + b"2,AAAA")  # killed within a line
    with EmbeddingWriter(path, "run", 1) as writer:
        writer.write(2, "u,2 x", rows[2])
        writer.write(4, "u,4 x", rows[4])
    writer.merge(7)
    ids, values = read_embeddings(path)
    np.testing.assert_array_equal(values, rows)
    assert ids == [f"u,{place} x" for place in range(7)]
    writer.remove()
    assert [file.name for file in tmp_path.iterdir()] == ["e.parquet"]


def test_missing_rows_are_an_error(tmp_path):
    with EmbeddingWriter(tmp_path / "e.parquet", "run") as writer:
        writer.write(0, "u", np.ones(3, np.float32))
    with pytest.raises(InputError, match="1 of 2 rows"):
        writer.merge(2)
    assert not (tmp_path / "e.parquet").exists()


def test_other_files_are_errors(tmp_path):
    with pytest.raises(InputError, match="a name for the embeddings that ends in"):
        EmbeddingWriter(tmp_path / "e.csv", "run")
    with pytest.raises(InputError, match="no such file"):
        read_embeddings(tmp_path / "e.parquet")
    (tmp_path / "e.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match="not a file of embeddings"):
        read_embeddings(tmp_path / "e.parquet")
    for columns in ({"ID": ["a"], "embedding": [1.0]}, {"ID": ["a"]}):
        pq.write_table(pa.table(columns), tmp_path / "e.parquet")
        with pytest.raises(InputError, match="not a file of embeddings"):
            read_embeddings(tmp_path / "e.parquet")


def test_more_rows_than_one_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "CHUNK", 2)
    with EmbeddingWriter(tmp_path / "e.parquet", "run") as writer:
        for place in range(5):
            writer.write(place, f"u{place}", np.full(3, place, np.float32))
    writer.merge(5)
    assert read_embeddings(tmp_path / "e.parquet").values[:, 0].tolist() == [0, 1, 2, 3, 4]
    with EmbeddingWriter(tmp_path / "none.parquet", "run") as writer:
        pass
    writer.merge(0)
    assert read_embeddings(tmp_path / "none.parquet").ids == []
