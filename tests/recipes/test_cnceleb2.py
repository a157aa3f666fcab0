"""The recipe of CN-Celeb2."""

AUDIO = [
    "CNCeleb2/CN-Celeb2_flac/data/id10936/recitation-02-028.flac",
    "CNCeleb2/CN-Celeb_flac/data/id00001/singing-01-001.flac",
]


def test_rows_follow_the_folders(prepare):
    """Guards against taking the first part of the corpus, in a neighboring folder, for the second."""
    rows, report = prepare("CNCeleb2", AUDIO)
    assert rows == [
        ("CNCeleb2-id10936-recitation-02-028", "real", "-", "id10936", "-", "ZH"),
    ]
    assert report.left_out == []
