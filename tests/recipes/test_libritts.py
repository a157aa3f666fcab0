"""The recipe of LibriTTS."""

AUDIO = [
    "LibriTTS/train-clean-100/1462/170138/1462_170138_000007_000001.wav",
    "LibriTTS/dev-other/116/1/116_1_0.wav",
    "LibriTTS/test-clean/121/2/121_2_0.wav",
    "LibriTTS/extra/1/2/3.wav",
    "LibriTTS/test-clean/121/2/more/121_2_1.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against a split or a speaker guessed for a file in an unexpected folder."""
    rows, report = prepare("LibriTTS", AUDIO)
    assert rows == [
        ("Libri-116_1_0", "real", "-", "116", "valid", "EN"),
        ("Libri-121_2_0", "real", "-", "121", "test", "EN"),
        ("Libri-1462_170138_000007_000001", "real", "-", "1462", "train", "EN"),
    ]
    assert set(reasons(report)) == {"3.wav", "121_2_1.wav"}
