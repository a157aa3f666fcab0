"""The recipe of FakeOrReal, both versions."""

FILES = [
    "training/real/file1.mp3",
    "training/real/file1.wav",
    "testing/fake/file16643.wav",
    "validation/fake/broken.mp3",
    "validation/fake/file7.wav_16k.wav",
    "extra/fake/file1.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against losing a wav beside an mp3 of the same name."""
    audio = [f"FakeOrReal/for-original/{name}" for name in FILES] + ["FakeOrReal/for-2seconds/training/real/a.wav"]
    rows, report = prepare("FakeOrReal", audio)
    assert rows == [
        ("FoR-testing-fake-file16643", "fake", "-", "-", "test", "EN"),
        ("FoR-training-real-file1", "real", "-", "-", "train", "EN"),
        ("FoR-training-real-file1-wav", "real", "-", "-", "train", "EN"),
        ("FoR-validation-fake-file7.wav_16k", "fake", "-", "-", "valid", "EN"),
    ]
    assert set(reasons(report)) == {"broken.mp3", "file1.wav"}


def test_norm_has_identifiers_of_its_own(prepare):
    """Guards against two versions that cannot be in one table."""
    rows, _ = prepare("FakeOrReal", [f"FakeOrReal/for-norm/{FILES[2]}"], version="norm")
    assert rows == [("FoRnorm-testing-fake-file16643", "fake", "-", "-", "test", "EN")]
