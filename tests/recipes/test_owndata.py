"""The recipe for one's own data: what its prepare program finds, and what it says when it cannot go on."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from antideepfake.errors import InputError
from antideepfake.protocol.table import LABELS, SPLITS, read_protocol

PROGRAM = Path(__file__).parents[2] / "recipes" / "OwnData" / "owndata_prepare.py"


@pytest.fixture(scope="module")
def recipe():
    """The module owndata_prepare."""
    spec = importlib.util.spec_from_file_location("owndata_prepare", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(recipe, monkeypatch, *arguments):
    """Run the program in this process; gives its status."""
    monkeypatch.setattr(sys, "argv", ["owndata_prepare.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        recipe.run_program(recipe.main)
    return left.value.code


def test_folders_name_speaker_and_attack(tmp_path, write_audio, recipe):
    expected = {
        "real/alice/monday/a.wav": ("alice", "-"),
        "real/b.flac": ("-", "-"),
        "fake/alice/c.mp3": ("alice", "-"),
        "fake/some_tts/d.ogg": ("some_tts", "some_tts"),
        "fake/some_tts/alice/e.wav": ("alice", "some_tts"),
        "fake/f.WAV": ("-", "-"),
    }
    for name in expected:
        write_audio(tmp_path / name, format="WAV" if name.endswith("WAV") else None)
    rows = recipe.find_utterances(tmp_path)
    found = {os.path.relpath(row["Path"], tmp_path): (row["Speaker"], row["Attack"]) for row in rows}
    assert found == expected
    assert all(row["Label"] == os.path.relpath(row["Path"], tmp_path).split("/")[0] for row in rows)


def test_the_name_of_the_corpus_begins_its_ids(tmp_path, write_audio, recipe):
    """Guards against two corpora of one's own that count as the same."""
    for name in ("real/a.wav", "fake/b.wav"):
        write_audio(tmp_path / name)
    ids = [row["ID"] for row in recipe.find_utterances(tmp_path, "Calls-2026")]
    assert ids == ["Calls-2026-fake-b", "Calls-2026-real-a"]
    for name in ("", "a b", "a/b", "=1"):
        with pytest.raises(InputError, match="--name is"):
            recipe.find_utterances(tmp_path, name)


def test_ids_are_unique_whatever_the_names(tmp_path, write_audio, recipe):
    names = ["a.wav", "a.flac", "a.wav.flac", "b-c.wav", "b/c.wav", "b-c-d.wav", "b/c-d.wav", "b-c/d.wav", "b/c/d.wav"]
    for name in names:
        write_audio(tmp_path / "real" / name)
        write_audio(tmp_path / "fake" / name)
    ids = [row["ID"] for row in recipe.find_utterances(tmp_path)]
    assert len(set(ids)) == len(ids) == 2 * len(names)


def test_speakers_stay_on_one_side(tmp_path, make_corpus, recipe, capsys):
    make_corpus(tmp_path / "data", speakers=5)
    report = recipe.prepare_owndata(tmp_path / "data", tmp_path / "p.csv", quiet=True)
    table = read_protocol(tmp_path / "p.csv")
    assert (report.written, len(report.left_out)) == (20, 0)
    assert (table.groupby("Speaker")["Proportion"].nunique() == 1).all()
    assert set(zip(table["Proportion"], table["Label"], strict=True)) == {
        (s, label) for s in SPLITS for label in LABELS
    }
    assert capsys.readouterr().err == ""


def test_without_enough_speakers_it_warns(tmp_path, make_corpus, recipe, capsys):
    make_corpus(tmp_path / "data", speakers=2, files=6)
    recipe.prepare_owndata(tmp_path / "data", tmp_path / "p.csv", quiet=True)
    assert set(read_protocol(tmp_path / "p.csv")["Proportion"]) == set(SPLITS)
    assert capsys.readouterr().err.startswith("warning: too few speaker folders")


@pytest.mark.parametrize("seed", range(6))
def test_every_split_has_readable_files_of_both_classes(tmp_path, write_audio, recipe, seed):
    for number in range(8):
        write_audio(tmp_path / "data" / "fake" / f"{number}.wav")
        path = write_audio(tmp_path / "data" / "real" / f"{number}.wav")
        if number >= 4:
            path.write_bytes(b"")
    try:
        recipe.prepare_owndata(tmp_path / "data", tmp_path / "p.csv", seed=seed, quiet=True)
    except InputError:
        assert not (tmp_path / "p.csv").exists()
        return
    table = read_protocol(tmp_path / "p.csv")
    assert set(zip(table["Proportion"], table["Label"], strict=True)) == {
        (s, label) for s in SPLITS for label in LABELS
    }


def test_same_folder_same_protocol(tmp_path, make_corpus, recipe):
    make_corpus(tmp_path / "data")
    for name, workers in (("a.csv", 1), ("b.csv", 4)):
        recipe.prepare_owndata(tmp_path / "data", tmp_path / name, workers, quiet=True)
    recipe.prepare_owndata(tmp_path / "data", tmp_path / "c.csv", seed=5, quiet=True)
    first, second, other = ((tmp_path / name).read_text() for name in ("a.csv", "b.csv", "c.csv"))
    assert first == second != other


@pytest.mark.parametrize("here", [".", "data", "./data/../data"])
def test_a_relative_data_folder(tmp_path, make_corpus, recipe, monkeypatch, here):
    make_corpus(tmp_path / "data")
    monkeypatch.chdir(tmp_path / "data" if here == "." else tmp_path)
    assert _run(recipe, monkeypatch, "--data_folder", here, "--output", tmp_path / "p.csv", "--quiet") == 0
    table = read_protocol(tmp_path / "p.csv")
    assert all((tmp_path / "data" / path.removeprefix("$ROOT/")).is_file() for path in table["Path"])


def test_left_out_files_give_status_1(tmp_path, make_corpus, recipe, monkeypatch, capsys):
    make_corpus(tmp_path / "data")
    (tmp_path / "data" / "real" / "speaker0" / "empty.wav").touch()
    arguments = ("--data_folder", tmp_path / "data", "--output", tmp_path / "p.csv", "--quiet")
    assert _run(recipe, monkeypatch, *arguments) == 1
    said = capsys.readouterr()
    assert said.err == f"left out: 1 files\nthe list is in {tmp_path}/p.csv.report.json\n"
    assert "train" in said.out
    assert json.loads((tmp_path / "p.csv.report.json").read_text())["left_out"][0]["reason"] == "the file is empty"
    assert _run(recipe, monkeypatch, *arguments) == 1  # and again, though the protocol is there by now


def test_an_existing_protocol_is_kept_without_overwrite(tmp_path, make_corpus, recipe, monkeypatch):
    make_corpus(tmp_path / "data")
    arguments = ("--data_folder", tmp_path / "data", "--output", tmp_path / "p.csv", "--quiet")
    assert _run(recipe, monkeypatch, *arguments) == 0
    first = (tmp_path / "p.csv").read_text()
    edited = first.replace(",EN", ",DE").replace(",train,", ",valid,", 1)
    (tmp_path / "p.csv").write_text(edited)
    assert _run(recipe, monkeypatch, *arguments) == 0
    assert (tmp_path / "p.csv").read_text() == edited
    assert _run(recipe, monkeypatch, *arguments, "--overwrite") == 0
    assert (tmp_path / "p.csv").read_text() == first


def test_overwrite_with_a_mistake_keeps_the_old_protocol(tmp_path, make_corpus, recipe, monkeypatch):
    make_corpus(tmp_path / "data")
    assert _run(recipe, monkeypatch, "--data_folder", tmp_path / "data", "--output", tmp_path / "p.csv", "--quiet") == 0
    arguments = ("--data_folder", tmp_path / "dta", "--output", tmp_path / "p.csv", "--overwrite")
    assert _run(recipe, monkeypatch, *arguments) == 2
    assert (tmp_path / "p.csv").exists()


@pytest.mark.parametrize(
    ("made", "data_folder", "said"),
    [
        ([], "missing", "missing: no such folder; pass the folder that contains real/ and fake/ as --data_folder"),
        (["real/a.wav"], "", "fake: no such folder"),
        (["real/a.wav", "fake/a.txt"], "", "fake: holds no audio; files must end in"),
        (["real/a.wav", "fake/a.wav"], "", "too few speakers or utterances"),
    ],
)
def test_mistakes_are_reported_in_one_line_with_status_2(
    tmp_path, recipe, monkeypatch, capsys, made, data_folder, said, write_audio
):
    for name in made:
        path = write_audio((tmp_path / name).with_suffix(".wav"))
        path.rename(tmp_path / name)
    arguments = ("--data_folder", tmp_path / data_folder, "--output", tmp_path / "out" / "p.csv", "--quiet")
    assert _run(recipe, monkeypatch, *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if not line.startswith("warning: ")] == [lines[-1]]
    assert lines[-1].startswith("error: ") and said in lines[-1]
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("output", ["file.txt/p.csv", "folder"])
def test_an_unwritable_output_is_reported(tmp_path, make_corpus, recipe, monkeypatch, capsys, output):
    make_corpus(tmp_path / "data")
    (tmp_path / "file.txt").touch()
    (tmp_path / "folder").mkdir()
    arguments = ("--data_folder", tmp_path / "data", "--output", tmp_path / output, "--quiet", "--overwrite")
    assert _run(recipe, monkeypatch, *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and output.split("/")[0] in lines[0]


def test_no_workers_means_this_process(tmp_path, make_corpus, recipe, monkeypatch):
    make_corpus(tmp_path / "data")
    arguments = ("--data_folder", tmp_path / "data", "--output", tmp_path / "p.csv", "--quiet", "--num_workers", "0")
    assert _run(recipe, monkeypatch, *arguments) == 0


def test_help_ends_with_an_example(recipe, monkeypatch, capsys):
    assert _run(recipe, monkeypatch, "--help") == 0
    assert capsys.readouterr().out.strip().splitlines()[-2] == "example:"


def test_other_names_of_the_class_folders_are_accepted(recipe, tmp_path, write_audio):
    for name in ("Real/ann/a.wav", "bonafide/ann/b.wav", "FAKE/ann/c.wav", "Spoof/tts/d.wav", "other/e.wav"):
        write_audio(tmp_path / name)
    rows = recipe.find_utterances(tmp_path)
    assert [(row["ID"], row["Label"], row["Attack"], row["Speaker"]) for row in rows] == [
        ("OwnData-FAKE-ann-c", "fake", "-", "ann"),
        ("OwnData-Spoof-tts-d", "fake", "tts", "tts"),
        ("OwnData-Real-ann-a", "real", "-", "ann"),
        ("OwnData-bonafide-ann-b", "real", "-", "ann"),
    ]


def test_recordings_of_telephones_are_decoded_or_listed(recipe, tmp_path, make_corpus, encode_audio):
    make_corpus(tmp_path / "data")
    noise = 0.1 * np.random.default_rng(1).standard_normal(8000)
    path = encode_audio(tmp_path / "data/real/memo.m4a", noise, 16_000, "aac", "ipod")
    (tmp_path / "data/fake/call.m4a").write_bytes(path.read_bytes()[:500])
    report = recipe.prepare_owndata(tmp_path / "data", tmp_path / "p.csv", quiet=True)
    assert [row["id"] for row in report.left_out] == ["OwnData-fake-call"]
    assert report.left_out[0]["reason"].startswith("truncated")
    rows = read_protocol(tmp_path / "p.csv").set_index("ID")
    assert rows.loc["OwnData-real-memo", ["Duration", "AudioEncoding"]].tolist() == [0.5, "AAC"]
