"""The recipe of DFADD."""

AUDIO = [
    "DFADD/DATASET_PflowTTS/test/p345_251_pflow.wav",
    "DFADD/DATASET_PflowTTS/train/p345_251_pflow.wav",
    "DFADD/DATASET_VCTK_BONAFIDE/valid/p345.flac",
    "DFADD/DATASET_VCTK_BONAFIDE/extra/p1.flac",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against losing utterances that share a name in two splits, and against other folders as splits."""
    rows, report = prepare("DFADD", AUDIO)
    assert rows == [
        ("DFADD-DATASET_PflowTTS-p345_251_pflow", "fake", "DATASET_PflowTTS", "p345", "test", "EN"),
        ("DFADD-DATASET_PflowTTS-p345_251_pflow-train", "fake", "DATASET_PflowTTS", "p345", "train", "EN"),
        ("DFADD-DATASET_VCTK_BONAFIDE-p345", "real", "-", "p345", "valid", "EN"),
    ]
    assert set(reasons(report)) == {"p1.flac"}
