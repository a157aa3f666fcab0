"""The recipe of FakeOrReal, both versions."""

FILES = [
    "training/real/file1.mp3",
    "training/real/file1.wav",
    "testing/fake/file16643.wav",
    "validation/fake/broken.mp3",
    "validation/fake/file7.wav_16k.wav",
    "extra/fake/file1.wav",
]


def test_rows(prepare, reasons):
    """A wav beside an mp3 of its name would be lost with it; an unknown folder take the split of the one before."""
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
    """The two versions could not stand in one table."""
    rows, _ = prepare("FakeOrReal", [f"FakeOrReal/for-norm/{FILES[2]}"], version="norm")
    assert rows == [("FoRnorm-testing-fake-file16643", "fake", "-", "-", "test", "EN")]
