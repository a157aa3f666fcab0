"""The recipe of the small part of ASVspoof 2019."""

AUDIO = [
    "toy_example/train_dev/LA_T_7529623.wav",
    "toy_example/train_dev/LA_D_1.wav",
    "toy_example/eval/LA_E_2.wav",
]

LISTS = {
    "toy_example/protocol.txt": (
        "LA_0079 LA_T_7529623 - A01 spoof\n"
        "LA_0069 LA_D_1 - - bonafide\n"
        "LA_0039 LA_E_2 - A11 spoof\n"
        "LA_0039 LA_E_3 - A11 spoof\n"
    ),
}


def test_rows_follow_the_list(prepare, reasons):
    """Guards against a missing file that ends the run."""
    rows, report = prepare("toy_example", AUDIO, LISTS)
    assert rows == [
        ("ASV19LAdemo-LA_T_7529623", "fake", "A01", "LA_0079", "train", "EN"),
        ("ASV19LAdemo-LA_D_1", "real", "-", "LA_0069", "valid", "EN"),
        ("ASV19LAdemo-LA_E_2", "fake", "A11", "LA_0039", "test", "EN"),
    ]
    assert set(reasons(report)) == {"LA_E_3.wav"}
