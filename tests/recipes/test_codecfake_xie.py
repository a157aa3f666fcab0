"""The recipe of Codecfake, by Xie et al."""

AUDIO = [
    "Codecfake/train/SSB13650058.wav",
    "Codecfake/train/F01_SSB13650058.wav",
    "Codecfake/dev/F06_p225_001.wav",
    "Codecfake/C7/F07_p225_001.wav",
    "Codecfake/C1/F01_p225_001.wav",
]

LISTS = {
    "Codecfake/label/train.txt": ("SSB13650058.wav real 0\nF01_SSB13650058.wav fake 1 \n"),
    "Codecfake/label/dev.txt": ("F06_p225_001.wav fake 6 \nF06_gone.wav fake 6 \n"),
    "Codecfake/label/C7.txt": "F07_p225_001.wav fake 7 \n",
}


def test_rows_follow_the_list(prepare, reasons):
    """Guards against taking the first line for a header, and against blanks at the end of a line."""
    rows, report = prepare("Codecfake-Xie", AUDIO, LISTS)
    assert rows == [
        ("Codecf-SSB13650058", "real", "-", "-", "train", "-"),
        ("Codecf-F01_SSB13650058", "fake", "F01", "-", "train", "-"),
        ("Codecf-F06_p225_001", "fake", "F06", "-", "valid", "-"),
        ("Codecf-F07_p225_001", "fake", "F07", "-", "test", "-"),
    ]
    assert set(reasons(report)) == {"F06_gone.wav"}
