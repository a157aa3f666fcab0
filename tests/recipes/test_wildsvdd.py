"""The recipe of WildSVDD."""

AUDIO = [
    "WildSVDD/WildSVDD_Data_Sep2024_Processed/test_B/vocals/bonafide_Salibi_1.flac",
    "WildSVDD/WildSVDD_Data_Sep2024_Processed/train/mixture/deepfake_X_2.flac",
    "WildSVDD/WildSVDD_Data_Sep2024_Processed/train/mixture/other_X_2.flac",
]


def test_rows(prepare, reasons):
    """The name of a set would be called a language; a file of neither label take that of the one before."""
    rows, report = prepare("WildSVDD", AUDIO)
    assert rows == [
        ("WildSVDD-test_B-vocals-bonafide_Salibi_1", "real", "-", "-", "test", "-"),
        ("WildSVDD-train-mixture-deepfake_X_2", "fake", "-", "-", "train", "-"),
    ]
    assert set(reasons(report)) == {"other_X_2.flac"}
