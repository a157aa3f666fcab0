"""Overlap of a test set with training data, and its warning."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from antideepfake.audit.leakage import (
    Overlap,
    explain_held_out,
    find_overlap,
    find_recordings,
    format_overlap,
    hash_recording,
)
from antideepfake.corpora.registry import find_corpora, read_corpora
from antideepfake.errors import InputError

CORPORA = read_corpora(Path(__file__).parents[3] / "recipes")


def test_identifiers_corpora_and_sources_are_found():
    overlap = find_overlap(
        ["DFADD-a-1", "DFADD-a-2", "ItW-0"], ["DFADD", "ASVspoof2019-LA", "MLS"], CORPORA, ["DFADD-a-2", "MLS-EN-1"]
    )
    assert overlap == Overlap(3, ("DFADD-a-2",), (), ("DFADD",), (("DFADD", "ASVspoof2019-LA", "VCTK"),))


@pytest.mark.parametrize(
    ("test_id", "training", "sources"),
    [
        ("Libri-R-1", ["LibriTTS"], [("LibriTTS-R", "LibriTTS", "LibriTTS")]),
        ("Libri-R-1", ["LibriTTS-Vocoded"], [("LibriTTS-R", "LibriTTS-Vocoded", "LibriTTS")]),
        # its source, not the source of that as well
        ("ASV19LAdemo-1", ["ASVspoof2019-LA"], [("toy_example", "ASVspoof2019-LA", "ASVspoof2019-LA")]),
        ("ASV19LAdemo-1", ["CodecFake-Wu"], [("toy_example", "CodecFake-Wu", "VCTK")]),
        ("FLEURS-1", ["MLS"], []),
        ("CFAD-1", ["DECRO"], [("CFAD", "DECRO", name) for name in ("AIShell1", "AIShell3", "MAGICDATA")]),
    ],
)
def test_indirect_sources_are_found(test_id, training, sources):
    assert list(find_overlap([test_id], training, CORPORA).sources) == sources


def test_no_overlap_yields_no_warning():
    overlap = find_overlap(["ItW-1", "mine-2"], ["MLS", "yours"], CORPORA, ["MLS-1", "yours-2"])
    assert not overlap and format_overlap(overlap) == ""
    assert not find_overlap([], ["MLS"], CORPORA)


def test_the_warning_has_an_ascii_frame():
    union = [name for name, corpus in CORPORA.items() if corpus.use == "train"]
    ids = ["ASV19LA-LA_T_1", "ItW-\N{SNOWMAN}", "Codecf-" + "x" * 300]
    text = format_overlap(find_overlap(ids, [*union, "In-the-Wild"], CORPORA, ids[1:]))
    lines = text.splitlines()
    assert text.startswith("WARNING: ") and text.isascii()
    assert {len(line) for line in lines} == {80}
    assert all(line.startswith("# ") and line.endswith(" #") for line in lines[1:-1]) and set(lines[-1]) == {"#"}
    said = " ".join(line.strip("# ") for line in lines)
    assert "2 of 3 test utterances were in the training data" in said and "invalid" in said
    assert "SAME CORPUS: ASVspoof2019-LA, Codecfake-Xie, In-the-Wild." in said
    assert "ASVspoof2019-LA (VCTK) - ASVspoof2021-DF (VCTK)" in said and "more pairs" in said


def _write(root, name, samples, rate=16000):
    # as integers: libsndfile's way from floats to them differs between formats
    soundfile.write(root / name, np.rint(samples * 32768).astype(np.int16), rate)
    frames = len(samples)
    return {"ID": name, "Duration": round(frames / rate, 2), "SampleRate": rate, "Path": f"$ROOT/{name}"}


def test_the_same_recording_under_another_name_and_format(tmp_path, rng, capsys):
    one, two, three = rng.uniform(-0.9, 0.9, (3, 16000))
    other_bit = one.copy()
    other_bit[-1] += 2 / 32768
    test = [
        _write(tmp_path, "t1.flac", one),
        _write(tmp_path, "t2.wav", two),
        _write(tmp_path, "short.wav", three[:8000]),
    ]
    training = [
        _write(tmp_path, "other.wav", other_bit),
        _write(tmp_path, "copy.wav", one),
        _write(tmp_path, "stereo.wav", np.stack([one, one], 1)),
        _write(tmp_path, "other_rate.wav", two, 8000),
    ]
    training.append({**training[0], "ID": "gone", "Path": "$ROOT/gone.wav"})
    training.append({**training[0], "ID": "not asked for", "Path": "$ROOT/never.wav", "Duration": 3.0})
    recordings, unreadable = find_recordings(pd.DataFrame(test), pd.DataFrame(training), tmp_path)
    assert recordings == [("t1.flac", "copy.wav"), ("t1.flac", "stereo.wav")]
    assert len(unreadable) == 1 and "gone.wav: no such file" in unreadable[0]
    assert "comparing" in capsys.readouterr().err
    text = format_overlap(Overlap(3, recordings=tuple(recordings)))
    assert "1 of 3 test utterances have the same samples" in text and "in training: copy.wav" in text


def test_a_long_file_is_hashed_whole(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(importlib.import_module("antideepfake.audio.audio_file"), "BLOCK", 1000)
    samples = rng.uniform(-0.9, 0.9, 3500)
    _write(tmp_path, "a.wav", samples)
    _write(tmp_path, "b.wav", np.concatenate([samples[:-1], [-samples[-1]]]))
    _write(tmp_path, "c.flac", samples)
    hashes = [hash_recording(tmp_path / name) for name in ("a.wav", "b.wav", "c.flac")]
    assert hashes[0] != hashes[1] and hashes[0] == hashes[2]


def test_damaged_files_are_errors(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(InputError, match=r"a\.flac: cannot be read"):
        hash_recording(tmp_path / "a.flac")


TRAINED = {
    "name": "p.csv",
    "sha256": "0a",
    "corpora": ["ASVspoof5", "mine"],
    "splits": ["train", "valid"],
    "utterances": 9,
}


@pytest.mark.parametrize(
    ("identifier", "split", "protocols", "trained", "is_held_out"),
    [
        ("mine-1", "test", ["0a"], [TRAINED], True),  # of the same protocol
        ("mine-1", "test", ["0b"], [TRAINED], False),  # of another one, with a split of its own
        ("mine-1", "test", ["0a", "0b"], [TRAINED], False),
        ("mine-1", "test", [], [TRAINED], False),
        ("mine-1", "valid", ["0a"], [TRAINED], False),
        ("mine-1", "-", ["0a"], [TRAINED], False),
        ("mine-1", "test", ["0a"], [], False),
        ("mine-1", "test", ["0a"], [TRAINED | {"corpora": []}], False),  # the starting model knew it
        ("ASV5-1", "test", [], [TRAINED], True),  # the corpus's own split
        ("ASV5-1", "train", [], [TRAINED], False),
        ("ASV5-1", "test", [], [TRAINED, TRAINED | {"splits": ["test"]}], False),
    ],
)
def test_a_split_that_training_left_out_is_a_note(identifier, split, protocols, trained, is_held_out):
    """Guards against a warning in every normal evaluation, which people learn to ignore."""
    names = ["ASVspoof5", "mine"]
    [corpus] = find_corpora([identifier], CORPORA)
    overlap = find_overlap([identifier], names, CORPORA, (), [split], protocols, trained)
    assert (overlap.held_out, overlap.corpora) == (((corpus,), ()) if is_held_out else ((), (corpus,)))
    assert bool(overlap) != is_held_out and (explain_held_out(overlap) != "") == is_held_out


def test_one_utterance_of_a_trained_split_is_enough_for_the_warning():
    overlap = find_overlap(["mine-1", "mine-2"], ["mine"], CORPORA, (), ["test", "train"], ["0a"], [TRAINED])
    assert overlap.corpora == ("mine",)
