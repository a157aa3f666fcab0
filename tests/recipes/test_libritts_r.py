"""The recipe of LibriTTS-R."""

AUDIO = [
    "LibriTTS-R/train-clean-100/1462/170138/1462_170138_000007_000001.wav",
    "LibriTTS-R/dev-other/116/1/116_1_0.wav",
    "LibriTTS-R/test-clean/121/2/121_2_0.wav",
    "LibriTTS-R/extra/1/2/3.wav",
    "LibriTTS-R/test-clean/121/2/more/121_2_1.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against a split or a speaker guessed for a file in an unexpected folder."""
    rows, report = prepare("LibriTTS-R", AUDIO)
    assert rows == [
        ("Libri-R-116_1_0", "fake", "-", "116", "valid", "EN"),
        ("Libri-R-121_2_0", "fake", "-", "121", "test", "EN"),
        ("Libri-R-1462_170138_000007_000001", "fake", "-", "1462", "train", "EN"),
    ]
    assert set(reasons(report)) == {"3.wav", "121_2_1.wav"}
