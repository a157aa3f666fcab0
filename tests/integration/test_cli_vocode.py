"""antideepfake vocode: from the real speech of a protocol to a folder for each vocoder and a protocol."""

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from antideepfake.corpora.build import build_protocol
from antideepfake.files import lock_output
from antideepfake.protocol.table import read_protocol, write_protocol

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path):
    """Four real recordings and a fake one, laid out as LibriTTS is."""
    rng = np.random.default_rng(1)
    utterances = []
    for number in range(5):
        path = tmp_path / "data" / "LibriTTS" / "dev-clean" / "84" / "121123" / f"84_121123_00000{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal((4000 + 100 * number, 1 + number % 2)), 8000)
        label = "fake" if number == 4 else "real"
        facts = {"Speaker": "84", "Proportion": "valid", "Language": "EN"}
        utterances.append({"ID": f"Libri-{path.stem}", "Label": label, "Path": str(path), **facts})
    build_protocol(utterances, tmp_path / "data", tmp_path / "LibriTTS.csv", quiet=True)
    return tmp_path / "LibriTTS.csv"


@pytest.fixture
def arguments(source, tmp_path):
    """What is typed, with Griffin-Lim in this process."""
    data = tmp_path / "data"
    given = [source, "--data_folder", data, "--output_folder", data / "LibriTTS-Vocoded", "--vocoder", "griffin_lim"]
    return [*map(str, given), "--output", str(tmp_path / "v.csv"), "--quiet", "--num_workers", "0"]


@pytest.fixture
def run(command):
    """Run ``antideepfake vocode``."""
    return partial(command, "vocode")


def test_the_recipe_reads_the_result(run, arguments, tmp_path):
    assert run(*arguments)[0] == 0
    table = read_protocol(tmp_path / "v.csv")
    recipe = ROOT / "recipes" / "LibriTTS-Vocoded" / "libritts_vocoded_prepare.py"
    given = ["--data_folder", tmp_path / "data", "--output", tmp_path / "r.csv", "--quiet"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, recipe, *given], env=environment).returncode == 0
    assert read_protocol(tmp_path / "r.csv").equals(table)
    assert table["ID"][0] == "LibriTTS-Vo-griffin_lim-84_121123_000000" and len(table) == 4
    assert set(table["Label"]) == {"fake"} and set(table["AudioChannel"]) == {1}


def test_level_and_length_of_the_source_are_preserved(run, arguments, source, tmp_path):
    run(*arguments)
    before, after = (read_protocol(path) for path in (source, tmp_path / "v.csv"))
    for old, new in zip(before["Path"][:4], after["Path"], strict=True):
        pair = [soundfile.read(path.replace("$ROOT", str(tmp_path / "data")))[0] for path in (old, new)]
        mono = pair[0].mean(1) if pair[0].ndim == 2 else pair[0]
        assert len(mono) == len(pair[1]) and np.std(pair[1]) == pytest.approx(np.std(mono), rel=0.01)


def test_a_bad_source_is_left_out(run, arguments, source, tmp_path):
    broken = sorted((tmp_path / "data" / "LibriTTS").rglob("*.flac"))[1]
    broken.write_bytes(broken.read_bytes()[:60])
    status, _, err = run(*arguments)
    assert status == 1 and "left out: 1 files" in err
    assert "the source: " in (tmp_path / "v.csv.report.json").read_text()
    assert len(read_protocol(tmp_path / "v.csv")) == 3


def test_two_sources_of_one_name(run, arguments, tmp_path, source):
    """Guards against one output overwriting the other and being listed twice."""
    clip = sorted((tmp_path / "data" / "LibriTTS").rglob("*.flac"))[0]
    samples, rate = soundfile.read(clip)
    soundfile.write(clip.with_suffix(".wav"), samples, rate)
    utterances = [
        {"ID": f"Libri-{path.suffix}", "Label": "real", "Path": str(path)} for path in (clip, clip.with_suffix(".wav"))
    ]
    build_protocol(utterances, tmp_path / "data", source, quiet=True)
    status, _, err = run(*arguments)
    assert status == 2 and "would both become" in err


def test_samples_that_are_not_numbers(run, arguments, tmp_path):
    """Guards against full-scale noise in the corpus of generated speech."""
    clip = sorted((tmp_path / "data" / "LibriTTS").rglob("*.flac"))[0]
    samples, rate = soundfile.read(clip)
    samples[5] = np.nan
    soundfile.write(clip, samples, rate, format="WAV", subtype="FLOAT")
    assert run(*arguments)[0] == 1
    assert "not finite numbers" in (tmp_path / "v.csv.report.json").read_text()


def test_killed_and_continued(run, arguments, source, tmp_path):
    table = read_protocol(source)
    first = table[table["Label"] == "real"].iloc[[0]]
    folder = tmp_path / "data" / "LibriTTS"
    clip = folder.parent / first["Path"].iloc[0].removeprefix("$ROOT/")
    samples, rate = soundfile.read(clip)
    utterances = []
    for number in range(8):
        path = folder / "dev-clean" / "1" / "2" / f"1_2_{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.tile(samples, 10), rate)
        utterances.append({"ID": f"Libri-{path.stem}", "Label": "real", "Path": str(path)})
    build_protocol(utterances, tmp_path / "data", source, quiet=True)
    arguments[-1] = "2"
    command = [sys.executable, "-m", "antideepfake", "vocode", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    target = tmp_path / "data" / "LibriTTS-Vocoded"
    while process.poll() is None and not list(target.rglob("[!.]*.wav")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in target.rglob("[!.]*.wav")}
    assert done and all(soundfile.info(path).frames == 10 * len(samples) for path in done)
    assert not (tmp_path / "v.csv").exists()
    assert run(*arguments)[0] == 0
    assert len(read_protocol(tmp_path / "v.csv")) == 8
    assert all(path.stat().st_mtime_ns == then for path, then in done.items())

    whole = {path.name: path.read_bytes() for path in target.rglob("*.wav")}
    shutil.rmtree(target)
    (tmp_path / "v.csv").unlink()
    arguments[-1] = "0"
    assert run(*arguments)[0] == 0
    assert {path.name: path.read_bytes() for path in target.rglob("*.wav")} == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"griffin_lim": "melgan"}, "'melgan' is unknown"),
        ({"griffin_lim": "speechbrain:x"}, "--trust_code says that you trust it"),
        ({"0": "-1"}, "--num_workers is -1"),
    ],
)
def test_mistakes_are_reported_before_the_work(run, arguments, change, message, tmp_path):
    status, _, err = run(*[change.get(given, given) for given in arguments])
    assert status == 2 and message in err
    assert not (tmp_path / "data" / "LibriTTS-Vocoded").exists()


def _list_again(source, *paths):
    """Write the source protocol again, with the first row's audio under other paths."""
    table = read_protocol(source)
    table = pd.concat([table.iloc[:1]] * len(paths), ignore_index=True)
    write_protocol(table.assign(ID=[f"Libri-{n}" for n in range(len(paths))], Path=paths), source)


def test_a_file_directly_in_the_data_folder(run, arguments, source, tmp_path):
    clip = sorted((tmp_path / "data" / "LibriTTS").rglob("*.flac"))[0]
    shutil.copy(clip, tmp_path / "data" / "clip.flac")
    _list_again(source, "$ROOT/clip.flac")
    assert run(*arguments)[0] == 0
    assert read_protocol(tmp_path / "v.csv")["Path"].tolist() == ["$ROOT/LibriTTS-Vocoded/griffin_lim/clip.wav"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["$ROOT/LibriTTS/../../x.flac"], "the path contains '..'"),
        (["$ROOT/LibriTTS/a/../x.flac"], "the path contains '..'"),
        (["/one/x.flac", "/two/x.flac"], "/one/x.flac and /two/x.flac would both become"),
        (["$ROOT/A/x.flac", "$ROOT/B/x.flac"], "would both become"),
        (["$ROOT/A/x.flac", "$ROOT/A/x.wav"], "would both become"),
        (["$ROOT/LibriTTS-Vocoded/griffin_lim/x.wav", "$ROOT/A/x.wav"], "is also a source"),
    ],
)
def test_sources_that_would_write_elsewhere_or_over_another_are_refused(
    run, arguments, source, tmp_path, paths, message
):
    _list_again(source, *paths)
    status, _, err = run(*arguments)
    assert status == 2 and message in err and err.count("\n") == 1
    assert not (tmp_path / "data" / "LibriTTS-Vocoded").exists()


def test_vocoders_that_would_share_a_folder_are_refused(run, arguments):
    place = arguments.index("griffin_lim")
    both = [*arguments[:place], "transformers:one/vocoder", "transformers:two/vocoder", *arguments[place + 1 :]]
    status, _, err = run(*both)
    assert status == 2 and "two vocoders would share the folder vocoder" in err
    assert run(*[{"griffin_lim": "transformers:.."}.get(given, given) for given in arguments])[0] == 2


def test_two_runs_into_one_folder_are_refused(run, arguments, tmp_path):
    with lock_output(tmp_path / "data" / "LibriTTS-Vocoded"):
        status, _, err = run(*arguments)
    assert status == 2 and "another run is writing it" in err
