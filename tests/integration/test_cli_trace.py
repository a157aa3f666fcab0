"""antideepfake trace on embeddings that a test writes, and on recordings."""

import json

import numpy as np
import pandas as pd
import pytest

from antideepfake.corpora.build import build_protocol
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.embeddings import EmbeddingWriter
from antideepfake.scoring.provenance import ScoreProvenance
from antideepfake.scoring.score_file import ScoreWriter

SIZE = 6


def write_run(folder, name, systems, rng):
    """Write embeddings and score file; the utterances of a system are near a point of their own."""
    points = dict(zip(("vits", "hifigan", "xtts"), 10 * np.eye(SIZE), strict=False))
    scores, embeddings = folder / f"{name}.csv", folder / f"{name}.parquet"
    with ScoreWriter(scores, ["Attack", "Speaker"]) as writer, EmbeddingWriter(embeddings, "run") as other:
        for index, system in enumerate(systems):
            label = "real" if system == "-" else "fake"
            columns = {"Attack": system, "Speaker": f"s{index % 7}"}
            writer.write(index, f"{name}{index}", (0.0, 1.0), label, columns)
            other.write(index, f"{name}{index}", (points.get(system, 0) + rng.normal(size=SIZE)).astype(np.float32))
    writer.merge(len(systems))
    other.merge(len(systems))
    return embeddings, scores


@pytest.fixture
def reference(tmp_path, rng):
    return write_run(tmp_path, "known", ["vits", "hifigan", "-"] * 30, rng)


def test_embeddings_of_labeled_inputs_give_a_table_of_systems(command, reference, tmp_path, rng):
    embeddings, scores = write_run(tmp_path, "new", ["vits", "hifigan", "xtts", "-"] * 10, rng)
    options = ("--reference_scores", reference[1], "--scores", scores, "--output", tmp_path / "traces.csv")
    status, out, err = command("trace", reference[0], embeddings, *options)
    assert status == 0 and max(map(len, out.splitlines())) <= 100
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert lines["vits"][1] == lines["hifigan"][1] == "10" and float(lines["vits"][-1]) > 0.9
    assert "F1 of none of these" in out
    table = pd.read_csv(tmp_path / "traces.csv")
    assert table.columns.tolist() == ["input", "system", "similarity", "hifigan", "vits"] and len(table) == 40
    assert (table["system"][[0, 4, 8]] == "vits").all()
    status, _, err = command("trace", reference[0], embeddings, *options)
    assert status == 2 and "already exists" in err


def test_unlabeled_inputs_are_named_one_by_one(command, reference, tmp_path, rng):
    embeddings, _ = write_run(tmp_path, "new", ["hifigan", "xtts"], rng)
    status, out, _ = command("trace", reference[0], embeddings, "--reference_scores", reference[1], "--format", "json")
    rows = json.loads(out)
    assert status == 0 and [row["input"] for row in rows] == ["new0", "new1"]
    assert [row["system"] for row in rows] == ["hifigan", "none of these"]


def test_recordings_are_scored_by_the_model_of_the_reference(command, model_folder, make_corpus, tmp_path):
    corpus = make_corpus(tmp_path / "corpus", speakers=3, files=3)
    files = sorted(corpus.rglob("fake/*/*.*"))
    rows = [
        {"ID": f"u{index}", "Label": "fake", "Path": str(path), "Attack": ("tone", "buzz")[index % 2]}
        for index, path in enumerate(files)
    ]
    protocol = tmp_path / "p.csv"
    build_protocol(rows, corpus, protocol, quiet=True)
    scores, embeddings = tmp_path / "known.csv", tmp_path / "known.parquet"
    given = ("score", model_folder, protocol, "--data_folder", corpus)
    assert command(*given, "--output", scores, "--embeddings", embeddings)[0] == 0
    broken = tmp_path / "broken.wav"
    broken.write_text("no audio")
    given = ("trace", embeddings, files[0], broken, "--reference_scores", scores, "--quiet", "--device", "cpu")
    status, out, err = command(*given, "--model", model_folder, "--format", "csv")
    assert status == 1 and "skipped" in err and "broken.wav" in err
    row = out.splitlines()[1].split(",")
    assert row[0].endswith(files[0].name) and row[1] in ("tone", "buzz", "none of these")
    assert -1 <= float(row[2]) <= 1
    status, _, err = command(*given)
    assert status == 2 and "need --model" in err
    status, _, err = command(*given, "--model", model_folder, "--detector", "--trust_code")
    assert status == 2 and "gives no embeddings" in err


def test_embeddings_of_another_model_are_refused(command, reference, tmp_path, rng):
    embeddings, scores = write_run(tmp_path, "new", ["vits", "hifigan"], rng)
    for path, weights in ((reference[1], "aaaa fp32"), (scores, "bbbb fp32")):
        ScoreProvenance(weights, "1.0", "2026-01-01", ModelMetadata()).save(path)
    given = ("trace", reference[0], embeddings, "--reference_scores", reference[1], "--scores", scores)
    status, out, err = command(*given)
    assert status == 2 and out == "" and "of another model than" in err
    ScoreProvenance("aaaa bf16", "1.0", "2026-01-01", ModelMetadata()).save(scores)
    assert command(*given)[0] == 0


def test_a_reference_without_systems_is_refused(command, tmp_path, rng):
    embeddings, scores = write_run(tmp_path, "real", ["-"] * 9, rng)
    status, _, err = command("trace", embeddings, embeddings, "--reference_scores", scores)
    assert status == 2 and "no utterance names a spoofing system in the column Attack" in err


def test_embeddings_of_another_size_are_refused(command, reference, tmp_path):
    other = tmp_path / "other.parquet"
    with EmbeddingWriter(other, "run") as writer:
        writer.write(0, "a", np.zeros(3, np.float32))
    writer.merge(1)
    status, _, err = command("trace", reference[0], other, "--reference_scores", reference[1])
    assert status == 2 and "embeddings of 3 dimensions" in err
