"""Partially spoofed utterances: what one splice does, and the test set made from a protocol."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.augment import splice
from antideepfake.augment.splice import (
    Splicer,
    TrainingSplices,
    choose_partners,
    splice_journal,
    splice_protocol,
)
from antideepfake.errors import InputError
from antideepfake.protocol.segments import read_segments, segments_path
from antideepfake.protocol.table import COLUMNS, read_protocol, write_protocol

RATE = 16000


def words(rng, seconds, period=0.5):
    """Noise in bursts of 0.3 s, with silence between them, as words of speech."""
    times = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * rng.standard_normal(len(times)) * (times % period > 0.2)).astype(np.float32)


@given(st.integers(0, 99), st.floats(0.4, 6), st.floats(0.2, 4), st.integers(1, 5))
def test_only_the_spans_change(seed, real_seconds, fake_seconds, max_spans):
    rng = np.random.default_rng(seed)
    real, fake = words(rng, real_seconds + 0.001), words(rng, fake_seconds + 0.001)
    samples, spans = Splicer(max_spans)(real, fake, rng)
    assert samples.shape == real.shape and samples.dtype == np.float32
    assert 1 <= len(spans) <= max_spans and (spans[1:, 0] >= spans[:-1, 1]).all()
    lengths = np.diff(spans)
    assert (lengths > 0.2 - 1e-9).all() and (lengths <= 2).all() and lengths.sum() <= len(real) / RATE / 2 + 0.001
    inside = np.zeros(len(real), bool)
    for start, end in np.round(spans * RATE).astype(int):
        inside[start:end] = True
    assert (samples[~inside] == real[~inside]).all()


def test_a_span_is_that_of_the_other_utterance_at_the_level_of_the_replaced_one():
    rng = np.random.default_rng(1)
    real, fake = words(rng, 3), 5 * words(rng, 2)
    samples, spans = Splicer(max_spans=1, fade_seconds=0.0)(real, fake, rng)
    start, end = np.round(spans[0] * RATE).astype(int)
    assert np.mean(samples[start:end] ** 2) == pytest.approx(np.mean(real[start:end] ** 2), rel=1e-4)
    correlation = np.correlate(fake, samples[start:end], "valid")
    source = int(np.argmax(correlation))
    gain = samples[start:end] @ fake[source : source + end - start] / np.sum(fake[source : source + end - start] ** 2)
    np.testing.assert_allclose(samples[start:end], gain * fake[source : source + end - start], atol=1e-6)


def test_cuts_are_in_pauses_and_spans_contain_speech():
    rng, quiet = np.random.default_rng(1), []
    for _ in range(20):
        real, fake = words(rng, 4), words(rng, 4)
        samples, spans = Splicer(max_spans=2)(real, fake, rng)
        for start, end in np.round(spans * RATE).astype(int):
            quiet += [np.abs(real[max(cut - 80, 0) : cut + 80]).max() < 1e-3 for cut in (start, end)]
            assert np.abs(samples[start:end]).max() > 0.05
    assert np.mean(quiet) > 0.9


def test_cross_fades_leave_no_step():
    time = np.arange(2 * RATE) / RATE
    real, fake = (0.5 * np.sin(2 * np.pi * pitch * time).astype(np.float32) for pitch in (60, 90))
    largest = {
        fade: max(
            np.abs(np.diff(Splicer(fade_seconds=fade)(real, fake, np.random.default_rng(seed))[0])).max()
            for seed in range(10)
        )
        for fade in (0.0, 0.01)
    }
    assert largest[0.01] < 0.03 < largest[0.0]


@pytest.mark.parametrize(("real", "fake", "name"), [(0.39, 1, "real"), (1, 0.19, "fake")])
def test_utterances_that_are_too_short_are_errors(real, fake, name):
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match=f"the {name} utterance has"):
        Splicer()(words(rng, real), words(rng, fake), rng)
    with pytest.raises(InputError, match="Splicer needs max_spans"):
        Splicer(max_spans=0)


@pytest.mark.parametrize(
    ("fakes", "partner"),
    [
        ([("bob", "EN"), ("ann", "EN"), ("ann", "FR")], 2),  # speaker and language
        ([("bob", "FR"), ("bob", "EN"), ("ann", "FR")], 2),  # language
        ([("bob", "FR"), ("-", "-")], None),  # any
        ([("-", "EN"), ("ann", "EN")], 2),
    ],
)
def test_the_nearest_partner_is_chosen(fakes, partner):
    rows = [("real", "ann", "EN"), *(("fake", *fake) for fake in fakes)]
    table = pd.DataFrame(rows, columns=["Label", "Speaker", "Language"]).assign(Proportion="test")
    table["ID"] = [f"u{index}" for index in table.index]
    found = {choose_partners(table, "p.csv", seed)[0] for seed in range(20)}
    assert found == ({partner} if partner else {1, 2})


def test_the_speaker_counts_where_the_language_is_unknown():
    rows = [("real", "ann"), ("fake", "bob"), ("fake", "ann")]
    table = pd.DataFrame(rows, columns=["Label", "Speaker"]).assign(Language="-", Proportion="-", ID=list("abc"))
    assert {choose_partners(table, "p.csv", seed)[0] for seed in range(20)} == {2}


def test_unknown_speakers_are_not_the_same():
    rows = [("real", "-", "EN"), ("fake", "-", "EN"), ("fake", "bob", "EN")]
    table = pd.DataFrame(rows, columns=["Label", "Speaker", "Language"]).assign(Proportion="-", ID=list("abc"))
    assert {choose_partners(table, "p.csv", seed)[0] for seed in range(20)} == {1, 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("real", "test"), ("fake", "train")], "the split 'test' has real utterances and no fake one"),
        ([("fake", "test")], "contains no real utterances"),
    ],
)
def test_protocols_without_partners_are_errors(rows, message):
    table = pd.DataFrame(rows, columns=["Label", "Proportion"]).assign(Speaker="-", Language="-")
    table["ID"] = [f"u{index}" for index in table.index]
    with pytest.raises(InputError, match=message):
        choose_partners(table, "p.csv", 1)


@pytest.fixture
def source(tmp_path, write_audio):
    """Three real and two fake utterances, one of them too short, in other rates than 16 kHz."""
    rng, rows = np.random.default_rng(1), []
    for name, label, seconds, rate in [
        ("a", "real", 2, 16000),
        ("b", "fake", 1, 8000),
        ("c", "real", 1, 22050),
        ("d", "real", 0.3, 16000),
        ("e", "fake", 2, 16000),
    ]:
        write_audio(tmp_path / "data" / f"{name}.wav", 0.1 * rng.standard_normal(int(seconds * rate)), rate)
        attack = "-" if label == "real" else f"tts-{name}"
        rows.append([name, label, seconds, rate, f"$ROOT/{name}.wav", attack, "ann", "test", 1, "PCM_S", 16, "EN"])
    write_protocol(pd.DataFrame(rows, columns=COLUMNS), tmp_path / "p.csv")
    return tmp_path / "p.csv"


@pytest.fixture
def run(source, tmp_path):
    """Splice the source protocol."""

    def splice_source(output="s.csv", folder="Partial", **options):
        data = tmp_path / "data"
        return splice_protocol(source, data, data / folder, tmp_path / output, quiet=True, **options)

    return splice_source


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.flac"))}


def test_a_test_set_with_whole_and_spliced_utterances(run, tmp_path):
    report = run()
    table = read_protocol(tmp_path / "s.csv")
    assert table["ID"].tolist() == [
        *("Partial-real-a", "Partial-spliced-a", "Partial-fake-b", "Partial-real-c", "Partial-spliced-c"),
        *("Partial-real-d", "Partial-fake-e"),
    ]
    assert [entry["id"] for entry in report.left_out] == ["Partial-spliced-d"]
    assert "the real utterance has 0.30 s" in report.left_out[0]["reason"]
    assert table["Label"].tolist() == ["real", "fake", "fake", "real", "fake", "real", "fake"]
    assert set(table["SampleRate"]) == {16000} and set(table["Speaker"]) == {"ann"}
    assert set(table["Attack"][[1, 4]]) <= {"tts-b", "tts-e"} and table["Attack"][0] == "-"
    spans = read_segments(segments_path(tmp_path / "s.csv"), table)
    assert [len(spans[name]) for name in ("Partial-real-a", "Partial-fake-b")] == [0, 1]
    for name in "ac":
        (whole, _), (spliced, rate) = (
            soundfile.read(tmp_path / "data" / path.removeprefix("$ROOT/"))
            for path in table["Path"][table["ID"].isin([f"Partial-real-{name}", f"Partial-spliced-{name}"])]
        )
        changed = np.flatnonzero(whole != spliced) / rate
        found = spans[f"Partial-spliced-{name}"]
        assert changed.min() == pytest.approx(found.min(), abs=2e-3)
        assert changed.max() == pytest.approx(found.max(), abs=2e-3)
    assert not splice_journal(tmp_path / "s.csv").exists()


def test_the_seed_determines_the_result(run, tmp_path):
    run()
    run("t.csv", "Again/Partial", num_workers=0)
    run("u.csv", "Other", seed=2)
    first, again, other = (contents(tmp_path / "data" / name) for name in ("Partial", "Again/Partial", "Other"))
    assert first == again and first.keys() == other.keys() and first != other


def test_an_interrupted_run_is_continued(run, tmp_path, monkeypatch):
    run()
    expected = contents(tmp_path / "data" / "Partial")
    protocol, segments = (tmp_path / "s.csv").read_bytes(), (tmp_path / "s.segments.csv").read_bytes()
    for name in ("s.csv", "s.segments.csv"):
        (tmp_path / name).unlink()
    write, done = splice._write_utterance, []

    def interrupt(job):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(job.target)
        return write(job)

    monkeypatch.setattr(splice, "_write_utterance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert splice_journal(tmp_path / "s.csv").exists() and not (tmp_path / "s.csv").exists()
    monkeypatch.setattr(splice, "_write_utterance", lambda job: done.append(job.target) or write(job))
    run()
    assert len(done) == len(set(done)) == 8
    assert contents(tmp_path / "data" / "Partial") == expected
    assert (tmp_path / "s.csv").read_bytes() == protocol
    assert (tmp_path / "s.segments.csv").read_bytes() == segments


def test_the_source_protocol_is_never_replaced(run, source):
    with pytest.raises(InputError, match="would replace the source protocol"):
        run("p.csv")


@pytest.fixture
def training_set(tmp_path):
    """Bona fide and spoofed utterances of two speakers, and a spoofed one of a third."""
    rows = []
    for number, (label, speaker) in enumerate([("real", "ann"), ("real", "bob"), ("fake", "bob"), ("fake", "cem")]):
        seconds = 4.0 if label == "real" else 2.0
        samples = words(np.random.default_rng(number), seconds)
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE)
        rows.append((str(number), label, f"$ROOT/{number}.wav", speaker, "EN", seconds))
    return pd.DataFrame(rows, columns=["ID", "Label", "Path", "Speaker", "Language", "Duration"]), tmp_path


def _read(folder, number):
    return torch.from_numpy(soundfile.read(folder / f"{number}.wav", dtype="float32")[0])


def test_training_splices_keep_the_speaker_and_the_length(training_set):
    table, folder = training_set
    fake, real = _read(folder, 2), _read(folder, 1)
    for seed in range(5):
        spliced, spans = TrainingSplices(table, folder, 1.0)(fake, 2, np.random.default_rng(seed))
        again, _ = TrainingSplices(table, folder, 1.0)(fake, 2, np.random.default_rng(seed))
        assert torch.equal(spliced, again) and spliced.shape == fake.shape
        kept = torch.ones(len(spliced), dtype=torch.bool)
        for start, end in np.round(spans * RATE).astype(int):
            kept[start:end] = False
        loudest = int((spliced.abs() * kept).argmax())
        starts = [int(place) - loudest for place in torch.nonzero(real == spliced[loudest])]
        parts = [real[start : start + len(spliced)] for start in starts if start >= 0]
        assert any(torch.equal(part[kept], spliced[kept]) for part in parts if len(part) == len(spliced))


def test_without_a_bona_fide_utterance_of_the_speaker_any_of_the_language_is_taken(training_set):
    table, folder = training_set
    _, spans = TrainingSplices(table, folder, 1.0)(_read(folder, 3), 3, np.random.default_rng(1))
    assert 0 < np.diff(spans).sum() < 2


def test_a_fraction_is_spliced(training_set):
    table, folder = training_set
    splices, rng = TrainingSplices(table, folder, 0.3), np.random.default_rng(1)
    whole = [np.diff(splices(_read(folder, 2), 2, rng)[1]).sum() == 2 for _ in range(200)]
    assert 0.6 < np.mean(whole) < 0.8


def test_what_cannot_be_spliced_stays_whole(training_set):
    table, folder = training_set
    splices, rng = TrainingSplices(table, folder, 1.0), np.random.default_rng(1)
    short = _read(folder, 2)[:3000]
    waveform, spans = splices(short, 2, rng)
    assert torch.equal(waveform, short) and spans.tolist() == [[0.0, 3000 / RATE]]
    (folder / "1.wav").unlink()
    assert torch.equal(splices(_read(folder, 2), 2, rng)[0], _read(folder, 2))


@pytest.mark.parametrize("fraction", [0, 1.5])
def test_a_fraction_out_of_range_is_refused(training_set, fraction):
    with pytest.raises(InputError, match=f"splice is {fraction}; it must be a fraction"):
        TrainingSplices(*training_set, fraction)
