"""From files to a protocol: unreadable files are left out and reported."""

import json
import os
from dataclasses import asdict

import numpy as np
import pytest

from antideepfake.audio.probe import probe
from antideepfake.corpora import build
from antideepfake.corpora.build import build_protocol
from antideepfake.corpora.walk import find_audio
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_protocol


def _write_damaged_files(folder, write_audio):
    whole = write_audio(folder / "good.flac").read_bytes()
    write_audio(folder / "good.wav")
    write_audio(folder / "no_sample.wav", np.zeros(0))
    contents = {
        "empty.wav": b"",
        "text.wav": b"this is no audio\n" * 50,
        "head.flac": whole[:60],
        "noise.raw": bytes(range(256)) * 20,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [*contents, "no_sample.wav", "missing.wav"]


def test_unreadable_files_are_left_out_and_listed(tmp_path, write_audio):
    """Guards against files in a protocol that do not decode."""
    bad = _write_damaged_files(tmp_path, write_audio)
    (tmp_path / "folder.wav").mkdir()
    names = ["good.wav", *bad, "folder.wav", "good.flac"]
    rows = [{"ID": name, "Label": "real", "Path": name} for name in names]
    report = build_protocol(rows, tmp_path, tmp_path / "p.csv", quiet=True)
    listed = {entry["id"]: entry["reason"] for entry in report.left_out}
    assert set(listed) == {*bad, "folder.wav"}
    assert read_protocol(tmp_path / "p.csv")["ID"].tolist() == ["good.wav", "good.flac"]
    assert json.loads((tmp_path / "p.csv.report.json").read_text()) == asdict(report)
    assert report.counts == {"-": {"real": [2, 1.0]}}
    assert "empty" in listed["empty.wav"] and "no such file" in listed["missing.wav"]
    assert all(reason and "\n" not in reason and str(tmp_path) not in reason for reason in listed.values())


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_truncated_files_are_left_out(tmp_path, write_audio, name):
    """Guards against durations of files that a full disk or a broken download truncated."""
    path = write_audio(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    write_audio(tmp_path / "good.wav")
    rows = [{"ID": name, "Label": "real", "Path": name}, {"ID": "good", "Label": "real", "Path": "good.wav"}]
    report = build_protocol(rows, tmp_path, tmp_path / "p.csv", quiet=True)
    assert [entry["id"] for entry in report.left_out] == [name]


@pytest.mark.parametrize("workers", [1, 4])
def test_the_order_does_not_depend_on_the_workers(tmp_path, write_audio, workers):
    names = [f"{number}.wav" for number in (3, 1, 2, 5, 4)]
    for name in names:
        write_audio(tmp_path / name)
    build_protocol(
        [{"ID": name, "Label": "fake", "Path": name} for name in names], tmp_path, tmp_path / "p.csv", workers, True
    )
    assert read_protocol(tmp_path / "p.csv")["ID"].tolist() == names


def test_unknown_columns_are_a_dash(tmp_path, write_audio):
    path = write_audio(tmp_path / "data" / "x" / "a.wav")
    row = {"ID": "a", "Label": "fake", "Path": str(path), "Attack": "world", "Proportion": "valid"}
    build_protocol([row], tmp_path / "data", tmp_path / "p.csv", quiet=True)
    written = read_protocol(tmp_path / "p.csv").iloc[0]
    assert (written["Path"], written["Attack"], written["Proportion"]) == ("$ROOT/x/a.wav", "world", "valid")
    assert (written["Speaker"], written["Language"]) == ("-", "-")


def test_a_corpus_without_readable_files_is_refused(tmp_path):
    with pytest.raises(InputError, match="none of 1 files"):
        build_protocol([{"ID": "a", "Label": "real", "Path": "a.wav"}], tmp_path, tmp_path / "p.csv", quiet=True)
    assert os.listdir(tmp_path) == []


def test_two_files_with_one_id_are_both_kept(tmp_path, write_audio):
    names = ["train/a.mp3", "train/a.wav", "test/a.wav", "train/a.mp3", "b.wav"]
    for name in names:
        write_audio(tmp_path / name)
    rows = [{"ID": os.path.basename(name)[0], "Label": "real", "Path": name} for name in names]
    report = build_protocol(rows, tmp_path, tmp_path / "p.csv", quiet=True)
    assert read_protocol(tmp_path / "p.csv")["ID"].tolist() == ["a", "a-wav", "a-test", "b"]
    assert [entry["reason"] for entry in report.left_out] == ["the corpus names it a second time"]


def test_audio_outside_the_list_is_reported(tmp_path, write_audio):
    for name in ("x/a.wav", "x/b.wav", "x/.c.wav", "y/d.wav"):
        write_audio(tmp_path / name)
    (tmp_path / "x" / "notes.txt").touch()
    report = build_protocol([{"ID": "a", "Label": "real", "Path": "x/a.wav"}], tmp_path, tmp_path / "p.csv", quiet=True)
    assert (report.unlisted, report.left_out) == (["$ROOT/x/b.wav"], [])


def test_an_utterance_with_a_reason_is_left_out(tmp_path, write_audio):
    for name in ("a.wav", "b.wav"):
        write_audio(tmp_path / name)
    rows = [{"ID": "a", "Label": "real", "Path": "a.wav"}, {"ID": "b", "Path": "b.wav", "Reason": "noise"}]
    report = build_protocol(rows, tmp_path, tmp_path / "p.csv", quiet=True)
    assert [(entry["id"], entry["reason"]) for entry in report.left_out] == [("b", "noise")]
    assert report.written == 1


def test_a_wrong_label_names_its_line_and_writes_nothing(tmp_path, write_audio, monkeypatch):
    """Guards against the line within the chunk instead of the line of the protocol."""
    monkeypatch.setattr(build, "CHUNK", 2)
    labels = ["real", "fake", "real", "spoof"]
    rows = [{"ID": f"{n}", "Label": label, "Path": f"{n}.wav"} for n, label in enumerate(labels)]
    for row in rows:
        write_audio(tmp_path / row["Path"])
    with pytest.raises(InputError, match=":5: label 'spoof' is unknown"):
        build_protocol(rows, tmp_path, tmp_path / "p.csv", quiet=True)
    assert {path.suffix for path in tmp_path.iterdir()} == {".wav"}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_run_resumes(tmp_path, write_audio, monkeypatch, workers, interruption):
    """Guards against a protocol of a resumed run that differs."""
    monkeypatch.setattr(build, "CHUNK", 4)
    monkeypatch.setattr(build, "TASK", 2)
    rows = [{"ID": f"{number}", "Label": "real", "Path": f"{number}.wav"} for number in range(20)]
    for number, row in enumerate(rows):
        path = write_audio(tmp_path / row["Path"], rate=800 * (number + 1))
        if number == 3:
            path.write_bytes(b"")
    asked = []

    def stop_at(number):
        def probe_or_stop(path):
            asked.append(os.path.basename(path))
            if path.endswith(f"/{number}.wav"):
                raise interruption
            return probe(path)

        monkeypatch.setattr(build, "probe", probe_or_stop)

    stop_at(13)
    with pytest.raises((KeyboardInterrupt, OSError)):
        build_protocol(rows, tmp_path, tmp_path / "p.csv", workers, quiet=True)
    assert not (tmp_path / "p.csv").exists()
    asked.clear()
    stop_at(99)
    build_protocol(rows, tmp_path, tmp_path / "p.csv", workers, quiet=True)
    assert "12.wav" in asked and not {"0.wav", "3.wav", "11.wav"} & set(asked)
    build_protocol(rows, tmp_path, tmp_path / "q.csv", quiet=True)
    assert (tmp_path / "p.csv").read_text() == (tmp_path / "q.csv").read_text()
    assert not list(tmp_path.glob("*.journal"))


def test_file_names_that_are_invalid_in_a_protocol_are_left_out(tmp_path, write_audio):
    """Guards against one file name that ends the preparation of a corpus."""
    os.rename(write_audio(tmp_path / "x.wav"), os.fsencode(tmp_path) + b"/caf\xe9.wav")
    write_audio(tmp_path / "good.wav")
    write_audio(tmp_path / "line\nend.wav")
    rows = [{"ID": path.stem, "Label": "real", "Path": str(path)} for path in find_audio(tmp_path)]
    report = build_protocol(rows, tmp_path, tmp_path / "p.csv", quiet=True)
    assert len(report.left_out) == 2
    assert read_protocol(tmp_path / "p.csv")["ID"].tolist() == ["good"]


def test_segments_are_written_beside_the_protocol(tmp_path, write_audio):
    """Guards against segments of utterances that were left out, and beyond the end of the audio."""
    utterances = []
    for name, segments in (("a", [(0.1, 0.2, "fake"), (0.4, 9.0, "fake"), (9.0, 9.5, "real")]), ("b", []), ("c", None)):
        write_audio(tmp_path / f"{name}.wav", 0.1 * np.ones(8000))
        utterances.append({"ID": name, "Label": "fake", "Path": f"{name}.wav"})
        if segments is not None:
            utterances[-1]["Segments"] = segments
    utterances.append({"ID": "d", "Label": "fake", "Path": "absent.wav", "Segments": [(0.0, 1.0, "fake")]})
    build_protocol(utterances, tmp_path, tmp_path / "p.csv", quiet=True)
    lines = ["ID,Start,End,Label", "a,0.1,0.2,fake", "a,0.4,0.5,fake"]
    assert (tmp_path / "p.segments.csv").read_text().splitlines() == lines
    build_protocol([{"ID": "a", "Label": "fake", "Path": "a.wav"}], tmp_path, tmp_path / "p.csv", quiet=True)
    assert not (tmp_path / "p.segments.csv").exists()


def test_faulty_segments_leave_no_protocol(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    row = {"ID": "a", "Label": "real", "Path": "a.wav", "Segments": [(0.0, 0.2, "fake")]}
    with pytest.raises(InputError, match=r"p\.segments\.csv:2: 'a' is real in the protocol"):
        build_protocol([row], tmp_path, tmp_path / "p.csv", quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
