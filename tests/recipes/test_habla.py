"""The recipe of HABLA."""

AUDIO = [
    "HABLA/FinalDataset_16khz/Real/Chile/clf_07508/clf_07508_00799857148.wav",
    "HABLA/FinalDataset_16khz/CycleGAN/Venezuela-Argentina/vem_02484-arm_01523/vem_02484_00993837010-arm_01523_020267.wav",
    "HABLA/FinalDataset_16khz/Diff/Venezuela-Argentina/vem_02484-arm_01523/vem_02484_00993837010-arm_01523_020267.wav",
    "HABLA/FinalDataset_16khz/Diff/Peru-Chile/a-b/broken.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against a truncated file that ends the run, and against losing utterances that share a name."""
    rows, report = prepare("HABLA", AUDIO)
    assert rows == [
        ("HABLA-fake-vem_02484_00993837010-arm_01523_020267", "fake", "CycleGAN", "vem_02484-arm_01523", "-", "ES"),
        ("HABLA-fake-vem_02484_00993837010-arm_01523_020267-Diff", "fake", "Diff", "vem_02484-arm_01523", "-", "ES"),
        ("HABLA-real-clf_07508_00799857148", "real", "-", "clf_07508", "-", "ES"),
    ]
    assert set(reasons(report)) == {"broken.wav"}
