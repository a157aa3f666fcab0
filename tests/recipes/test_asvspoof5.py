"""The recipe of ASVspoof 5."""

LISTS = {
    "ASVspoof5/ASVspoof5.train.tsv": "T_4850 T_0000000000 F - - - AC3 A05 spoof -\n",
    "ASVspoof5/ASVspoof5.dev.track_1.tsv": (
        "D_0062 D_0000000001 F - - - AC1 A11 spoof -\nD_0755 D_0000000002 M - - - - bonafide bonafide -\n"
    ),
    "ASVspoof5/ASVspoof5.eval.track_1.tsv": "E_1607 E_0009538969 M C05 3 - AC1 A28 spoof -\n",
}
AUDIO = [
    "ASVspoof5/ASVspoof5_train/flac_T/T_0000000000.flac",
    "ASVspoof5/ASVspoof5_dev/flac_D/D_0000000001.flac",
    "ASVspoof5/ASVspoof5_dev/flac_D/D_0000000002.flac",
    "ASVspoof5/ASVspoof5_eval/flac_E_eval/E_0009538969.flac",
    "ASVspoof5/ASVspoof5_eval/flac_E_eval/E_track2.flac",
]


def test_rows_follow_the_list(prepare):
    """Guards against taking the first trial of each list for a header."""
    rows, report = prepare("ASVspoof5", AUDIO, LISTS)
    assert rows == [
        ("ASV5-A11-D_0000000001", "fake", "A11", "D_0062", "valid", "EN"),
        ("ASV5-bonafide-D_0000000002", "real", "-", "D_0755", "valid", "EN"),
        ("ASV5-A28-E_0009538969", "fake", "A28", "E_1607", "test", "EN"),
        ("ASV5-A05-T_0000000000", "fake", "A05", "T_4850", "train", "EN"),
    ]
    assert (report.left_out, report.unlisted) == ([], [f"$ROOT/{AUDIO[-1]}"])
