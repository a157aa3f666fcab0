"""antideepfake score: from files, folders and protocols to a table, a score file and an exit status."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest

from antideepfake.cli.main import main
from antideepfake.cli.score_output import print_scores
from antideepfake.files import lock_output
from antideepfake.inference.detector import load_detector
from antideepfake.protocol.table import COLUMNS, read_protocol, write_protocol
from antideepfake.scoring import scorer
from antideepfake.scoring.provenance import read_provenance
from antideepfake.scoring.score_file import read_scores


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run ``antideepfake score`` in this process, from an empty folder; gives its status."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main(["score", *map(str, arguments)])
        return left.value.code

    return call


@pytest.fixture
def data(tmp_path, write_audio):
    """A folder with three good files."""
    for number, name in enumerate(["b.wav", "a.flac", "deep/er/c.mp3"]):
        write_audio(tmp_path / "data" / name, 0.1 * np.random.default_rng(number).standard_normal(8000))
    return tmp_path / "data"


def test_a_folder_as_a_program(model_folder, data, tmp_path):
    (data / "empty.wav").touch()
    command = [sys.executable, "-m", "antideepfake", "score", model_folder, data, "--output", tmp_path / "s.csv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["decision", "score", "file"]
    assert len(lines) == 1 + 3 + 1 + 1
    assert lines[-2].startswith("3 scored: ") and lines[-1] == f"score file: {tmp_path}/s.csv"
    assert "Traceback" not in done.stderr
    assert f"skipped {data}/empty.wav: the file is empty" in done.stderr.splitlines()
    assert f"1 files skipped; the list is {tmp_path}/s.csv.skipped.csv" in done.stderr.splitlines()
    assert sorted(os.listdir(tmp_path)) == ["data", "s.csv", "s.csv.json", "s.csv.skipped.csv"]


def test_table_and_score_file_agree_with_the_detector(run, model_folder, data, capsys):
    assert run(model_folder, data, "--quiet") == 0
    scores = read_scores("scores.csv").set_index("ID")
    said = capsys.readouterr()
    names = [data / name for name in ("a.flac", "b.wav", "deep/er/c.mp3")]
    assert scores.index.tolist() == [str(name) for name in names]
    results = list(load_detector(model_folder).score_files(names))
    for result, line in zip(results, said.out.splitlines()[1:], strict=False):
        assert scores.loc[result.path, "Score"] == pytest.approx(result.score, abs=1e-5)
        decision, score, name = line.split(maxsplit=2)
        assert decision == result.decision and float(score) == pytest.approx(result.score, abs=0.006)
        assert name.removeprefix("...") == result.path[-len(name.removeprefix("...")) :]
    assert "real" in said.out.splitlines()[-2]
    assert said.err == ""


def test_bad_files_are_skipped_and_listed(run, model_folder, data, write_audio, capsys):
    (data / "empty.wav").touch()
    (data / "text.wav").write_text("no audio " * 50)
    write_audio(data / "silent.flac", np.zeros(8000))
    write_audio(data / "short.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 100))
    for name in ("half.flac", "half.wav"):
        path = write_audio(data / name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert run(model_folder, data, "--quiet") == 1
    assert len(read_scores("scores.csv")) == 3
    listed = Path("scores.csv.skipped.csv").read_text()
    said = capsys.readouterr().err
    for name in ("empty.wav", "text.wav", "silent.flac", "short.wav", "half.flac", "half.wav"):
        assert str(data / name) in listed and f"skipped {data / name}: " in said
    assert len(said.splitlines()) == 7


def test_a_single_file_and_one_that_is_bad(run, model_folder, data, capsys):
    assert run(model_folder, data / "b.wav", "--quiet") == 0
    printed = capsys.readouterr().out
    assert ("verdict" in printed and "above the threshold" in printed) or "below the threshold" in printed
    assert not list(Path().iterdir())
    assert run(model_folder, data / "b.wav", "--output", "one.csv", "--quiet") == 0
    assert read_scores("one.csv")["ID"].tolist() == [str(data / "b.wav")]
    (data / "empty.wav").touch()
    assert run(model_folder, data / "empty.wav", "--quiet") == 1
    assert "the file is empty" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir() if path.suffix == ".csv"] == ["one.csv"]


@pytest.fixture
def long_call(tmp_path, write_audio):
    """Twenty seconds of two channels, one louder than the other."""
    noise = np.random.default_rng(1).standard_normal((20 * 16000, 2)) * [0.05, 0.2]
    return write_audio(tmp_path / "call.wav", noise)


def test_a_long_recording_has_windows_and_a_timeline_in_every_form(run, model_folder, long_call, capsys):
    files = ["a.json", "a.csv", "a.rttm", "a.txt", "a.TextGrid", "a.png"]
    assert run(model_folder, long_call, "--timeline", "--timeline_output", *files, "--quiet", "--output", "s.csv") == 0
    printed = capsys.readouterr().out
    assert "9 windows" in printed and "0:20.0" in printed
    (row,) = json.loads(Path("a.json").read_text())
    assert row["duration"] == 20.0 and row["segments"][0]["start"] == 0.0 and row["segments"][-1]["end"] == 20.0
    assert Path("a.TextGrid").read_text().startswith('File type = "ooTextFile"')
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
    assert read_scores("s.csv")["Windows"].tolist() == ["9"]
    assert json.loads(Path("s.csv.json").read_text())["windowing"]["aggregate"] == "mean"


def test_a_long_recording_without_speech_is_unsure_everywhere(run, model_folder, long_call, data, capsys):
    shutil.move(long_call, data / "noise.wav")
    assert run(model_folder, data, "--format", "json", "--quiet") == 0
    decisions = {Path(row["file"]).name: row["decision"] for row in json.loads(capsys.readouterr().out)}
    assert decisions.pop("noise.wav") == "unsure" and "unsure" not in decisions.values()
    scores = read_scores("scores.csv").set_index("ID")
    assert scores.loc[str(data / "noise.wav"), "Speech"] == "0.00" and scores.loc[str(data / "b.wav"), "Speech"] == "-"


def test_options_of_long_recordings(run, model_folder, long_call):
    assert run(model_folder, long_call, "--output", "whole.csv", "--whole", "--quiet") == 0
    options = ("--window_seconds", "6", "--hop_seconds", "3", "--aggregate", "top-2")
    assert run(model_folder, long_call, "--output", "top.csv", *options, "--quiet") == 0
    assert read_scores("whole.csv")["Windows"].tolist() == ["1"]
    assert read_scores("top.csv")["Windows"].tolist() == ["6"]
    settings = {"utterance_seconds": 13.0, "window_seconds": 6.0, "hop_seconds": 3.0, "aggregate": "top-2"}
    assert json.loads(Path("top.csv.json").read_text())["windowing"] == settings


def test_channels_each_by_itself_and_one_alone(run, model_folder, long_call, capsys):
    assert run(model_folder, long_call, "--channels", "each", "--output", "each.csv", "--quiet") == 0
    each = read_scores("each.csv")
    assert each["ID"].tolist() == [f"{long_call}#1", f"{long_call}#2"]
    for channel, expected in zip(("left", "right"), each["Score"], strict=True):
        assert run(model_folder, long_call, "--channels", channel, "--output", f"{channel}.csv", "--quiet") == 0
        assert read_scores(f"{channel}.csv")["Score"].tolist() == pytest.approx([expected], abs=1e-4)
    assert each["Score"].nunique() == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--aggregate", "median"], "the aggregate is 'median'; use mean, max, top-N"),
        (["--hop_seconds", "5"], "the hop must not be longer than the window"),
        (["--timeline_output", "a.doc"], "its name must end with .json"),
        (["--stream", "0"], "--stream is 0; it must be 1 or more"),
    ],
)
def test_wrong_options_of_long_recordings_are_refused(run, model_folder, long_call, capsys, options, said):
    assert run(model_folder, long_call, *options, "--quiet") == 2
    assert said in capsys.readouterr().err


def test_standard_input_gives_the_windows_of_the_file(run, model_folder, long_call, tmp_path, monkeypatch, capsys):
    command = [sys.executable, "-m", "antideepfake", "score", model_folder, "-", "--quiet"]
    with open(long_call, "rb") as file:
        done = subprocess.run([*command, "--format", "json"], stdin=file, capture_output=True, text=True, cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = load_detector(model_folder).score_files([long_call])
    assert done.returncode == 0 and len(rows) == result.windows == 9
    assert np.mean([row["score"] for row in rows]) == pytest.approx(result.score, abs=1e-4)
    assert rows[-1]["end"] == 20.0
    raw = (np.random.default_rng(1).standard_normal(5 * 16000) * 3000).astype("<i2").tobytes()
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(raw)))
    assert run(model_folder, "-", "--quiet", "--raw", "16000") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3  # 0 to 4 s, 1 to 5 s, and the whole
    assert lines[-1] == "unsure: no speech was found"
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"not audio")))
    assert run(model_folder, "-", "--quiet") == 2
    assert "standard input: cannot be read: not an audio" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["a.wav"], "it must be the only input"),
        (["--output", "s.csv"], "--output needs a file; save standard input first"),
        (["--timeline"], "--timeline needs a file"),
        (["--timeline_output", "a.json"], "--timeline_output needs a file"),
    ],
)
def test_what_needs_a_file_is_refused_for_standard_input(run, model_folder, capsys, options, said):
    assert run(model_folder, "-", *options) == 2
    assert said in capsys.readouterr().err


def test_forms_for_one_recording_are_refused_for_a_folder(run, model_folder, data, capsys):
    assert run(model_folder, data, "--timeline_output", "a.TextGrid", "--quiet") == 2
    assert "a form for one recording; use .json, .csv, .rttm for several" in capsys.readouterr().err
    assert run(model_folder, data, "--timeline_output", "a.csv", "--quiet") == 0
    assert len({line.split(",")[0] for line in Path("a.csv").read_text().splitlines()[1:]}) == 3


def test_a_line_end_in_a_name_is_refused_before_the_work(run, model_folder, data, capsys):
    (data / "a.flac").rename(data / "a\nb.flac")
    assert run(model_folder, data, "--quiet") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "the name contains a line break" in told
    assert not list(Path().iterdir())


@pytest.mark.parametrize("name", ["sound.raw", "notes.txt", "noextension"])
def test_a_file_without_audio_is_skipped(run, model_folder, tmp_path, capsys, name):
    (tmp_path / name).write_bytes(bytes(range(256)) * 4)
    assert run(model_folder, tmp_path / name, "--quiet") == 1
    assert f"skipped {tmp_path / name}: " in capsys.readouterr().err


def _protocol(path, data):
    lines = [",".join(COLUMNS)]
    for name, label in (("b.wav", "real"), ("deep/er/c.mp3", "fake")):
        lines.append(f"id-{name},{label},0.5,16000,$ROOT/{name},world,ann,test,1,PCM_S,16,EN")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_protocol_keeps_labels_and_columns(run, model_folder, data, tmp_path):
    path = _protocol(tmp_path / "p.csv", data)
    assert run(model_folder, path, "--data_folder", data, "--quiet") == 0
    table = read_scores("scores.csv")
    assert table["ID"].tolist() == ["id-b.wav", "id-deep/er/c.mp3"]
    assert table["Label"].tolist() == ["real", "fake"]
    assert set(COLUMNS) <= set(table.columns) and table["Attack"].tolist() == ["world"] * 2


def test_a_mapped_protocol_gives_the_same_score_file(run, model_folder, data, tmp_path):
    path = _protocol(tmp_path / "p.csv", data)
    write_protocol(read_protocol(path), tmp_path / "p.arrow")
    for name in ("p.csv", "p.arrow"):
        assert run(model_folder, tmp_path / name, "--data_folder", data, "--output", f"{name}.scores", "--quiet") == 0
    assert Path("p.arrow.scores").read_text() == Path("p.csv.scores").read_text()


def test_files_and_protocols_together(run, model_folder, data, tmp_path):
    path = _protocol(tmp_path / "p.csv", data)
    assert run(model_folder, path, data / "a.flac", "--data_folder", data, "--quiet") == 0
    table = read_scores("scores.csv")
    assert table["Label"].tolist() == ["real", "fake", ""]
    assert table["Attack"].tolist() == ["world", "world", "-"]


def test_results_do_not_depend_on_batches_or_workers(run, model_folder, data):
    tables = []
    for number, options in enumerate((("--batch_seconds", "0.1"), ("--batch_seconds", "60", "--num_workers", "2"))):
        assert run(model_folder, data, "--output", f"{number}.csv", "--quiet", *options) == 0
        tables.append(read_scores(f"{number}.csv"))
    np.testing.assert_allclose(tables[0]["Score"], tables[1]["Score"], atol=1e-5)


def test_an_existing_score_file_is_kept(run, model_folder, data, capsys):
    Path("scores.csv").write_text("mine")
    assert run(model_folder, data) == 2
    assert capsys.readouterr().err == (
        "error: scores.csv: already exists; choose another --output or pass --overwrite\n"
    )
    assert Path("scores.csv").read_text() == "mine"
    assert run(model_folder, data, "--overwrite", "--quiet") == 0
    assert len(read_scores("scores.csv")) == 3


def test_an_interruption_exits_with_130_and_is_resumed(run, model_folder, data, monkeypatch, capsys):
    score, calls = scorer.score_protocol, []

    def interrupted(detector, *arguments, **options):
        if not calls:
            scored = detector.score_files

            def some(*arguments, **options):
                yield from (result for result, _ in zip(scored(*arguments, **options), range(2), strict=False))
                raise KeyboardInterrupt

            calls.append(1)
            monkeypatch.setattr(detector, "score_files", some)
        return score(detector, *arguments, **options)

    monkeypatch.setattr(scorer, "score_protocol", interrupted)
    assert run(model_folder, data, "--quiet") == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to continue\n"
    assert not Path("scores.csv").exists()
    assert sum(len(path.read_text().splitlines()) for path in Path().glob("scores.csv.*.part")) == 2
    assert run(model_folder, data, "--quiet") == 0
    assert len(read_scores("scores.csv")) == 3
    assert not list(Path().glob("scores.csv.*.part"))


def test_a_full_disk_is_one_sentence(run, model_folder, data, monkeypatch, capsys):

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert run(model_folder, data, "--quiet") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "disk is full" in said
    assert not Path("scores.csv").exists()
    assert run(model_folder, data, "--quiet") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "DATA"], "nowhere: not a model folder"),
        (["MODEL", "nowhere.wav"], "nowhere.wav: no such file or folder"),
        (["MODEL", "nowhere.csv"], "nowhere.csv: no such file"),
        (["MODEL", "."], "contains no audio"),
        (["MODEL", "DATA", "DATA"], "is given twice"),
        (["MODEL", "DATA", "--output", "file/s.csv"], "file"),
        (["MODEL", "DATA", "--output", "folder", "--overwrite"], "folder"),
        (["MODEL", "DATA", "--device", "nonsense"], "nonsense"),
        (["MODEL", "DATA", "--num_workers", "-1"], "num_workers"),
        (["MODEL", "DATA", "--device", "meta"], "meta"),
        *(
            (["MODEL", "DATA", "--batch_seconds", value], f"--batch_seconds is {value}")
            for value in ("nan", "inf", "-1.0", "0.0")
        ),
        (["MODEL", "DATA", "--output", "new/"], "must name a file, not a folder"),
        (["MODEL", "DATA", "--output", ""], "must name a file, not a folder"),
        (["MODEL", "DATA", "--output", "x" * 300], "File name too long"),
        (["MODEL", "DATA", "--output", "DATA"], "must name a file"),
        (["MODEL", "file", "--output", "file", "--overwrite"], "--output is file, which another argument names too"),
        (["MODEL", "DATA", "--output", "e.parquet", "--embeddings", "e.parquet"], "--embeddings is e.parquet, which"),
        (["MODEL", "DATA", "--embeddings", "e.csv"], "ends in .parquet"),
    ],
)
def test_mistakes_are_reported_in_one_line_with_status_2(run, model_folder, data, capsys, arguments, said):
    Path("file").touch()
    if "folder" in arguments:
        Path("folder").mkdir()
    names = {"MODEL": model_folder, "DATA": data}
    assert run(*(names.get(argument, argument) for argument in arguments), "--quiet") == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and told.err.startswith("error: ") and said in told.err
    assert told.out == ""
    assert not Path("scores.csv").exists()


def test_file_names_that_are_not_utf8(run, model_folder, data):
    os.rename(data / "a.flac", os.fsencode(data) + b"/caf\xe9.flac")
    assert run(model_folder, data, "--quiet") in (0, 1)
    assert len(read_scores("scores.csv")) >= 2


def test_help_ends_with_an_example(run, capsys):
    assert run("--help") == 0
    assert capsys.readouterr().out.strip().splitlines()[-2] == "example:"


@pytest.fixture
def many(tmp_path, write_audio):
    """A protocol of 1,000 utterances of 20 files, some of which cannot be read."""
    for number in range(20):
        write_audio(
            tmp_path / f"{number}.wav", 0.1 * np.random.default_rng(number).standard_normal(3000 + 200 * number)
        )
    (tmp_path / "13.wav").write_bytes(b"")
    rows = (f"id{n},real,0.3,16000,$ROOT/{n % 20}.wav,-,-,test,1,PCM_S,16,EN" for n in range(1000))
    (tmp_path / "many.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return [tmp_path / "many.csv", "--data_folder", tmp_path, "--batch_seconds", "0.5"]


def _torchrun(*arguments, **options):
    launch = ["-m", "torch.distributed.run", "--standalone", "--local_addr=127.0.0.1", "--nproc_per_node=2"]
    return subprocess.Popen(
        [sys.executable, *launch, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def _score_parts():
    return [path for path in Path().glob("scores.csv.*.part") if "skipped" not in path.name]


def _kill_all(process):
    """Kill torchrun and those that it started, which are in groups of their own."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (process.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_a_killed_run_of_two_processes_is_resumed_by_one(run, model_folder, many):
    assert run(model_folder, *many, "--output", "whole.csv", "--quiet") == 1
    process = _torchrun("-m", "antideepfake", "score", model_folder, *many)
    count, deadline = 0, time.monotonic() + 120
    while count < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
        count = sum(path.read_bytes().count(b"\n") for path in _score_parts())
    _kill_all(process)
    assert not Path("scores.csv").exists()
    kept = [line for path in _score_parts() for line in path.read_bytes().split(b"\n")[:-1]]
    assert 50 <= len(kept) < 950

    assert run(model_folder, *many, "--quiet") == 1
    whole, resumed = read_scores("whole.csv"), read_scores("scores.csv")
    assert resumed["ID"].tolist() == [f"id{n}" for n in range(1000) if n % 20 != 13]
    np.testing.assert_allclose(resumed["Score"], whole["Score"], atol=1e-5)
    assert Path("scores.csv.skipped.csv").read_bytes() == Path("whole.csv.skipped.csv").read_bytes()
    assert {line.partition(b",")[2] for line in kept} <= set(Path("scores.csv").read_bytes().split(b"\n"))
    assert not list(Path().glob("*.part"))


@pytest.mark.slow
def test_a_process_that_fails_ends_all(run, model_folder, many, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, runpy\n"
        "from antideepfake.inference import Detector\n"
        "def fail(*arguments, **options): raise OSError(5, 'Input/output error', '1.wav')\n"
        "if os.environ['RANK'] == '1': Detector.score_files = fail\n"
        "runpy.run_module('antideepfake', run_name='__main__')\n"
    )
    process = _torchrun(program, "score", model_folder, *many, "--quiet")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1 and out == ""
    assert "error: 1.wav: Input/output error" in err
    assert not Path("scores.csv").exists()
    assert run(model_folder, *many, "--quiet") == 1
    assert len(read_scores("scores.csv")) == 950


def test_precision_and_trust_reach_the_detector(model_folder, data, run, tmp_path, capsys):
    assert run(model_folder, data, "--precision", "fp8") == 2
    assert "--precision: invalid choice: 'fp8'" in capsys.readouterr().err
    assert run(model_folder, data, "--precision", "bf16", "--quiet") == 0
    folder = shutil.copytree(model_folder, tmp_path / "own")
    (folder / "config.json").unlink()
    assert run(folder, data, "--overwrite") == 2
    assert "trust_code" in capsys.readouterr().err
    assert run(folder, data, "--overwrite", "--trust_code", "--quiet") == 0


def test_the_table_calls_a_score_at_the_threshold_real(capsys):
    print_scores([("a", 0.5, False), ("b", 0.49, False)], 0.5, "table")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["real", "fake"]
    assert lines[-1] == "2 scored: 1 real, 1 fake (score at or above 0.50: real)"


def test_a_folder_of_a_phone_is_scored_or_listed(run, model_folder, tmp_path, write_audio, encode_audio, capsys):
    calls = tmp_path / "calls"
    write_audio(calls / "1.wav")
    write_audio(calls / "2.aiff")
    noise = 0.1 * np.random.default_rng(1).standard_normal(16_000)
    encode_audio(calls / "3.m4a", noise, 16_000, "aac", "ipod")
    encode_audio(calls / "4.amr", noise, 8000, "libopencore_amrnb", "amr")
    encode_audio(calls / "5.webm", noise, 48_000, "libopus", "webm")
    encode_audio(calls / "6.mp4", noise, 16_000, "aac", "mp4", video="mpeg4")
    (calls / "7.m4a").write_bytes((calls / "3.m4a").read_bytes()[:2000])
    (calls / "8.silk").write_bytes(b"#!SILK_V3" + bytes(100))
    os.symlink("..", calls / "up")
    assert run(model_folder, calls, "a" * 300 + ".wav") == 1
    out, err = capsys.readouterr()
    assert "6 scored" in out
    assert "7.m4a: truncated" in err and "8.silk: SILK audio, which cannot be decoded" in err
    assert "File name too long" in err and "3 files skipped" in err


def test_an_empty_path_is_refused(run, model_folder, capsys):
    assert run(model_folder, "") == 2
    assert "an input is an empty string" in capsys.readouterr().err


def test_a_score_that_is_not_finite_is_neither_written_nor_counted(run, model_folder, tmp_path, write_audio, capsys):
    write_audio(tmp_path / "a/good.wav")
    write_audio(tmp_path / "a/huge.wav", 1e30 * np.random.default_rng(1).standard_normal(8000), subtype="FLOAT")
    assert run(model_folder, tmp_path / "a") == 1
    out, err = capsys.readouterr()
    assert "1 scored" in out and "nan" not in out
    assert "huge.wav: contains samples above" in err
    assert "huge" not in Path("scores.csv").read_text()


def test_a_rank_that_is_not_a_number_is_refused(run, model_folder, data, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "x")
    assert run(model_folder, data, "--quiet") == 2
    assert capsys.readouterr().err == (
        "error: RANK and WORLD_SIZE must be whole numbers; torchrun sets them, otherwise unset them\n"
    )


def test_a_second_run_with_one_output_is_refused(run, model_folder, data, capsys):
    with lock_output("scores.csv"):
        assert run(model_folder, data, "--quiet") == 2
    assert "scores.csv: another run is writing it" in capsys.readouterr().err
    with lock_output("e.parquet"):
        assert run(model_folder, data, "--quiet", "--embeddings", "e.parquet") == 2
    assert not Path("scores.csv").exists()
    assert run(model_folder, data, "--quiet") == 0
    assert sorted(os.listdir()) == ["scores.csv", "scores.csv.json"]


def test_embeddings_are_not_replaced_unasked(run, model_folder, data, capsys):
    assert run(model_folder, data, "--quiet", "--embeddings", "e.parquet") == 0
    before = Path("e.parquet").read_bytes()
    assert run(model_folder, data / "a.flac", "--quiet", "--output", "b.csv", "--embeddings", "e.parquet") == 2
    assert "e.parquet: already exists" in capsys.readouterr().err and Path("e.parquet").read_bytes() == before
    overwrite = ("--output", "b.csv", "--embeddings", "e.parquet", "--overwrite")
    assert run(model_folder, data / "a.flac", "--quiet", *overwrite) == 0
    assert Path("e.parquet").read_bytes() != before


@pytest.mark.parametrize("step", range(3))
def test_a_run_killed_while_writing_results_is_resumed(run, model_folder, data, monkeypatch, step):
    arguments = (model_folder, data, "--quiet", "--embeddings", "e.parquet")
    replace, done = os.replace, []

    def killed(*paths):
        if len(done) == step:
            raise SystemExit(9)
        done.append(paths)
        replace(*paths)

    monkeypatch.setattr(os, "replace", killed)
    assert run(*arguments) == 9
    assert not Path("scores.csv").exists()
    monkeypatch.undo()
    os.chdir(data.parent / "here")
    assert run(*arguments) == 0
    assert sorted(os.listdir()) == ["e.parquet", "scores.csv", "scores.csv.json"]
    assert len(read_scores("scores.csv")) == 3 and read_provenance("scores.csv").metadata.threshold == 0.25


def test_a_killed_replacement_leaves_no_old_scores_beside_a_new_record(run, model_folder, data, monkeypatch):
    assert run(model_folder, data / "a.flac", "--quiet") == 0
    replace = os.replace

    def killed(source, target):
        if Path(target).name == "scores.csv":
            raise SystemExit(9)
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    assert run(model_folder, data, "--quiet", "--overwrite") == 9
    assert not Path("scores.csv").exists()
