"""The recipe of LJSpeech."""

AUDIO = [
    "LJSpeech/LJSpeech-1.1/wavs/LJ018-0006.wav",
    "LJSpeech/LJSpeech-1.1/wavs/broken-1.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    rows, report = prepare("LJSpeech", AUDIO)
    assert rows == [
        ("LJ-LJ018-0006", "real", "-", "LJ018", "-", "EN"),
    ]
    assert set(reasons(report)) == {"broken-1.wav"}
