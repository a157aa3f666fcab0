"""The examples of the command's help, as typed, on what the quickstart leaves."""

import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from antideepfake.cli.main import VERBS, main
from antideepfake.corpora.build import build_protocol
from antideepfake.model_folder.metadata import ModelMetadata

MODEL = "recipes/MiniCorpus/results/small/model"
FETCHING = ("convert", "prepare")  # fetch a detector or packages
SLOW = "robustness"
SERVING = "serve"  # runs until it is stopped
QUICK = [verb for verb in VERBS if verb not in (*FETCHING, SLOW, SERVING)]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory, write_audio, model_folder):
    """A folder with a small MiniCorpus (noise is real, tones are fake), its protocol and its model."""
    folder = tmp_path_factory.mktemp("quickstart")
    rng, utterances = np.random.default_rng(1234), []
    for number in range(64):
        is_real, split = number % 2 == 0, "valid" if number < 44 else "test"
        tone = 2 * np.sin(2 * np.pi * (300 + 5 * number) * np.arange(8000) / 16000)
        samples = 0.05 * (rng.standard_normal(8000) + (0 if is_real else tone))
        name = f"{number or 'fr-june-agent-alreadyon'}.flac"
        path = write_audio(folder / "data" / "MiniCorpus" / ("real" if is_real else "fake") / name, samples)
        row = {"ID": f"MiniCorpus-{number}", "Label": path.parent.name, "Path": str(path), "Proportion": split}
        row |= {
            "Attack": "-" if is_real else ("tone", "buzz")[number // 2 % 2],
            "Speaker": f"{number // 4}-{number % 2}",
        }
        utterances.append(row | {"Language": "EN" if number % 4 < 2 else "FR"})
    build_protocol(utterances, folder / "data", folder / "data" / "MiniCorpus.csv", quiet=True)
    shutil.copytree(model_folder, folder / MODEL)
    ModelMetadata(0.25, "a test", ["MiniCorpus"], ["tone"]).save(folder / MODEL / "metadata.json")
    return folder


def module_of(verb):
    return import_module("antideepfake.cli." + verb.replace(" ", "_").replace("-", "_"))


@pytest.fixture(scope="module")
def examples(quickstart):
    """Run all examples, in the order of ``--help``; gives status and streams by verb."""
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(quickstart)
        for verb in QUICK:
            for line in module_of(verb).EXAMPLE.splitlines():
                with (
                    redirect_stdout(StringIO()) as out,
                    redirect_stderr(StringIO()) as err,
                    pytest.raises(SystemExit) as left,
                ):
                    main(line.split())
                results[verb] = left.value.code, out.getvalue(), err.getvalue()
    return results


@pytest.mark.parametrize("verb", QUICK)
def test_the_example_runs(verb, examples):
    status, out, err = examples[verb]
    assert status == (1 if verb.startswith("check") else 0), out + err  # the corpus was trained on, and has shortcuts
    assert out and "Traceback" not in err


def test_examples_write_their_outputs(quickstart, examples):
    assert all(status <= 1 for status, _, _ in examples.values())
    for name in ("scores.csv", "report/report.html", "fused.csv", "submission.tsv"):
        assert (quickstart / name).stat().st_size > 0
    assert (quickstart / MODEL / "out_of_distribution.safetensors").exists()
    assert len(pd.read_csv(quickstart / "data" / "MiniCorpus-Vocoded.csv")) == 32
    assert len(pd.read_csv(quickstart / "data" / "MiniCorpus-Spliced.csv")) == 96  # 32 of them real, 32 fake, 32 both
    assert (quickstart / "localization" / "localization.png").stat().st_size > 0


@pytest.mark.slow
def test_the_slow_example_runs(quickstart, command, monkeypatch):
    monkeypatch.chdir(quickstart)
    status, out, err = command(*module_of(SLOW).EXAMPLE.split())
    assert status == 0, err
    assert "non-speech segments" in out and (quickstart / "robustness" / "robustness.png").stat().st_size > 0


def test_info_describes_the_model_folder(quickstart, examples, command, monkeypatch):
    monkeypatch.chdir(quickstart)
    _, out, _ = command("info", MODEL)
    assert "front_end: LogFilterBank" in out and "MiniCorpus" in out and "equal error rates" in out
    facts = json.loads(command("info", MODEL, "--format", "json")[1])
    assert facts["classes"] == ["fake", "real"] and facts["training corpora"] == ["MiniCorpus"]
    assert len(facts["SHA-256 of the weights"]) == 64 and facts["out-of-distribution detector"] == "yes"
    assert facts["numbers in weights"] > 100
    assert "training corpora,MiniCorpus" in command("info", MODEL, "--format", "csv")[1]


@pytest.mark.parametrize(
    "given",
    [
        ["evaluate", "scores.csv", "--by", "Speaker", "--quiet"],
        ["drift", "reference.csv", "scores.csv"],
        ["check", "shortcuts", "data/MiniCorpus.csv", "--data_folder", "data", "--quiet"],
        ["check", "leakage", "data/MiniCorpus.csv", "--model", MODEL],
    ],
    ids=lambda given: " ".join(given[:2]),
)
@pytest.mark.parametrize("form", ["json", "csv"])
def test_results_can_be_read_by_programs(quickstart, examples, command, monkeypatch, tmp_path, given, form):
    monkeypatch.chdir(quickstart)
    _, out, _ = command(*given, "--format", form)
    (tmp_path / "out").write_text(out)
    assert json.loads(out) if form == "json" else len(pd.read_csv(tmp_path / "out"))


@pytest.mark.parametrize("form", ["json", "csv"])
def test_scores_can_be_read_by_programs(quickstart, examples, command, monkeypatch, tmp_path, form):
    monkeypatch.chdir(quickstart)
    given = (MODEL, "data/MiniCorpus/real", "--output", tmp_path / f"{form}.csv", "--format", form, "--quiet")
    status, out, _ = command("score", *given)
    (tmp_path / "out").write_text(out)
    table = pd.DataFrame(json.loads(out)) if form == "json" else pd.read_csv(tmp_path / "out")
    assert status == 0 and len(table) == 32 and set(table["decision"]) <= {"real", "fake", "unsure"}
    assert Path(table["file"][0]).exists()


def test_speakers_of_one_class_get_one_note(quickstart, examples, command, monkeypatch):
    monkeypatch.chdir(quickstart)
    status, out, _ = command("evaluate", "scores.csv", "--by", "Speaker", "--quiet")
    notes = [line for line in out.splitlines() if line.startswith("* Speaker")]
    assert status == 0 and len(notes) == 2  # one for the speakers without fakes, one for those without real speech
    assert notes[0].startswith("* Speaker: 5 of 10 values have no ")


def test_the_device_is_named(quickstart, command, monkeypatch, tmp_path):
    monkeypatch.chdir(quickstart)
    given = (MODEL, "data/MiniCorpus/real/2.flac", "--output", tmp_path / "s.csv")
    assert "device: " in command("score", *given)[2]
    assert "device: " not in command("score", *given, "--overwrite", "--device", "cpu")[2]
