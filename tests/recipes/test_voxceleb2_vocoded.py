"""The recipe of VoxCeleb2-Vocoded."""

AUDIO = [
    "VoxCeleb2-Vocoded/hifigan/dev/aac/id04972/f9crVjbT1Eg/00255.wav",
    "VoxCeleb2-Vocoded/waveglow/dev/aac/id04972/f9crVjbT1Eg/00255.wav",
]


def test_rows_follow_the_folders(prepare):
    """Guards against one ID for two vocoders."""
    rows, report = prepare("VoxCeleb2-Vocoded", AUDIO)
    assert rows == [
        ("VoxCeleb2-Vo-hifigan-id04972-f9crVjbT1Eg-00255", "fake", "hifigan", "id04972", "-", "-"),
        ("VoxCeleb2-Vo-waveglow-id04972-f9crVjbT1Eg-00255", "fake", "waveglow", "id04972", "-", "-"),
    ]
    assert report.left_out == []
