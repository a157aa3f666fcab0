"""The recipe of MLAAD."""

AUDIO = [
    "MLAAD_v5/fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284.wav",
    "MLAAD_v5/fake/zh-cn/tts_x/a.wav",
]


def test_rows_follow_the_folders(prepare):
    """Guards against IDs that differ from the published ones, and against two names for Mandarin."""
    rows, report = prepare("MLAAD", AUDIO)
    assert rows == [
        (
            "MLAAD-ga-tts_models_multilingual_multi-dataset_bark-silent_bullet_09_f000284",
            "fake",
            "tts_models_multilingual_multi-dataset_bark",
            "-",
            "-",
            "GA",
        ),
        ("MLAAD-ZH-tts_x-a", "fake", "tts_x", "-", "-", "ZH"),
    ]
    assert report.left_out == []
