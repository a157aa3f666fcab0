"""Files of a corpus: all of them, in order, described by their paths."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.probe import probe
from antideepfake.corpora.walk import find_audio, walk_audio, walk_layout
from antideepfake.errors import InputError

NAME = st.text(st.sampled_from("aB-._ é"), min_size=1, max_size=6).map(lambda text: text.strip(". ") or "a")


def test_find_audio_is_recursive_and_sorted(tmp_path):
    for name in ("b/2.FLAC", "b/1.mp3", "a.wav", "c.txt", "d.Ogg", "e.opus"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio(tmp_path)]
    assert found == ["a.wav", "b/1.mp3", "b/2.FLAC", "d.Ogg", "e.opus"]


def test_find_audio_ignores_hidden_files(tmp_path):
    """Guards against the files ._a.wav that macOS writes to foreign disks, reported as damaged."""
    (tmp_path / "a.wav").touch()
    (tmp_path / "._a.wav").touch()
    assert [path.name for path in find_audio(tmp_path)] == ["a.wav"]


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "no such folder"), ("", "holds no audio"), ("a.txt", "no such")]
)
def test_a_folder_without_audio_is_refused(tmp_path, name, said):
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match=said):
        find_audio(tmp_path / name)


@given(st.lists(st.lists(NAME, min_size=1, max_size=4), max_size=12))
def test_the_order_is_that_of_whole_paths(tmp_path_factory, paths):
    """Guards against a protocol in another order than that of programs that sort whole paths."""
    root = tmp_path_factory.mktemp("walk")
    for parts in paths:
        path = root.joinpath(*parts[:-1], f"{parts[-1]}.wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    expected = sorted(str(path) for path in root.rglob("*.wav"))
    assert list(walk_audio(root)) == expected


def test_links_to_folders_are_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.wav").touch()
    (tmp_path / "corpus").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "corpus" / "part")
    assert list(walk_audio(tmp_path / "corpus")) == [f"{tmp_path}/corpus/part/a.wav"]


def test_all_files_that_look_like_recordings_are_found(tmp_path):
    """Guards against passing over half of a folder that a phone left."""
    names = ["a.m4a", "b.amr", "c.WebM", "d.aac", "e.3gp", "f.wma", "g.aiff", "h.au", "i.caf", "j.w64", "k.mp4"]
    for name in [*names, "notes.txt", "picture.jpg", "scores.csv"]:
        (tmp_path / name).touch()
    assert [path.name for path in find_audio(tmp_path)] == names


def test_a_layout_ignores_the_originals_of_its_files(tmp_path):
    for name in ("a.wav", "a.m4a"):
        (tmp_path / name).touch()
    assert [row["Path"] for row in walk_layout(tmp_path, "{name}.wav", lambda name: {"ID": name})] == ["a.wav"]
    assert [row["Path"] for row in walk_layout(tmp_path, "{name}.m4a", lambda name: {"ID": name})] == [
        "a.m4a",
        "a.wav",  # reported
    ]


def test_links_inside_a_corpus_yield_every_file_once(tmp_path):
    for name in ("a/x.wav", "b/y.wav", "z.wav", "b/.hidden/h.wav"):
        (tmp_path / "l" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "l" / name).touch()
    root = tmp_path / "l"
    for link, target in {"a/up": "..", "a/b": "../b", "b/a": "../a", "a/self": "self", "b/h": ".hidden"}.items():
        os.symlink(target, root / link)
    os.symlink("loop.wav", root / "loop.wav")
    found = [path.removeprefix(f"{root}/") for path in walk_audio(root)]
    assert found == ["a/x.wav", "b/h/h.wav", "b/y.wav", "loop.wav", "z.wav"]
    assert [path.removeprefix(f"{root}/") for path in walk_audio(root / "a")] == [
        f"{root}/a/b/h/h.wav".removeprefix(f"{root}/"),
        "a/b/y.wav",
        "a/up/loop.wav",
        "a/up/z.wav",
        "a/x.wav",
    ]


def test_a_folder_without_permission_is_yielded_instead_of_its_files(tmp_path, monkeypatch):
    for name in ("a/x.wav", "b/y.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scandir = os.scandir

    def refuse(folder):
        if os.fspath(folder).rstrip("/").endswith("/a"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(walk_audio(tmp_path)) == [f"{tmp_path}/a/", f"{tmp_path}/b/y.wav"]
    with pytest.raises(InputError, match=r"a/?: cannot be read: Permission denied"):
        probe(f"{tmp_path}/a/")
    rows = list(walk_layout(tmp_path, "{folder}/{name}.wav", lambda folder, name: {"ID": name}))
    assert [row.get("Reason") for row in rows] == ["a folder that may not be read", None]


def test_a_layout_names_fields_and_refuses_other_files(tmp_path):
    """Guards against an extra folder level that shifts speaker and split."""
    names = ["data/en/train/x+y.wav", "data/en/dev/z.wav", "data/en/train/more/x+y.wav", "data/en/train/x.wav", "b.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def describe(language, split, system, name):
        return {"ID": f"{language}-{split}-{system}-{name}", "Label": "fake"}

    rows = list(walk_layout(tmp_path, "data/{language}/{split:train|test}/{system:[^/+]+}+{name}.wav", describe))
    assert [row for row in rows if "Reason" not in row] == [
        {"ID": "en-train-x-y", "Label": "fake", "Path": "data/en/train/x+y.wav"}
    ]
    refused = {row["Path"] for row in rows if "Reason" in row}
    assert refused == {"data/en/dev/z.wav", "data/en/train/more/x+y.wav", "data/en/train/x.wav"}


def test_a_file_refused_by_describe_has_its_reason(tmp_path):
    (tmp_path / "xx.wav").touch()

    def describe(name):
        raise InputError(f"'{name}' is not a language")

    assert list(walk_layout(tmp_path, "{name}.wav", describe)) == [
        {"ID": "xx", "Path": "xx.wav", "Reason": "'xx' is not a language"}
    ]


def test_a_missing_folder_is_named_with_the_layout(tmp_path):
    """Guards against a corpus in one folder too many that looks empty."""
    with pytest.raises(InputError, match=r"wavs: no such folder; .*wavs/\{name\}.wav"):
        list(walk_layout(tmp_path, "wavs/{name}.wav", lambda name: {}))
