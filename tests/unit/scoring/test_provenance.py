"""What lies beside a score file."""

import json

import pytest

from antideepfake.errors import InputError
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance


def test_written_and_read_again(tmp_path):
    record = ScoreProvenance("0a1b fp32", "0.1", "2026-11-23", ModelMetadata(0.5, training_corpora=["A"]), ["0b"])
    record.save(tmp_path / "scores.csv")
    assert read_provenance(tmp_path / "scores.csv") == record


def test_none_and_damaged(tmp_path):
    assert read_provenance(tmp_path / "scores.csv") is None
    for text in ("{", "{}", '{"metadata": {"color": 1}}', "[]"):
        (tmp_path / "scores.csv.json").write_text(text)
        with pytest.raises(InputError, match=r"scores\.csv\.json: not the provenance"):
            read_provenance(tmp_path / "scores.csv")


GOOD = {"weights": "0a", "version": "0.1", "date": "2026-11-23", "metadata": {}}


@pytest.mark.parametrize(
    "values",
    [
        GOOD | {"weights": 3},
        GOOD | {"date": None},
        GOOD | {"metadata": []},
        GOOD | {"metadata": None},
        GOOD | {"metadata": {"threshold": "high"}},
        GOOD | {"metadata": {"training_corpora": "A"}},
        GOOD | {"metadata": {"calibration": {"method": "logistic", "weights": ["a"], "offset": 0}}},
        GOOD | {"protocols": [1]},
        GOOD | {"protocols": None},
        "text",
        3,
        None,
    ],
)
def test_values_of_a_wrong_type_are_an_input_error(tmp_path, values):
    (tmp_path / "scores.csv.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"scores\.csv\.json: not the provenance of a score file .*; delete it"):
        read_provenance(tmp_path / "scores.csv")


def test_a_record_without_protocols_is_read(tmp_path):
    (tmp_path / "scores.csv.json").write_text(json.dumps(GOOD))
    assert read_provenance(tmp_path / "scores.csv").protocols == []
