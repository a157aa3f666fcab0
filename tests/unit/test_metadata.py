"""What a model folder remembers."""

import json

import pytest

from antideepfake.errors import InputError
from antideepfake.metadata import ModelMetadata


def test_saved_and_loaded(tmp_path):
    """A threshold or a calibration would be lost on the way through a file."""
    calibration = {"method": "logistic", "weights": [2.0], "offset": 1.0}
    metadata = ModelMetadata(threshold=0.25, training_corpora=["A"], calibration=calibration)
    metadata.save(tmp_path / "metadata.json")
    loaded = ModelMetadata()
    loaded.load(tmp_path / "metadata.json")
    assert loaded == metadata
    assert loaded.log_likelihood_ratio()([0.5]).tolist() == [2.0]


def test_a_folder_of_before_there_was_calibration(tmp_path):
    """Model folders that are there already could not be loaded."""
    (tmp_path / "metadata.json").write_text(json.dumps({"threshold": 1.5}))
    metadata = ModelMetadata()
    metadata.load(tmp_path / "metadata.json")
    assert metadata.threshold == 1.5 and metadata.log_likelihood_ratio() is None


def test_a_damaged_calibration_is_told_with_its_file(tmp_path):
    """Nobody would know which file to mend."""
    (tmp_path / "metadata.json").write_text(json.dumps({"calibration": {"method": "magic"}}))
    with pytest.raises(InputError, match=r"metadata\.json: the calibration"):
        ModelMetadata().load(tmp_path / "metadata.json")
