"""The paper's evaluation as one command."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from antideepfake.model_folder.metadata import ModelMetadata

FOLDER = Path(__file__).parents[2] / "recipes" / "AntiDeepfake" / "Evaluation"
META = "file,speaker,label\n" + "".join(f"{n}.wav,Ann,{'spoof' if n % 2 else 'bona-fide'}\n" for n in range(6))


@pytest.fixture
def program():
    """The module of evaluate.py."""
    spec = importlib.util.spec_from_file_location("paper_evaluation", FOLDER / "evaluate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(program, monkeypatch, capsys):
    """Run the program in this process; gives status, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            program.run_program(program.main)
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return call


def test_published_results_are_complete(program):
    names = set(program.PUBLISHED)
    assert names == {program.published_name(f"o/{name}") for name in published_repositories()}
    assert all(len(row) == len(program.TEST_SETS) for row in program.PUBLISHED.values())
    assert program.PUBLISHED["mms-300m"][list(program.TEST_SETS).index("In-the-Wild")] == 2.90
    assert program.PUBLISHED["xls-r-2b-nda"][list(program.TEST_SETS).index("Deepfake-Eval-2024")] == 25.78


def published_repositories():
    library = Path(__file__).parents[2] / "antideepfake"
    return yaml.safe_load((library / "model_folder" / "published_detectors.yaml").read_text())["names"]


def test_prepared_scored_and_compared(run, make_tree, model_folder, tmp_path):
    folder = "In-the-Wild/release_in_the_wild"
    data = make_tree([f"{folder}/{n}.wav" for n in range(6)], {f"{folder}/meta.csv": META})
    models = [tmp_path / name for name in ("published", "own")]
    for model, provenance in zip(models, ("owner/mms-300m-anti-deepfake (paper), converted", "mine"), strict=True):
        shutil.copytree(model_folder, model)
        ModelMetadata(provenance=provenance).save(model / "metadata.json")
    status, out, err = run(*models, "--data_folder", data, "--output", tmp_path / "out", "--quiet")
    assert status == 0, err
    lines = [line.split() for line in out.splitlines() if line.startswith("In-the-Wild")]
    assert [line[1:3] for line in lines] == [["3", "3"]] * 2
    metrics = json.loads((tmp_path / "out" / "published" / "In-the-Wild" / "metrics.json").read_text())
    eer = 100 * metrics["overall"]["eer"]
    assert lines[0][3] == f"{eer:.2f}" and lines[0][-2:] == ["2.90", f"{eer - 2.9:+.2f}"]
    assert lines[1][-2:] == ["-", "-"]
    assert (tmp_path / "out" / "table.md").read_text().count("| average of 1 |") == 2

    for wav in data.rglob("*.wav"):  # what was scored is not scored again
        wav.unlink()
    assert run(*models, "--data_folder", data, "--output", tmp_path / "out", "--quiet")[:2] == (0, out)


def test_a_folder_without_test_sets_is_refused(run, model_folder, tmp_path):
    status, _, err = run(model_folder, "--data_folder", tmp_path, "--output", tmp_path / "out")
    assert status == 2 and "contains none of ADD2023" in err
