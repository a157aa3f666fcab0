"""Fusion of score files."""

import json

import numpy as np
import pandas as pd
import pytest

from antideepfake.errors import InputError
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.fusion import fuse_scores
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import ScoreWriter, read_scores

REAL, FAKE = [1.0, 2.0, 3.0, -0.5], [-1.0, -2.0, -3.0, 0.5]  # the mirror image of each other


@pytest.fixture
def write(tmp_path):
    """Write a score file: (ID, score, label) of each utterance."""

    def write_scores(name, rows, corpora=None, attack="-"):
        path = str(tmp_path / name)
        with ScoreWriter(path, ["Attack"]) as writer:
            for index, (utterance, score, label) in enumerate(rows):
                writer.write(index, utterance, (0.0, score), label, {"Attack": attack})
        writer.merge(len(rows))
        if corpora is not None:
            metadata = ModelMetadata(threshold=1.0, training_corpora=corpora)
            ScoreProvenance("digest", "0.1", "2026-01-01", metadata).save(path)
        return path

    return write_scores


def label_rows(real, fake):
    rows = [(f"r{index}", score, "real") for index, score in enumerate(real)]
    return rows + [(f"f{index}", score, "fake") for index, score in enumerate(fake)]


def test_symmetric_systems_of_one_scale_have_equal_weights_and_no_offset(write, tmp_path):
    rows = label_rows(REAL, FAKE)
    reverse = label_rows(REAL[::-1], FAKE[::-1])
    fusion = fuse_scores(
        [write("a.csv", rows), write("b.csv", reverse)], [write("c.csv", rows)] * 2, tmp_path / "fused.csv"
    )
    assert fusion.weights[0] == pytest.approx(fusion.weights[1], rel=1e-3) and fusion.weights[0] > 0
    assert fusion.offset == pytest.approx(0, abs=1e-3)


def test_fused_scores_are_weighted_sums_joined_by_utterance(write, tmp_path):
    development = [write("a.csv", label_rows(REAL, FAKE)), write("b.csv", label_rows(REAL[::-1], FAKE))]
    first = write("c.csv", [("x", 2.0, "real"), ("y", -1.0, None), ("z", 0.5, "fake")], attack="world")
    second = write("d.csv", [("z", 3.0, "fake"), ("x", 4.0, "real"), ("y", 5.0, None)], attack="other")
    fusion = fuse_scores(development, [first, second], tmp_path / "fused.csv")
    table = read_scores(tmp_path / "fused.csv")
    expected = np.array([[2.0, 4.0], [-1.0, 5.0], [0.5, 3.0]]) @ fusion.weights + fusion.offset
    assert table["Score"].to_numpy() == pytest.approx(expected)
    assert table.drop(columns="Score").values.tolist() == [
        ["x", "real", "world"],
        ["y", "", "world"],
        ["z", "fake", "world"],
    ]
    fake, real = json.loads(pd.read_csv(tmp_path / "fused.csv")["Score"][0])
    assert fake == -real


def test_the_provenance_names_the_training_data_of_every_applied_system(write, tmp_path):
    rows = label_rows(REAL, FAKE)
    development = [write(name, rows, ["Dev"]) for name in ("a.csv", "b.csv", "c.csv")]
    test = [write("d.csv", rows, ["MLS", "CFAD"]), write("e.csv", rows, ["DSD", "MLS"]), write("f.csv", rows)]
    fuse_scores(development, test, tmp_path / "fused.csv")
    record = read_provenance(tmp_path / "fused.csv")
    assert record.metadata.training_corpora == ["CFAD", "DSD", "MLS"]
    assert record.metadata.threshold == 0.0  # of a log-likelihood ratio
    assert record.metadata.provenance == f"fusion of {', '.join(test)}"


@pytest.mark.parametrize(
    "rows",
    [
        label_rows(REAL, FAKE[:-1]),
        label_rows(REAL, [*FAKE, 0.0]),
        [("other", 0.0, "real"), *label_rows(REAL, FAKE)[1:]],
        [*label_rows(REAL, FAKE), ("r0", 0.0, "real")],
    ],
)
def test_systems_with_other_utterances_are_an_error(write, tmp_path, rows):
    first, second = write("a.csv", label_rows(REAL, FAKE)), write("b.csv", rows)
    with pytest.raises(InputError, match=r"b\.csv: has other utterances than .*a\.csv"):
        fuse_scores([first, second], [first, first], tmp_path / "fused.csv")
    assert not (tmp_path / "fused.csv").exists()


def test_a_system_without_a_test_set_is_an_error(write, tmp_path):
    path = write("a.csv", label_rows(REAL, FAKE))
    with pytest.raises(InputError, match="2 score files to fit and 1 to apply"):
        fuse_scores([path, path], [path], tmp_path / "fused.csv")
