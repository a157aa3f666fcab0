"""The recipe of Multilingual LibriSpeech."""

AUDIO = [
    "MLS/mls_dutch/train/audio/1595/5616/1595_5616_000325.flac",
    "MLS/mls_italian/dev/audio/1/2/1_2_3.flac",
    "MLS/mls_polish/test/audio/1/2/1_2_3.flac",
    "MLS/mls_portuguese/test/audio/4/5/4_5_6.flac",
    "MLS/mls_welsh/test/audio/7/8/7_8_9.flac",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against a wrong or a guessed language."""
    rows, report = prepare("MLS", AUDIO)
    assert rows == [
        ("MLS-NL-1595_5616_000325", "real", "-", "1595", "train", "NL"),
        ("MLS-IT-1_2_3", "real", "-", "1", "valid", "IT"),
        ("MLS-PL-1_2_3", "real", "-", "1", "test", "PL"),
        ("MLS-PT-4_5_6", "real", "-", "4", "test", "PT"),
    ]
    assert set(reasons(report)) == {"7_8_9.flac"}
