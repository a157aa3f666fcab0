"""The recipe of FLEURS."""

AUDIO = [
    "FLEURS/fleurs/data/ceb_ph/audio/train/10587240206760547719.wav",
    "FLEURS/fleurs/data/cmn_hans_cn/audio/dev/7.wav",
    "FLEURS/fleurs/data/yue_hant_hk/audio/test/2.wav",
    "FLEURS/fleurs/data/yue_hant_hk/audio/train/2.wav",
    "FLEURS/fleurs/data/yue_hant_hk/audio/other/3.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against two names for Mandarin, and against losing one of two utterances that share a name."""
    rows, report = prepare("FLEURS", AUDIO)
    assert rows == [
        ("FLEURS-CEB-10587240206760547719", "real", "-", "-", "train", "CEB"),
        ("FLEURS-CN-7", "real", "-", "-", "valid", "ZH"),
        ("FLEURS-YUE_HANT-2", "real", "-", "-", "test", "YUE_HANT"),
        ("FLEURS-YUE_HANT-2-train", "real", "-", "-", "train", "YUE_HANT"),
    ]
    assert set(reasons(report)) == {"3.wav"}
