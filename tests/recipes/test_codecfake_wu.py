"""The recipe of CodecFake, by Wu et al."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from antideepfake.errors import InputError

AUDIO = [
    "CodecFake/processed/encodec_24khz+p272_103.wav",
    "CodecFake/processed/descript+p272.wav",
    "CodecFake/processed/p272_103.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against file names without + or without _."""
    rows, report = prepare("CodecFake-Wu", AUDIO)
    assert rows == [
        ("CodecF-descript+p272", "fake", "descript", "p272", "-", "EN"),
        ("CodecF-encodec_24khz+p272_103", "fake", "encodec_24khz", "p272", "-", "EN"),
    ]
    assert set(reasons(report)) == {"p272_103.wav"}


def _write_parquet(folder, rows):
    folder.mkdir(parents=True)
    keys = ("audio", "label", "speaker_id", "codec_name")
    table = pa.Table.from_pylist([dict(zip(keys, row, strict=True)) for row in rows])
    pq.write_table(table, folder / "train-00000-of-00001.parquet")


def test_parquet_of_the_hub_gives_the_same_rows(make_tree, load_recipe, sounds, tmp_path):
    """Guards against a corpus that cannot be prepared in the form in which the Hub distributes it."""
    wav, flac = sounds[".wav"], sounds[".flac"]
    rows = [
        ({"bytes": wav, "path": "encodec_24khz+p272_103.wav"}, "fake", "p272", "encodec_24khz"),
        ({"bytes": flac, "path": "wavs/p272_104.wav"}, "spoof", "p272", "descript"),
        ({"bytes": wav, "path": "p272_103.wav"}, "real", "p272", "-"),
    ]
    _write_parquet(tmp_path / "data/CodecFake/data", rows)
    program = load_recipe("CodecFake-Wu")
    for _ in range(2):  # the second finds the files of the first
        report = program.prepare_codecfake_wu(tmp_path / "data", tmp_path / "p.csv", overwrite=True, quiet=True)
        assert report.written == 2 and not report.left_out
    found = sorted(path.name for path in (tmp_path / "data/CodecFake/processed").iterdir())
    assert found == ["descript+p272_104.flac", "encodec_24khz+p272_103.wav"]
    assert (tmp_path / "data/CodecFake/processed/encodec_24khz+p272_103.wav").read_bytes() == wav


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (({"bytes": b"x", "path": "a.wav"}, "maybe", "p1", "codec"), "row 1: 'maybe' is none of"),
        (({"bytes": b"x", "path": "a.wav"}, "fake", "p1", "../../codec"), r"row 1: no audio, .* \('../../codec'\)"),
        (({"bytes": b"x", "path": ".."}, "fake", "p1", ".."), "row 1: no audio"),
        (({"bytes": b"x", "path": None}, "fake", "p1", "codec"), "row 1: no audio"),
    ],
)
def test_bad_rows_of_parquet_are_refused(load_recipe, tmp_path, row, said):
    """Guards against audio written outside the corpus, and against a guessed label."""
    _write_parquet(tmp_path / "data/CodecFake/data", [row])
    with pytest.raises(InputError, match=said):
        load_recipe("CodecFake-Wu").extract_audio(tmp_path / "data/CodecFake", quiet=True)
    assert not list(tmp_path.rglob("*.wav"))


def test_a_damaged_parquet_file_is_refused(load_recipe, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not a Parquet file"):
        load_recipe("CodecFake-Wu").extract_audio(tmp_path, quiet=True)
