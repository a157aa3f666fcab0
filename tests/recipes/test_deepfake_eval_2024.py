"""The recipe of Deepfake-Eval-2024: metadata, decoding, segments."""

import numpy as np
import pytest
import soundfile

CORPUS = "Deepfake-Eval-2024"
METADATA = """\
Filename,Language,Ground Truth,Finetuning Set
b.mp3,en, Fake ,Train
b.wav,"en, es",REAL,test
c.m4a,en,real,test
sub/b.wav,en,fake,test
d.wav,en,unknown,test
e.wav,en,real,
gone.flac,en,real,train
broken.wav,en,fake,train
"""
RATE = 8000


@pytest.fixture
def segmenter(load_recipe):
    """The module that cuts."""
    return load_recipe(CORPUS, "segment")


@pytest.fixture
def corpus(tmp_path, write_audio, encode_audio, make_tree):
    """Recordings of 9.5 s, one of them in stereo, one m4a."""
    folder = make_tree([f"{CORPUS}/audio-data/broken.wav"], {f"{CORPUS}/audio-metadata-publish.csv": METADATA})
    audio = folder / CORPUS / "audio-data"
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, (RATE * 19 // 2, 2))
    write_audio(audio / "b.wav", noise, RATE)
    for name in ("b.mp3", "sub/b.wav", "d.wav", "e.wav"):
        write_audio(audio / name, noise[:, 0], RATE)
    encode_audio(audio / "c.m4a", noise, RATE, "aac", "ipod")
    return folder


def test_segments_of_every_format_and_duration(corpus, segmenter, prepare):
    """Guards against losing m4a files, and recordings that share a name."""
    left_out = segmenter.segment_deepfake_eval_2024(corpus, durations=(4, 10), quiet=True)
    assert [reason.split(":")[0].rpartition("/")[2] for reason in left_out] == ["gone.flac", "broken.wav"]
    rows, report = prepare(CORPUS, [], duration=4)
    assert [row[0] for row in rows] == [
        f"DE2024-4s-{name}-seg{number}" for name in ("b.mp3", "b.wav", "c.m4a", "sub/b.wav") for number in (1, 2, 3)
    ]
    assert rows[0] == ("DE2024-4s-b.mp3-seg1", "fake", "-", "-", "train", "-")
    assert rows[-1] == ("DE2024-4s-sub/b.wav-seg3", "fake", "-", "-", "test", "-")
    assert {entry["id"].removeprefix("DE2024-"): entry["reason"] for entry in report.left_out} == {
        "d.wav": "'unknown' is none of real, fake",
        "e.wav": "'' is none of train, test",
        "gone.flac": "no segments of 4 s; deepfake_eval_2024_segment.py makes them",
        "broken.wav": "no segments of 4 s; deepfake_eval_2024_segment.py makes them",
    }
    assert len(prepare(CORPUS, [], duration=10)[0]) == 4


def test_segments_joined_are_the_recording(corpus, segmenter):
    """Guards against losing samples between segments."""
    segmenter.segment_deepfake_eval_2024(corpus, durations=(4,), quiet=True)
    folder = corpus / CORPUS
    parts = [soundfile.read(folder / f"segments/4s/b.wav/{k}.flac", dtype="int16") for k in (1, 2, 3)]
    assert [len(part) for part, _ in parts] == [4 * RATE, 4 * RATE, RATE * 3 // 2] and {rate for _, rate in parts} == {
        RATE
    }
    whole = soundfile.read(folder / "audio-data/b.wav")[0].mean(1)
    assert np.allclose(np.concatenate([part for part, _ in parts]) / 32768, whole, atol=1 / 32768)


def test_whole_recordings_of_any_format_are_listed(corpus, prepare, reasons):
    rows, report = prepare(CORPUS, [])
    assert [row[0] for row in rows] == ["DE2024-b.mp3", "DE2024-b.wav", "DE2024-c.m4a", "DE2024-sub/b.wav"]
    assert "truncated" in reasons(report)["broken.wav"]


def test_an_interrupted_run_continues(corpus, segmenter, monkeypatch):
    """Guards against taking a half-written folder for a whole one."""
    folder = corpus / CORPUS / "segments/4s"
    with monkeypatch.context() as patch:
        patch.setattr(segmenter, "_read_seconds", lambda file: iter([np.zeros((RATE, 1)), 1 / 0]))
        with pytest.raises(ZeroDivisionError):
            segmenter.segment_deepfake_eval_2024(corpus, durations=(4,), quiet=True)
    assert not list(folder.glob("*.*"))
    segmenter.segment_deepfake_eval_2024(corpus, durations=(4,), quiet=True)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.flac")}
    segmenter.segment_deepfake_eval_2024(corpus, durations=(4, 5), quiet=True)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.flac")}
    assert len(list((folder.parent / "5s").rglob("*.flac"))) == 8


def test_a_name_that_leads_out_of_the_corpus_is_refused(make_tree, segmenter, write_audio):
    metadata = METADATA.splitlines()[0] + "\n../../../outside.wav,en,Fake,Train\n"
    folder = make_tree([], {f"{CORPUS}/audio-metadata-publish.csv": metadata})
    write_audio(folder.parent / "outside.wav", 0.1 * np.random.default_rng(1).standard_normal(RATE), RATE)
    before = sorted(folder.parent.rglob("*"))
    (reason,) = segmenter.segment_deepfake_eval_2024(folder, durations=(4,), quiet=True)
    assert "leads out of the corpus's folder" in reason
    assert sorted(folder.parent.rglob("*")) == before
