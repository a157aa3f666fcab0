"""The recipe of VoxCeleb2."""

AUDIO = [
    "VoxCeleb2/dev/aac/id00082/lXxPuqI6Yac/00146.wav",
    "VoxCeleb2/test/aac/id1/x/1.wav",
]

LISTS = {
    "VoxCeleb2/dev/aac/id00082/lXxPuqI6Yac/00146.m4a": "m4a",
}


def test_rows_follow_the_folders(prepare):
    """Guards against m4a files reported as damaged, and against the test part taken for dev."""
    rows, report = prepare("VoxCeleb2", AUDIO, LISTS)
    assert rows == [
        ("VoxCeleb2-id00082-lXxPuqI6Yac-00146", "real", "-", "id00082", "-", "-"),
    ]
    assert report.left_out == []
