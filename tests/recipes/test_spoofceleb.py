"""The recipe of SpoofCeleb."""

AUDIO = [
    "SpoofCeleb/spoofceleb/flac/development/a00/id10318/YYsxcZ5saac-00002-006.flac",
    "SpoofCeleb/spoofceleb/flac/evaluation/a15/id10318/YYsxcZ5saac-00002-006.flac",
    "SpoofCeleb/spoofceleb/flac/train/a07/id1/x.flac",
    "SpoofCeleb/spoofceleb/flac/train/a07/id1/y.flac",
]

LISTS = {
    "SpoofCeleb/spoofceleb/metadata/development.csv": (
        "file,speaker,attack\na00/id10318/YYsxcZ5saac-00002-006.flac,id10318,a00\n"
    ),
    "SpoofCeleb/spoofceleb/metadata/evaluation.csv": (
        "file,speaker,attack\na15/id10318/YYsxcZ5saac-00002-006.flac,id10318,a15\n"
    ),
    "SpoofCeleb/spoofceleb/metadata/train.csv": ("file,speaker,attack\na07/id1/x.flac,id1,a07\n"),
}


def test_rows_follow_the_list(prepare):
    """Guards against an attack for bona fide speech, and against IDs that are not unique."""
    rows, report = prepare("SpoofCeleb", AUDIO, LISTS)
    assert rows == [
        ("SpoofCeleb-a00/id10318/YYsxcZ5saac-00002-006", "real", "-", "id10318", "valid", "-"),
        ("SpoofCeleb-a15/id10318/YYsxcZ5saac-00002-006", "fake", "a15", "id10318", "test", "-"),
        ("SpoofCeleb-a07/id1/x", "fake", "a07", "id1", "train", "-"),
    ]
    assert report.left_out == []
    assert report.unlisted == ["$ROOT/SpoofCeleb/spoofceleb/flac/train/a07/id1/y.flac"]
