"""The recipe of CFAD."""

AUDIO = [
    "CFAD/CFAD/codec_version/test_seen_codec/fake_codec/lpcnet/SSB09660003_lpcnet_m4a.wav",
    "CFAD/CFAD/codec_version/test_unseen_codec/fake_codec/lpcnet/SSB09660003_lpcnet_m4a.wav",
    "CFAD/CFAD/clean_version/train_clean/real_clean/aishell1/BAC009S0724W0121.wav",
    "CFAD/CFAD/noisy_version/dev_noise/fake_noise/gl/SSB1_gl.wav",
    "CFAD/CFAD/noisy_version/dev_noise/other/gl/SSB2_gl.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against losing utterances that share a name, and against a source given as an attack."""
    rows, report = prepare("CFAD", AUDIO)
    assert rows == [
        ("CFAD-clean_version-train-real-BAC009S0724W0121", "real", "-", "BAC009S0724W0121", "train", "ZH"),
        ("CFAD-codec_version-test-fake-SSB09660003_lpcnet_m4a", "fake", "lpcnet", "SSB09660003", "test", "ZH"),
        (
            "CFAD-codec_version-test-fake-SSB09660003_lpcnet_m4a-test_unseen_codec",
            "fake",
            "lpcnet",
            "SSB09660003",
            "test",
            "ZH",
        ),
        ("CFAD-noisy_version-valid-fake-SSB1_gl", "fake", "gl", "SSB1", "valid", "ZH"),
    ]
    assert set(reasons(report)) == {"SSB2_gl.wav"}
