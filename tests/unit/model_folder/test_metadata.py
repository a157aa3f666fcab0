"""What a model folder remembers."""

import json

import pytest

from antideepfake.errors import InputError
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.validation_scores import describe_scores


def test_metadata_survive_a_round_trip(tmp_path):
    calibration = {"method": "logistic", "weights": [2.0], "offset": 1.0}
    metadata = ModelMetadata(threshold=0.25, training_corpora=["A"], calibration=calibration)
    metadata.save(tmp_path / "metadata.json")
    loaded = ModelMetadata()
    loaded.load(tmp_path / "metadata.json")
    assert loaded == metadata
    assert loaded.log_likelihood_ratio()([0.5]).tolist() == [2.0]


def test_old_metadata_without_calibration_load(tmp_path):
    (tmp_path / "metadata.json").write_text(json.dumps({"threshold": 1.5}))
    metadata = ModelMetadata()
    metadata.load(tmp_path / "metadata.json")
    assert metadata.threshold == 1.5 and metadata.log_likelihood_ratio() is None


def test_a_damaged_calibration_names_its_file(tmp_path):
    (tmp_path / "metadata.json").write_text(json.dumps({"calibration": {"method": "magic"}}))
    with pytest.raises(InputError, match=r"metadata\.json: the calibration"):
        ModelMetadata().load(tmp_path / "metadata.json")


def test_errors_at_the_threshold_and_training_protocols_survive_the_file(tmp_path):
    errors = {"eer": 0.03, "fnr": 0.02, "fpr": 0.04, "real": 50, "fake": 100}
    protocols = [{"name": "mine.csv", "sha256": "0a", "corpora": ["A"], "splits": ["train"], "utterances": 300}]
    metadata = ModelMetadata(threshold_errors=errors, training_protocols=protocols, previous_threshold={"threshold": 1})
    metadata.validation_scores = describe_scores([1.0, 2.0], [-1.0])
    metadata.save(tmp_path / "metadata.json")
    loaded = ModelMetadata()
    loaded.load(tmp_path / "metadata.json")
    assert loaded == metadata


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "high"),
        ("threshold", True),
        ("threshold", None),
        ("threshold_source", 3),
        ("provenance", None),
        ("license", ["MIT"]),
        ("training_corpora", "ASVspoof5"),
        ("training_corpora", [1]),
        ("training_attacks", {"a": 1}),
        ("classes", ["real", "fake"]),
        ("calibration", [1]),
        ("calibration", {"method": "logistic", "weights": "2", "offset": 0}),
        ("threshold_errors", {"eer": 0.1}),
        ("threshold_errors", {"eer": 3, "fnr": 0.02, "fpr": 0.04, "real": 50, "fake": 100}),
        ("threshold_errors", [0.1]),
        ("previous_threshold", 1.0),
        ("validation_scores", [1]),
        ("validation_scores", {"edges": [0, 1], "real": [3]}),
        ("validation_scores", {"edges": [0, 1], "real": [3, 4], "fake": [1]}),
        ("validation_scores", {"edges": [0, "1"], "real": [3], "fake": [1]}),
        ("validation_scores", {"edges": [0, 1e400], "real": [3], "fake": [1]}),
        ("validation_scores", {"edges": [0, 1], "real": [-3], "fake": [1]}),
        ("training_protocols", {"name": "a"}),
        ("training_protocols", [{"name": "a", "sha256": 1, "corpora": [], "splits": [], "utterances": 3}]),
    ],
)
def test_values_of_a_wrong_type_name_file_and_field(tmp_path, name, value):
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps({name: value}))
    with pytest.raises(InputError, match=rf"metadata\.json: the {name}"):
        ModelMetadata().load(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"threshold": 1' + "0" * 400 + "}", "[1, 2]", '"text"', "3", "{"])
def test_text_that_is_not_metadata_is_an_input_error(tmp_path, text):
    path = tmp_path / "metadata.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"metadata\.json"):
        ModelMetadata().load(path)
