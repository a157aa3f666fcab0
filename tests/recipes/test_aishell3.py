"""The recipe of AISHELL-3."""

AUDIO = [
    "AIShell3/train/wav/SSB1567/SSB15670385.wav",
    "AIShell3/test/wav/SSB0005/SSB00050001.wav",
    "AIShell3/test/wav/SSB0005/broken.wav",
    "AIShell3/train/more/wav/SSB1567/SSB15670386.wav",
    "AIShell3/extra/wav/SSB1/x.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against a split or a speaker guessed for a file in an unexpected folder."""
    rows, report = prepare("AIShell3", AUDIO)
    assert rows == [
        ("AIShell3-SSB0005-SSB00050001", "real", "-", "SSB0005", "test", "ZH"),
        ("AIShell3-SSB1567-SSB15670385", "real", "-", "SSB1567", "train", "ZH"),
    ]
    assert set(reasons(report)) == {"x.wav", "broken.wav", "SSB15670386.wav"}
