"""Files that the library reads beside its code."""

from antideepfake import resources
from antideepfake.corpora.registry import read_corpora
from antideepfake.resources import find_resource


def test_the_checkout_has_all_resources():
    assert find_resource("hparams/union.yaml").is_file()
    assert len(read_corpora(find_resource("recipes"))) >= 38


def test_files_inside_the_package_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "package")
    (tmp_path / "recipes").mkdir()
    assert find_resource("recipes") == tmp_path / "recipes"
    (tmp_path / "package" / "recipes").mkdir(parents=True)
    assert find_resource("recipes") == tmp_path / "package" / "recipes"
