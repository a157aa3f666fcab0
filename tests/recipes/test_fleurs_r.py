"""The recipe of FLEURS-R."""

AUDIO = [
    "FLEURS/fleurs-r/data/ceb_ph/audio/train/10587240206760547719.wav",
    "FLEURS/fleurs-r/data/cmn_hans_cn/audio/dev/7.wav",
    "FLEURS/fleurs-r/data/yue_hant_hk/audio/test/2.wav",
    "FLEURS/fleurs-r/data/yue_hant_hk/audio/train/2.wav",
    "FLEURS/fleurs-r/data/yue_hant_hk/audio/other/3.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against restored speech labeled real."""
    rows, report = prepare("FLEURS-R", AUDIO)
    assert rows == [
        ("FLEURS-R-CEB-10587240206760547719", "fake", "-", "-", "train", "CEB"),
        ("FLEURS-R-CN-7", "fake", "-", "-", "valid", "ZH"),
        ("FLEURS-R-YUE_HANT-2", "fake", "-", "-", "test", "YUE_HANT"),
        ("FLEURS-R-YUE_HANT-2-train", "fake", "-", "-", "train", "YUE_HANT"),
    ]
    assert set(reasons(report)) == {"3.wav"}
