"""The recipe of CodecFake, by Wu et al."""

AUDIO = [
    "CodecFake/processed/encodec_24khz+p272_103.wav",
    "CodecFake/processed/descript+p272.wav",
    "CodecFake/processed/p272_103.wav",
]


def test_rows(prepare, reasons):
    """A name without + would end the run; one without _ leave .wav in the speaker."""
    rows, report = prepare("CodecFake-Wu", AUDIO)
    assert rows == [
        ("CodecF-descript+p272", "fake", "descript", "p272", "-", "EN"),
        ("CodecF-encodec_24khz+p272_103", "fake", "encodec_24khz", "p272", "-", "EN"),
    ]
    assert set(reasons(report)) == {"p272_103.wav"}
