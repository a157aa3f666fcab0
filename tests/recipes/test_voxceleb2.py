"""The recipe of VoxCeleb2."""

import numpy as np

AUDIO = [
    "VoxCeleb2/dev/aac/id00082/lXxPuqI6Yac/00146.wav",
    "VoxCeleb2/test/aac/id1/x/1.wav",
]

LISTS = {
    "VoxCeleb2/dev/aac/id00082/lXxPuqI6Yac/00146.m4a": "m4a",
}


def test_rows_follow_the_folders(prepare):
    """Guards against a recording listed twice, and against the test part taken for dev."""
    rows, report = prepare("VoxCeleb2", AUDIO, LISTS)
    assert rows == [
        ("VoxCeleb2-id00082-lXxPuqI6Yac-00146", "real", "-", "id00082", "-", "-"),
    ]
    assert report.left_out == []


def test_m4a_files_are_read_as_distributed(prepare, tmp_path, encode_audio):
    noise = 0.1 * np.random.default_rng(1).standard_normal(16_000)
    encode_audio(tmp_path / "data/VoxCeleb2/dev/aac/id00082/lXxPuqI6Yac/00147.m4a", noise, 16_000, "aac", "ipod")
    rows, report = prepare("VoxCeleb2", AUDIO, LISTS)
    assert [row[0] for row in rows] == ["VoxCeleb2-id00082-lXxPuqI6Yac-00146", "VoxCeleb2-id00082-lXxPuqI6Yac-00147"]
    assert report.left_out == []
