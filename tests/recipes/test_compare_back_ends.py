"""BackEnds: a run for each back end and seed, resumed, with a table of costs and error rates."""

import logging
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from antideepfake.corpora.build import build_protocol
from antideepfake.errors import InputError
from antideepfake.lobes.detector import compute_logits
from antideepfake.training.settings import load_experiment

RECIPES = Path(__file__).parents[2] / "recipes"
PROGRAM = RECIPES / "AntiDeepfake" / "BackEnds" / "compare.py"
STEPS = shlex.split(
    "--max_steps 2 --valid_interval 2 --num_workers 0 --batch_seconds 4 --crop null --augmentation null"
)
BACK_ENDS = """
statistics:
    back_end: "!new:antideepfake.lobes.StatisticsPooling {n_layers: 1}"
    classifier: "!new:torch.nn.Linear {in_features: 120, out_features: 2}"
fixed:
    back_end: "!new:antideepfake.lobes.MeanPooling"
    classifier: "!new:torch.nn.Linear {in_features: 60, out_features: 2}"
    fixed_length: "!new:antideepfake.lobes.FixedLength {n_samples: 8000}"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_corpus):
    """A corpus whose system "buzz" is in the test set only, and its protocol."""
    folder = make_corpus(tmp_path_factory.mktemp("data"), speakers=6, files=4)
    rows = [
        {
            "ID": path.relative_to(folder).as_posix(),
            "Label": path.parts[-3],
            "Path": str(path),
            "Attack": "-" if path.parts[-3] == "real" else "buzz" if path.parts[-2][-1] == "5" else "tone",
            "Proportion": (["train"] * 4 + ["valid", "test"])[int(path.parts[-2][-1])],
        }
        for path in sorted(folder.glob("*/*/*.*"))
    ]
    build_protocol(rows, folder, folder / "MiniCorpus.csv", quiet=True)
    return folder


@pytest.fixture
def run(monkeypatch, capsys, data, tmp_path):
    """Run the program in this process; gives the status and what it said."""
    handlers, level = list(logging.root.handlers), logging.root.level
    (tmp_path / "back_ends.yaml").write_text(BACK_ENDS)

    def call(*options):
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        yaml = str(RECIPES / "MiniCorpus" / "hparams" / "log_filter_bank.yaml")
        given = ["--back_ends", str(tmp_path / "back_ends.yaml"), "--output_folder", str(tmp_path / "runs")]
        given += ["--data_folder", str(data), *STEPS, *options]
        monkeypatch.setattr(sys, "argv", [PROGRAM.name, yaml, *given])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(PROGRAM), run_name="__main__")
        return left.value.code, *capsys.readouterr()

    yield call
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_each_back_end_is_trained_once_with_each_seed(run, data, tmp_path):
    second = ["--test", str(data / "MiniCorpus.csv"), "--test_folder", str(data)]
    status, out, err = run("--seeds", "1", "2", *second)
    assert status == 0, err
    runs = tmp_path / "runs"
    names = {"statistics_1", "statistics_2", "fixed_1", "fixed_2", "back_ends.csv"}
    assert {path.name for path in runs.iterdir()} == names
    table = pd.read_csv(runs / "back_ends.csv")
    assert table["back_end"].tolist() == ["statistics", "fixed"] and table["seeds"].tolist() == [2, 2]
    assert table["parameters"].tolist() == [242, 122]
    assert np.isfinite(table.drop(columns="back_end")).all(axis=None)
    assert (table["unseen_eer"] == table["eer"]).all()  # the test set has no other system
    assert out.splitlines()[0].split()[:2] == ["back", "end"] and len(out.splitlines()) == 3

    written = (runs / "fixed_1" / "scores.csv").stat().st_mtime_ns
    status, again, err = run("--seeds", "1", "2", *second)
    assert status == 0 and again == out and err.count("already finished") == 4
    assert (runs / "fixed_1" / "scores.csv").stat().st_mtime_ns == written


def test_an_unknown_name_is_refused(run, tmp_path):
    status, _, err = run("--names", "statistic")
    assert status == 2 and "has no back end statistic; choose from statistics, fixed" in err
    assert not (tmp_path / "runs").exists()


def test_the_back_ends_for_whisper_tiny_fit_it(tmp_path):
    program = runpy.run_path(str(PROGRAM))
    recipe = str(RECIPES / "MiniCorpus" / "hparams" / "train.yaml")
    for name, keys in program["read_back_ends"](str(PROGRAM.with_name("whisper_tiny_en.yaml")), None).items():
        (tmp_path / f"{name}.yaml").write_text(program["replace_keys"](recipe, keys))
        given = f"data_folder: {tmp_path}\nstart_from: null\nfrozen_layers: 0\n"
        modules = load_experiment(tmp_path / f"{name}.yaml", given)["modules"]
        for module in modules.values():
            module.eval()
        with torch.inference_mode():
            length = modules["embedding_model"].fixed_length
            samples = length.n_samples if length else 8000
            assert compute_logits(modules, torch.randn(1, samples), torch.ones(1)).shape == (1, 2), name


def test_a_key_that_the_yaml_lacks_is_named(tmp_path):
    (tmp_path / "a.yaml").write_text("back_end: !new:A\n    size: 3\n\nlr: 1\n")
    replace_keys = runpy.run_path(str(PROGRAM))["replace_keys"]
    assert replace_keys(str(tmp_path / "a.yaml"), {"back_end": "!new:B {x: 1}"}) == "back_end: !new:B {x: 1}\n\nlr: 1\n"
    with pytest.raises(InputError, match="has no key 'fixed_length'"):
        replace_keys(str(tmp_path / "a.yaml"), {"fixed_length": "null"})
