"""The recipe of LibriTTS-Vocoded."""

AUDIO = [
    "LibriTTS-Vocoded/hn_sinc_nsf_hifi/dev-clean/166/122789/166_122789_000035_000001.wav",
    "LibriTTS-Vocoded/hifigan/dev-clean/166/122789/166_122789_000035_000001.wav",
]


def test_rows_follow_the_folders(prepare):
    """Guards against one ID for two vocoders."""
    rows, report = prepare("LibriTTS-Vocoded", AUDIO)
    assert rows == [
        ("LibriTTS-Vo-hifigan-166_122789_000035_000001", "fake", "hifigan", "166", "valid", "EN"),
        ("LibriTTS-Vo-hn_sinc_nsf_hifi-166_122789_000035_000001", "fake", "hn_sinc_nsf_hifi", "166", "valid", "EN"),
    ]
    assert report.left_out == []
