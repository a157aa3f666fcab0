"""Fixtures for the recipes that prepare corpora: a small tree of files, and the protocol that a recipe writes."""

import importlib.util
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from antideepfake.corpora.build import BuildReport
from antideepfake.protocol.table import read_protocol

ROOT = Path(__file__).parents[2]
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3"}
SHOWN = ["ID", "Label", "Attack", "Speaker", "Proportion", "Language"]


def load_file(path: Path) -> ModuleType:
    """Import a script that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKS = load_file(ROOT / "tools" / "check_recipe.py")


def load_program(name: str, program: str = "prepare") -> ModuleType:
    """Import recipes/<name>/<name, lower case, _ for other characters>_<program>.py."""
    return CHECKS.load_program(ROOT / "recipes" / name, program)


@pytest.fixture(scope="session")
def check_recipe() -> ModuleType:
    """The module of tools/check_recipe.py."""
    return CHECKS


@pytest.fixture(scope="session")
def load_recipe() -> Callable[..., ModuleType]:
    """The function :func:`load_program`."""
    return load_program


@pytest.fixture(scope="session")
def sounds() -> dict[str, bytes]:
    """Half a second of noise in each format, encoded once; half of a shorter MP3 would not look truncated."""
    encoded = {}
    for suffix, form in FORMATS.items():
        file = io.BytesIO()
        soundfile.write(file, 0.1 * np.random.default_rng(1).standard_normal(8000), 16000, format=form)
        encoded[suffix] = file.getvalue()
    return encoded


@pytest.fixture
def make_tree(tmp_path: Path, sounds: dict[str, bytes]) -> Callable[..., Path]:
    """Write audio files and lists below the data folder and return it; names with ``broken`` are truncated."""

    def make(audio: list[str], lists: Mapping[str, str] | None = None) -> Path:
        for name, text in (lists or {}).items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in audio:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = sounds[path.suffix.lower()]
            path.write_bytes(sound[: len(sound) // 2] if "broken" in name else sound)
        return tmp_path / "data"

    return make


@pytest.fixture
def prepare(tmp_path: Path, make_tree) -> Callable[..., tuple[list[tuple[str, ...]], BuildReport]]:
    """Make a tree, prepare it with a recipe, and return the rows of the protocol (columns ``SHOWN``) and the report.

    Checks what applies to every recipe: paths exist, rows follow the conventions, and the number of workers does not
    change the protocol.
    """

    def run(recipe: str, audio: list[str], lists: Mapping[str, str] | None = None, **options: Any):
        data_folder = make_tree(audio, lists)
        module = load_program(recipe)
        prepare_corpus = getattr(module, "prepare_" + module.__name__.removesuffix("_prepare"))
        report = prepare_corpus(data_folder, tmp_path / "p.csv", quiet=True, overwrite=True, **options)
        prepare_corpus(data_folder, tmp_path / "q.csv", quiet=True, overwrite=True, num_workers=3, **options)
        assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "q.csv").read_bytes()
        table = read_protocol(tmp_path / "p.csv")
        assert all((data_folder / path.removeprefix("$ROOT/")).is_file() for path in table["Path"])
        identifiers = CHECKS.read_facts(ROOT / "recipes" / recipe / "corpus.yaml")["identifiers"]
        assert not list(CHECKS.check_rows(table, identifiers))
        return list(table[SHOWN].itertuples(index=False, name=None)), report

    return run


@pytest.fixture
def reasons() -> Callable[[BuildReport], dict[str, str]]:
    """The reason for each file that a report lists as left out, by file name."""
    return lambda report: {Path(entry["path"]).name: entry["reason"] for entry in report.left_out}
