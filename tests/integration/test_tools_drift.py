"""From recordings to drift and to a detector that abstains."""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from antideepfake.inference import load_detector
from antideepfake.scoring import read_scores
from antideepfake.scoring.embeddings import EmbeddingWriter, read_embeddings

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a program of tools/ in this process; gives status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(tool, *arguments):
        spec = importlib.util.spec_from_file_location(f"{tool}_program", TOOLS / f"{tool}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [f"{tool}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            module.run_program(module.main)
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def save(path, values):
    """Write embeddings as the scorer does."""
    with EmbeddingWriter(path, "run") as writer:
        for place, row in enumerate(values):
            writer.write(place, f"u{place}", row)
    writer.merge(len(values))
    writer.remove()


@pytest.fixture
def folders(tmp_path, write_audio, model_folder):
    """Usual recordings, noise; others, low tones; and a model folder of one's own."""
    rng = np.random.default_rng(1)
    for number in range(30):
        tone = np.sin(2 * np.pi * rng.uniform(100, 200) * np.arange(4000) / 16000)
        for name, samples in (("usual", rng.standard_normal(4000)), ("other", tone)):
            write_audio(tmp_path / name / f"{number:02}.wav", 0.1 * samples)
    shutil.copytree(model_folder, tmp_path / "model")
    return tmp_path


def test_from_scores_to_abstaining(run, folders):
    """The rows would not be those of the score file, the drift not be seen, or the detector judge what it cannot."""
    for name in ("usual", "other"):
        given = (name, "--output", f"{name}.csv", "--embeddings", f"{name}.parquet", "--quiet")
        assert run("score", "model", *given)[0] == 0
        files = [folders / path for path in read_scores(f"{name}.csv")["ID"]]
        embeddings = [result.embedding for result in load_detector("model").score_files(files)]
        np.testing.assert_allclose(read_embeddings(f"{name}.parquet").values, embeddings, atol=1e-5)
        assert not list(folders.glob("*.part"))

    status, out, _ = run("drift", "usual.parquet", "other.parquet", "--output", "d.png", "--table", "d.csv")
    assert status == 0 and out.splitlines()[1].split()[:2] == ["all", "30"]
    assert float(out.splitlines()[1].split()[-1]) < 0.01
    assert len(pd.read_csv("d.csv")) == embeddings[0].shape[0] and Path("d.png").stat().st_size > 1000
    status, out, _ = run("drift", "usual.csv", "usual.csv")
    assert status == 0 and out.splitlines()[1].split()[2] == "0.000" and out.splitlines()[1].split()[-1] == "1.000"

    assert run("fit_abstain", "model", "usual.parquet", "--share", "0.05")[0] == 0
    _, out, _ = run("score", "model", "usual", "other", "--output", "both.csv", "--quiet")
    far = read_scores("both.csv").set_index("ID")["Far"] == "yes"
    usual = far.index.str.startswith("usual")
    assert far[usual].sum() <= 4 and far[~usual].sum() >= 2 * far[usual].sum()
    assert f", {far.sum()} unsure (far from what the model knows)" in out
    results = load_detector("model").score_files([folders / name for name in far.index])
    assert [result.is_far for result in results] == far.tolist()


def test_which_kind_moved(run, folders):
    """The operator would see that something moved, and not what."""
    rng = np.random.default_rng(1)
    save("a.parquet", rng.standard_normal((60, 3)))
    save("b.parquet", rng.standard_normal((45, 3)) + np.repeat([0, 2, 0], [20, 22, 3])[:, None])
    lines = [f'u{n},"[0, 1]",1,{"EN" if n < 20 else "FR" if n < 42 else "IT"}' for n in range(45)]
    Path("b.csv").write_text("\n".join(["ID,Score,Label,Language", *reversed(lines)]))
    status, out, err = run("drift", "a.parquet", "b.parquet", "--scores", "b.csv", "--by", "Language")
    rows = {line.split()[1]: line.split() for line in out.splitlines() if line.startswith("Language")}
    assert status == 0 and set(rows) == {"EN", "FR"} and "Language IT: only 3 utterances" in err
    assert float(rows["FR"][-1]) < 0.01 < float(rows["EN"][-1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("none.parquet", "a.parquet"), "none.parquet: no such file"),
        (("a.parquet", "a.parquet", "--by", "Language"), "--by needs --scores"),
        (("a.parquet", "a.parquet", "--by", "Language", "--scores", "b.csv"), "does not hold 2 of the utterances"),
        (("a.parquet", "a.parquet", "--by", "Attack", "--scores", "b.csv"), "b.csv: no column Attack"),
    ],
)
def test_what_is_amiss_is_told(run, tmp_path, given, message):
    """A traceback would greet the operator."""
    save(tmp_path / "a.parquet", np.eye(3))
    (tmp_path / "b.csv").write_text('ID,Score,Label,Language\nu0,"[0, 1]",1,EN\n')
    status, _, err = run("drift", *given)
    assert status == 2 and message in err
