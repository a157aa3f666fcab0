"""antideepfake check leakage: compares a test set with training data."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import soundfile

from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.protocol.table import COLUMNS, read_protocol, write_protocol


@pytest.fixture
def run(command):
    """Run ``antideepfake check leakage``."""
    return partial(command, "check", "leakage")


@pytest.fixture
def protocol(tmp_path):
    """Write a protocol of identifiers, all of a second."""

    def write(name, *identifiers):
        row = dict(zip(COLUMNS, ["", "real", 1.0, 16000, "", "-", "-", "-", 1, "PCM_S", 16, "EN"], strict=True))
        table = pd.DataFrame([{**row, "ID": text, "Path": f"$ROOT/{text}.wav"} for text in identifiers])
        write_protocol(table, tmp_path / name)
        return tmp_path / name

    return write


def test_leakage_is_reported_with_status_1(run, protocol):
    test = protocol("test.csv", "DFADD-1", "ItW-1")
    status, out, err = run(test, "--train", protocol("one.csv", "ItW-1"), protocol("two.arrow", "ASV19LA-1"))
    assert status == 1 and err.startswith("WARNING: ")
    assert "DFADD (VCTK) - ASVspoof2019-LA (VCTK)" in err and "SAME CORPUS: In-the-Wild." in err
    assert out == "shared: 1 identifiers, 0 recordings, 1 corpora, 1 pairs of corpora with a common source\n"
    status, out, err = run(test, "--train", protocol("three.csv", "MLS-1", "mine-1"))
    assert status == 0 and err == "" and out.startswith("shared: 0 identifiers")


def test_a_model_folder_names_its_corpora(run, protocol, tmp_path):
    (tmp_path / "model").mkdir()
    metadata = tmp_path / "model" / "metadata.json"
    metadata.write_text(json.dumps({"training_corpora": ["LibriTTS"]}))
    status, _, err = run(protocol("test.csv", "Libri-R-1"), "--model", tmp_path / "model")
    assert status == 1 and "LibriTTS-R (LibriTTS) - LibriTTS" in err
    assert run(protocol("test.csv", "ItW-1"), "--model", tmp_path / "model")[0] == 0
    metadata.write_text(json.dumps({"training_corpora": []}))
    status, _, err = run(tmp_path / "test.csv", "--model", tmp_path / "model")
    assert status == 2 and "does not name the corpora of its training" in err
    metadata.unlink()
    status, _, err = run(tmp_path / "test.csv", "--model", tmp_path / "model")
    assert status == 2 and "no such file" in err


def test_a_split_that_training_left_out_is_a_note(run, protocol, tmp_path):
    """Guards against an alarm in every normal workflow, which people learn to ignore."""
    path = protocol("test.csv", "ASV19LA-1")
    table = read_protocol(path).assign(Proportion="test")
    write_protocol(table, path)
    trained = {"name": "a.csv", "sha256": "0", "corpora": ["ASVspoof2019-LA"], "splits": ["train"], "utterances": 9}
    for splits, expected in ((["train", "valid"], 0), (["test", "train"], 1)):
        metadata = ModelMetadata(
            training_corpora=["ASVspoof2019-LA"], training_protocols=[trained | {"splits": splits}]
        )
        metadata.save(tmp_path / "model" / "metadata.json")
        status, _, err = run(path, "--model", tmp_path / "model")
        assert status == expected and ("note: ASVspoof2019-LA" in err) == (expected == 0)


def test_recordings_under_other_names(run, protocol, tmp_path, rng):
    samples = rng.integers(-9999, 9999, (2, 16000)).astype(np.int16)
    for name, signal in (("t-1", samples[0]), ("u-1", samples[0]), ("u-2", samples[1])):
        soundfile.write(tmp_path / f"{name}.wav", signal, 16000)
    test, train = protocol("test.csv", "t-1", "t-lost"), protocol("train.csv", "u-1", "u-2")
    status, out, err = run(test, "--train", train, "--audio", "--data_folder", tmp_path, "--quiet")
    assert status == 1 and "t-1 (in training: u-1)" in err and "1 recordings" in out
    assert "t-lost.wav: no such file" in err and "1 files could not be compared" in err
    assert run(test, "--train", train, "--quiet")[0] == 0
    assert run(test, "--model", tmp_path, "--audio", "--data_folder", tmp_path)[0] == 2
