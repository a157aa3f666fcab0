"""From the bona fide utterances of a protocol to a spoofed copy of each by every vocoder."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from antideepfake.augment import vocode
from antideepfake.augment.vocode import vocode_protocol
from antideepfake.errors import InputError
from antideepfake.protocol.table import COLUMNS, read_protocol, write_protocol

RATE = 8000


@pytest.fixture
def source(tmp_path, write_audio):
    """Two bona fide recordings, one of them in stereo, and a spoofed one, as a protocol lists them."""
    rng = np.random.default_rng(1)
    rows = []
    for name, label, speaker, split, shape in [
        ("84/a", "real", "84", "train", (800, 1)),
        ("85/b", "real", "85", "valid", (900, 2)),
        ("84/c", "fake", "84", "train", (800, 1)),
    ]:
        write_audio(tmp_path / "data" / "Libri" / f"{name}.flac", 0.1 * rng.standard_normal(shape), RATE)
        path = f"$ROOT/Libri/{name}.flac"
        rows.append([f"Libri-{name[-1]}", label, 0.1, RATE, path, "-", speaker, split, shape[1], "FLAC", 16, "EN"])
    write_protocol(pd.DataFrame(rows, columns=COLUMNS), tmp_path / "p.csv")
    return tmp_path / "p.csv"


@pytest.fixture
def run(source, tmp_path):
    """Re-synthesize the source protocol with Griffin-Lim."""

    def vocode_source(vocoders=("griffin_lim",), output="v.csv", **options):
        target = tmp_path / "data" / "LibriVocoded"
        return vocode_protocol(source, tmp_path / "data", target, tmp_path / output, vocoders, quiet=True, **options)

    return vocode_source


def test_every_bona_fide_utterance_becomes_a_spoofed_one(run, tmp_path):
    report = run()
    table = read_protocol(tmp_path / "v.csv")
    columns = ["ID", "Label", "Path", "Attack", "Speaker", "Proportion", "Language"]
    folder = "$ROOT/LibriVocoded/griffin_lim"
    assert table[columns].values.tolist() == [
        ["LibriVo-griffin_lim-a", "fake", f"{folder}/84/a.wav", "griffin_lim", "84", "train", "EN"],
        ["LibriVo-griffin_lim-b", "fake", f"{folder}/85/b.wav", "griffin_lim", "85", "valid", "EN"],
    ]
    assert (report.written, report.left_out) == (2, [])
    assert report.counts["train"]["fake"][0] == report.counts["valid"]["fake"][0] == 1


def test_length_and_power_are_those_of_the_mean_of_the_channels(run, tmp_path):
    run()
    for name in ("84/a", "85/b"):
        before, _ = soundfile.read(tmp_path / "data" / "Libri" / f"{name}.flac", always_2d=True)
        after, rate = soundfile.read(tmp_path / "data" / "LibriVocoded" / "griffin_lim" / f"{name}.wav")
        assert rate == RATE and after.shape == (len(before),)
        assert np.mean(after**2) == pytest.approx(np.mean(before.mean(1) ** 2), rel=1e-2)


def test_every_vocoder_has_a_folder(run, tmp_path, monkeypatch):
    monkeypatch.setattr(vocode, "load_vocoder", lambda name, device: lambda waveform, rate, seed: (waveform, rate))
    vocode._load_once.cache_clear()
    run(["griffin_lim", "transformers:lab/hifigan"])
    vocode._load_once.cache_clear()
    assert read_protocol(tmp_path / "v.csv")["Attack"].tolist() == ["griffin_lim"] * 2 + ["hifigan"] * 2
    found = (path.relative_to(tmp_path / "data") for path in (tmp_path / "data" / "LibriVocoded").rglob("*.wav"))
    assert sorted(path.parts[1] for path in found) == ["griffin_lim"] * 2 + ["hifigan"] * 2


def test_finished_files_are_kept_unless_overwritten(run, tmp_path, write_audio):
    path = write_audio(tmp_path / "data" / "LibriVocoded" / "griffin_lim" / "84" / "a.wav", np.zeros(800), RATE)
    finished = path.read_bytes()
    run()
    assert path.read_bytes() == finished
    run(overwrite=True)
    assert path.read_bytes() != finished


def test_the_seed_alone_determines_the_result(run, tmp_path):
    path = tmp_path / "data" / "LibriVocoded" / "griffin_lim" / "84" / "a.wav"
    contents = []
    for seed in (1, 1, 2):
        run(seed=seed, overwrite=True)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_sources_that_cannot_be_used_are_left_out_with_the_reason(run, tmp_path, write_audio):
    samples = np.zeros(800)
    samples[5] = np.inf
    write_audio(tmp_path / "data" / "Libri" / "84" / "a.flac", samples, RATE, format="WAV", subtype="FLOAT")
    assert run().written == 1
    (tmp_path / "data" / "Libri" / "84" / "a.flac").unlink()
    assert run(output="again.csv").written == 1
    reasons = [
        json.loads((tmp_path / f"{name}.csv.report.json").read_text())["left_out"][0]["reason"]
        for name in ("v", "again")
    ]
    assert reasons == ["the source: contains samples that are not finite numbers", "the source: no such file"]


@pytest.mark.parametrize(
    ("vocoders", "message"),
    [
        (["world", "world"], "a vocoder is listed twice"),
        (["transformers:.."], "'transformers:..' does not end with a name"),
        (["speechbrain:/"], "'speechbrain:/' does not end with a name"),
        (["transformers:one/x", "transformers:two/x"], "would share the folder x"),
        (["vocoder"], "the vocoder 'vocoder' is unknown"),
    ],
)
def test_unusable_lists_of_vocoders_are_errors(run, tmp_path, vocoders, message):
    with pytest.raises(InputError, match=message):
        run(vocoders)
    assert not (tmp_path / "v.csv").exists()


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["$ROOT/Libri/../a.flac"], r"the path contains '\.\.'"),
        (["$ROOT/A/a.flac", "$ROOT/B/a.flac"], r"\$ROOT/A/a.flac and \$ROOT/B/a.flac would both become"),
        (["$ROOT/A/a.flac", "$ROOT/LibriVocoded/griffin_lim/a.wav"], "is also a source"),
    ],
)
def test_sources_that_would_collide_are_errors(run, source, tmp_path, paths, message):
    row = read_protocol(source).iloc[:1]
    table = pd.concat([row.assign(ID=f"Libri-{index}", Path=path) for index, path in enumerate(paths)])
    write_protocol(table, source)
    with pytest.raises(InputError, match=message):
        run()
    assert not (tmp_path / "data" / "LibriVocoded").exists()


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("$ROOT/Libri/dev/a.flac", "dev/a.wav"),
        ("$ROOT/a.flac", "a.wav"),
        ("/elsewhere/dev/a.flac", "a.wav"),
        ("$ROOT/Libri/a.b.flac", "a.b.wav"),
    ],
)
def test_a_result_has_the_path_of_its_source_below_the_corpus(path, below):
    assert str(vocode._path_below_corpus(path)) == below


def test_the_source_protocol_is_never_replaced(run, source):
    before = source.read_bytes()
    with pytest.raises(InputError, match="would replace the source protocol"):
        run(output="p.csv")
    assert source.read_bytes() == before


def test_a_protocol_without_bona_fide_speech_is_an_error(run, source):
    table = read_protocol(source)
    write_protocol(table[table["Label"] == "fake"], source)
    with pytest.raises(InputError, match=r"p\.csv: contains no real utterances"):
        run()
