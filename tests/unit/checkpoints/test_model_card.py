"""The model card."""

import yaml

from antideepfake.checkpoints import ModelMetadata, write_model_card


def test_card_says_what_the_folder_knows(tmp_path):
    """A repository on the hub would hide its licence, or what the model must not be tested on."""
    metadata = ModelMetadata(
        1.25, "chosen by hand", ["ASVspoof5", "MLS"], provenance="x.ckpt (SHA-256 abc)", licence="CC BY-NC-SA 4.0"
    )
    write_model_card(tmp_path, "someone/detector", metadata)
    card = (tmp_path / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "cc-by-nc-sa-4.0" and header["library_name"] == "speechbrain"
    for text in (
        "probabilities are not calibrated",
        "1.25",
        "chosen by hand",
        "ASVspoof5, MLS",
        "SHA-256 abc",
        "0 = fake, 1 = real",
        "someone/detector",
    ):
        assert text in card
    assert "probabilities are not calibrated" in card


def test_card_of_an_unknown_model_says_so(tmp_path):
    """A card would claim a licence that nobody gave."""
    write_model_card(tmp_path, "x", ModelMetadata())
    card = (tmp_path / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["license"] == "other"
    assert card.count("unknown") == 3
