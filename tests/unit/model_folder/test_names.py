"""Names of the files of a model folder, and how an unfinished folder is recognized."""

import pytest
from speechbrain.dataio.encoder import CategoricalEncoder

from antideepfake.model_folder.names import FILES, LABEL_ENCODER, OOD_DETECTOR, is_unfinished


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], True),
        ([FILES["model"]], True),
        ([*FILES.values(), "README.md", "config.json"], True),
        ([FILES["model"], ".README.host.12.part.md", ".model.lock"], True),
        ([*FILES.values(), "README.md", "config.json", "hyperparams.yaml"], False),  # the last file to be written
        ([FILES["model"], OOD_DETECTOR], False),
        (["notes.txt"], False),
        (["README.part.md"], False),  # temporary files are hidden
    ],
)
def test_a_folder_without_its_last_file_or_foreign_files_is_unfinished(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).touch()
    assert is_unfinished(tmp_path) is expected


def test_the_label_encoder_of_speechbrain_reads_the_classes(tmp_path):
    (tmp_path / "label_encoder.txt").write_text(LABEL_ENCODER)
    encoder = CategoricalEncoder()
    encoder.load(tmp_path / "label_encoder.txt")
    assert encoder.lab2ind == {"fake": 0, "real": 1}
