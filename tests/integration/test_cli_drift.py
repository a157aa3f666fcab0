"""From recordings to drift and to a detector that abstains."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from antideepfake.inference.detector import load_detector
from antideepfake.scoring.embeddings import EmbeddingWriter, read_embeddings
from antideepfake.scoring.score_file import read_scores


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """Run the command from a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return command


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
    for name in ("usual", "other"):
        given = (name, "--output", f"{name}.csv", "--embeddings", f"{name}.parquet", "--quiet")
        assert run("score", "model", *given)[0] == 0
        files = [folders / path for path in read_scores(f"{name}.csv")["ID"]]
        embeddings = [result.embedding for result in load_detector("model").score_files(files)]
        np.testing.assert_allclose(read_embeddings(f"{name}.parquet").values, embeddings, atol=1e-5)
        assert not list(folders.glob("*.part"))

    status, out, _ = run("drift", "usual.parquet", "other.parquet", "--output", "d")
    assert status == 1 and out.splitlines()[1].split()[:2] == ["all", "30"]
    assert float(out.splitlines()[1].split()[-1]) <= 0.01
    assert len(pd.read_csv("d/dimensions.csv")) == embeddings[0].shape[0] and Path("d/drift.png").stat().st_size > 1000
    assert "shift: incoming recordings differ" in out
    status, out, _ = run("drift", "usual.csv", "usual.csv")
    assert status == 0 and out.splitlines()[1].split()[2] == "0.000" and out.splitlines()[1].split()[-1] == "1.000"

    assert run("fit-ood", "model", "usual.parquet", "--fraction", "0.05")[0] == 0
    _, out, _ = run("score", "model", "usual", "other", "--output", "both.csv", "--quiet")
    far = read_scores("both.csv").set_index("ID")["OOD"] == "yes"
    usual = far.index.str.startswith("usual")
    assert far[usual].sum() <= 4 and far[~usual].sum() >= 2 * far[usual].sum()
    assert f", {far.sum()} unsure (out of distribution, or without speech)" in out
    results = load_detector("model").score_files([folders / name for name in far.index])
    assert [result.is_ood for result in results] == far.tolist()


def test_which_kind_moved(run, folders):
    rng = np.random.default_rng(1)
    save("a.parquet", rng.standard_normal((60, 3)))
    save("b.parquet", rng.standard_normal((45, 3)) + np.repeat([0, 2, 0], [20, 22, 3])[:, None])
    lines = [f'u{n},"[0, 1]",1,{"EN" if n < 20 else "FR" if n < 42 else "IT"}' for n in range(45)]
    Path("b.csv").write_text("\n".join(["ID,Score,Label,Language", *reversed(lines)]))
    status, out, err = run("drift", "a.parquet", "b.parquet", "--scores", "b.csv", "--by", "Language")
    rows = {line.split()[1]: line.split() for line in out.splitlines() if line.startswith("Language")}
    assert status == 1 and set(rows) == {"EN", "FR"} and "Language IT: only 3 utterances" in err
    assert float(rows["FR"][-1]) < 0.01 < float(rows["EN"][-1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("none.parquet", "a.parquet"), "none.parquet: no such file"),
        (("a.parquet", "a.parquet", "--by", "Language"), "embeddings have no columns; --by needs --scores"),
        (("a.parquet", "a.parquet", "--by", "Language", "--scores", "b.csv"), "b.csv: lacks 2 of the utterances"),
        (("a.parquet", "a.parquet", "--by", "Attack", "--scores", "b.csv"), "b.csv: no column Attack"),
    ],
)
def test_mistakes_exit_with_status_2(run, tmp_path, given, message):
    save(tmp_path / "a.parquet", np.eye(3))
    (tmp_path / "b.csv").write_text('ID,Score,Label,Language\nu0,"[0, 1]",1,EN\n')
    status, _, err = run("drift", *given)
    assert status == 2 and message in err


def save_speakers(path, rng, shift=0.0, speakers=8, utterances=6, dimensions=4):
    """Write embeddings of some speakers, and a score file with their names."""
    voices = np.repeat(rng.standard_normal((speakers, dimensions)), utterances, axis=0)
    save(path.with_suffix(".parquet"), voices + 0.3 * rng.standard_normal(voices.shape) + shift)
    lines = [f'u{n},"[0, {n % 7}]",1,s{n // utterances}' for n in range(len(voices))]
    path.with_suffix(".csv").write_text("\n".join(["ID,Score,Label,Speaker", *lines]))


def test_the_verdict_and_the_exit_status_follow_the_p_value(run, tmp_path):
    rng = np.random.default_rng(2)
    save_speakers(tmp_path / "a", rng)
    save_speakers(tmp_path / "b", rng)
    save_speakers(tmp_path / "c", rng, shift=4.0)
    known = ("--reference_scores", "a.csv", "--format", "json")
    status, out, err = run("drift", "a.parquet", "b.parquet", "--scores", "b.csv", *known)
    said = json.loads(out)
    assert status == 0 and err == "" and not said["alarm"] and said["verdict"].startswith("no shift can be shown (p = ")
    assert said["clusters"] == [8, 8] and said["rows"][0]["incoming"] == "all"
    status, out, _ = run("drift", "a.parquet", "c.parquet", "--scores", "c.csv", *known)
    said = json.loads(out)
    assert status == 1 and said["alarm"] and said["verdict"].startswith("shift: ")
    assert said["rows"][0]["p_value"] <= 0.01 and said["rows"][0]["moved_percent"] == 100
    assert run("drift", "a.parquet", "c.parquet", "--scores", "c.csv", *known[:2], "--alarm", "0.0001")[0] == 0


def test_speakers_are_used_where_they_are_known(run, tmp_path):
    rng = np.random.default_rng(2)
    save_speakers(tmp_path / "a", rng)
    save_speakers(tmp_path / "b", rng, speakers=2)
    assert "(Speaker: 8 and 2)" in run("drift", "a.csv", "b.csv")[1]
    assert "(utterances: 48 and 12)" in run("drift", "a.csv", "b.csv", "--cluster", "none")[1]
    _, out, err = run("drift", "a.parquet", "b.parquet")
    assert "(utterances: 48 and 12)" in out and "speakers are unknown" in err
    status, _, err = run("drift", "a.csv", "b.csv", "--cluster", "Room")
    assert status == 2 and "b.csv: no column Room" in err
    assert "8 and 2 independent units are too few" in run("drift", "a.csv", "b.csv", "--alarm", "0.01")[1]


def test_embeddings_of_another_model_leave_the_folder_as_it_was(run, folders):
    """Guards against a model folder that no longer loads."""
    before = {path.name: path.read_bytes() for path in Path("model").iterdir()}
    size = read_shape("model")
    rng = np.random.default_rng(1)
    for name, values in {
        "other": rng.standard_normal((40, size + 1)),
        "same": np.ones((40, size)),
        "nan": np.full((40, size), np.nan),
    }.items():
        save(Path(f"{name}.parquet"), values)
        status, _, err = run("fit-ood", "model", f"{name}.parquet")
        assert status == 2 and err.startswith(f"error: {name}.parquet: ") and err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in Path("model").iterdir()} == before


def test_abstaining_by_speaker(run, folders):
    save_speakers(Path("a"), np.random.default_rng(1), dimensions=read_shape("model"))
    status, out, err = run("fit-ood", "model", "a.parquet", "--scores", "a.csv", "--fraction", "0.1")
    assert status == 0 and err == "" and "out of distribution: a distance above" in out
    status, _, err = run("fit-ood", "model", "a.parquet")
    assert status == 2 and "already exists; pass --overwrite" in err
    assert "speakers are unknown" in run("fit-ood", "model", "a.parquet", "--overwrite")[2]


def read_shape(model):
    """Dimensions of the embeddings of a model folder."""
    return load_file(Path(model, "model.safetensors"))["classifier.weight"].shape[1]
