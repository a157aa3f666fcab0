"""What lies beside a score file."""

import pytest

from antideepfake.errors import InputError
from antideepfake.metadata import ModelMetadata
from antideepfake.scoring import ScoreRecord, read_record


def test_written_and_read_again(tmp_path):
    """An evaluation would forget threshold, calibration or training corpora of the model."""
    record = ScoreRecord("0a1b fp32", "0.1", "2026-11-23", ModelMetadata(threshold=0.5, training_corpora=["A"]))
    record.save(tmp_path / "scores.csv")
    assert read_record(tmp_path / "scores.csv") == record


def test_none_and_damaged(tmp_path):
    """Scores from elsewhere could not be evaluated; a damaged record would be taken for none."""
    assert read_record(tmp_path / "scores.csv") is None
    for text in ("{", "{}", '{"metadata": {"colour": 1}}', "[]"):
        (tmp_path / "scores.csv.json").write_text(text)
        with pytest.raises(InputError, match=r"scores\.csv\.json: not the record"):
            read_record(tmp_path / "scores.csv")
