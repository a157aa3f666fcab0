"""The recipe of WildSVDD."""

AUDIO = [
    "WildSVDD/WildSVDD_Data_Sep2024_Processed/test_B/vocals/bonafide_Salibi_1.flac",
    "WildSVDD/WildSVDD_Data_Sep2024_Processed/train/mixture/deepfake_X_2.flac",
    "WildSVDD/WildSVDD_Data_Sep2024_Processed/train/mixture/other_X_2.flac",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against a label guessed for a file of neither class."""
    rows, report = prepare("WildSVDD", AUDIO)
    assert rows == [
        ("WildSVDD-test_B-vocals-bonafide_Salibi_1", "real", "-", "-", "test", "-"),
        ("WildSVDD-train-mixture-deepfake_X_2", "fake", "-", "-", "train", "-"),
    ]
    assert set(reasons(report)) == {"other_X_2.flac"}
