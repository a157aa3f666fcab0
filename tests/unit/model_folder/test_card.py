"""The model card."""

import pytest
import yaml

from antideepfake.model_folder.card import write_model_card
from antideepfake.model_folder.metadata import ModelMetadata


def test_card_includes_the_metadata(tmp_path):
    metadata = ModelMetadata(
        1.25, "chosen by hand", ["ASVspoof5", "MLS"], provenance="x.ckpt (SHA-256 abc)", license="CC-BY-NC-SA-4.0"
    )
    write_model_card(tmp_path, "someone/detector", metadata)
    card = (tmp_path / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "cc-by-nc-sa-4.0" and header["library_name"] == "speechbrain"
    for text in (
        "Probabilities are not calibrated",
        "1.25",
        "chosen by hand",
        "ASVspoof5, MLS",
        "SHA-256 abc",
        "0 = fake, 1 = real",
        "someone/detector",
    ):
        assert text in card
    assert "Probabilities are not calibrated" in card


def test_the_card_lists_unknown_facts(tmp_path):
    write_model_card(tmp_path, "x", ModelMetadata())
    card = (tmp_path / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["license"] == "other"
    assert card.count("unknown") == 3


def test_card_includes_the_errors_at_the_threshold(tmp_path):
    errors = {"eer": 0.1, "fnr": 0.36, "fpr": 0.025, "real": 50, "fake": 200}
    write_model_card(tmp_path, "x", ModelMetadata(0.5, "chosen on the validation set", threshold_errors=errors))
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert "chosen on the validation set" in card
    assert "36.0 % of real utterances are rejected as fake and 2.5 % of fake utterances are accepted as real" in card
    assert "50 real and 200 fake utterances (equal error rate 10.0 %)" in card
    write_model_card(tmp_path, "x", ModelMetadata())
    assert "| Errors at the threshold | not measured |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("license", "for_hub"),
    [
        ("CC-BY-NC-SA-4.0", "cc-by-nc-sa-4.0"),
        ("CC-BY-NC-4.0", "cc-by-nc-4.0"),
        ("CC-BY-SA-3.0", "cc-by-sa-3.0"),
        ("ODC-By-1.0", "odc-by"),
        ("Apache-2.0", "apache-2.0"),
        ("CC-BY-NC-4.0 or stricter (unknown license: OwnData)", "other"),
        ("", "other"),
    ],
)
def test_card_spells_the_license_as_the_hub_does(tmp_path, license, for_hub):
    write_model_card(tmp_path, "x", ModelMetadata(license=license))
    assert yaml.safe_load((tmp_path / "README.md").read_text().split("---")[1])["license"] == for_hub
