"""antideepfake shard: packed by runs that are killed, and read by scoring and by WebDataset as files are."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from antideepfake.audio.waveform import read_audio
from antideepfake.corpora.build import build_protocol
from antideepfake.protocol.table import read_protocol
from antideepfake.scoring.score_file import read_scores

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path, make_corpus):
    """A protocol of 24 utterances; one of them is damaged after the preparation."""
    data = make_corpus(tmp_path / "data")
    files = sorted([*data.rglob("*.wav"), *data.rglob("*.flac")])
    rows = [{"ID": f"Own-{path.parts[-2]}.{path.name}", "Label": path.parts[-3], "Path": str(path)} for path in files]
    build_protocol(rows, data, data / "Own.csv", quiet=True)
    files[3].write_bytes(files[3].read_bytes()[:900])
    return data / "Own.csv"


@pytest.fixture
def packed(command, source):
    """The protocol of the shards."""
    given = ("shard", source, "--data_folder", source.parent, "--output", source.parent / "shards", "--quiet")
    status, _, err = command(*given)
    assert status == 1 and "left out: 1 files" in err
    return source.parent / "shards" / "Own.csv"


def test_the_score_file_is_that_of_the_files(command, model_folder, source, packed, tmp_path):
    results = {}
    for name, protocol in (("files", source), ("shards", packed)):
        given = ("score", model_folder, protocol, "--data_folder", source.parent, "--output", tmp_path / f"{name}.csv")
        status, _, _ = command(*given, "--quiet", "--device", "cpu")
        results[name] = status, pd.read_csv(tmp_path / f"{name}.csv", dtype=str).drop(columns="Path")
    assert (results["files"][0], results["shards"][0]) == (1, 0)  # the damaged file is not in the shards
    pd.testing.assert_frame_equal(results["files"][1], results["shards"][1])


def test_an_entry_is_scored_by_its_path(command, model_folder, packed):
    path = read_protocol(packed)["Path"][0].replace("$ROOT", str(packed.parents[1]))
    status, out, _ = command("score", model_folder, path, "--device", "cpu", "--format", "csv", "--quiet")
    assert status == 0 and path in out
    status, _, err = command("score", model_folder, path.replace("000000", "000009"), "--device", "cpu")
    assert status == 2 and "no such file or folder" in err


def test_an_entry_that_is_damaged_later_is_skipped(command, model_folder, packed, tmp_path):
    table = read_protocol(packed)
    shard, _, place = table["Path"][2].replace("$ROOT", str(packed.parents[1])).partition("#")
    with open(shard, "r+b") as file:
        file.seek(int(place.split("+")[0]))
        file.write(bytes(100))
    given = ("score", model_folder, packed, "--data_folder", packed.parents[1], "--output", tmp_path / "s.csv")
    assert command(*given, "--quiet", "--device", "cpu")[0] == 1
    skipped = (tmp_path / "s.csv.skipped.csv").read_text()
    assert table["Path"][2].removeprefix("$ROOT/") in skipped
    assert read_scores(tmp_path / "s.csv")["ID"].tolist() == table["ID"].drop(2).tolist()
    status, _, err = command("shard", "Own.csv", "--output", packed.parent, "--verify", "--quiet")
    assert status == 1 and "differs from the index" in err


def test_all_commands_read_shards(command, model_folder, packed, tmp_path):
    given = (packed, "--data_folder", packed.parents[1], "--quiet")
    assert command("check", "shortcuts", *given)[0] in (0, 1)
    assert command("check", "leakage", packed, "--train", packed, "--data_folder", packed.parents[1], "--quiet")[0] == 1
    perturbed = ("--perturbations", "level", "--output", tmp_path / "r", "--device", "cpu")
    assert command("robustness", model_folder, *given, *perturbed)[0] == 0
    vocoded = ("--vocoder", "griffin_lim", "--output_folder", tmp_path / "v", "--output", tmp_path / "v.csv")
    assert command("vocode", *given, *vocoded)[0] == 0
    assert len(read_protocol(tmp_path / "v.csv")) == (read_protocol(packed)["Label"] == "real").sum()


def test_webdataset_reads_the_shards(packed):
    webdataset = pytest.importorskip("webdataset")
    shards = [str(path) for path in sorted(packed.parent.glob("*.tar"))]
    decode = webdataset.handle_extension("flac wav", lambda content: soundfile.read(io.BytesIO(content)))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode(decode).rename(audio="flac;wav"))
    table = read_protocol(packed)
    assert [sample["json"]["ID"] for sample in samples] == table["ID"].tolist()
    assert [sample["json"]["Label"] for sample in samples] == table["Label"].tolist()
    for sample, path in zip(samples, table["Path"], strict=True):
        expected, rate = read_audio(path.replace("$ROOT", str(packed.parents[1])))
        np.testing.assert_array_equal(sample["audio"][0], expected[:, 0].numpy())
        assert sample["audio"][1] == rate


def test_killed_and_continued(command, source, tmp_path):
    data = source.parent
    rng = np.random.default_rng(1)
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * rng.standard_normal(16000 * 20), 16000, format="WAV")
    rows = []
    for number in range(30):
        (data / f"{number}.wav").write_bytes(buffer.getvalue())
        rows.append({"ID": f"Own-{number}", "Label": "real", "Path": str(data / f"{number}.wav")})
    build_protocol(rows, data, source, quiet=True)
    given = ["shard", source, "--data_folder", data, "--quiet", "--shard_mb", "1"]
    assert command(*given, "--output", data / "whole")[0] == 0

    program = [sys.executable, "-m", "antideepfake", *map(str, given), "--output", str(data / "shards")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*program, "--num_workers", "2"], env=environment, start_new_session=True)
    while process.poll() is None and not list((data / "shards").glob("[!.]*.tar")):
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in (data / "shards").glob("[!.]*.tar")}
    assert 0 < len(kept) < 15 and not (data / "shards" / "Own.csv").exists()

    assert command(*given, "--output", data / "shards")[0] == 0
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    names = sorted(path.name for path in (data / "whole").iterdir())
    assert sorted(path.name for path in (data / "shards").glob("[!.]*")) == names
    for name in names:
        content, expected = ((data / folder / name).read_bytes() for folder in ("shards", "whole"))
        assert content.replace(b"/shards/", b"/whole/") == expected
    assert command("shard", "Own.csv", "--output", data / "shards", "--verify", "--quiet")[0] == 0
