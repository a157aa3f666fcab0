"""The recipe of VoiceMOS."""

AUDIO = [
    "VoiceMOS/main/blizzard/blizzard_wavs_and_scores_2008_release_version_1/A/submission/news/news_2008_0095.wav",
    "VoiceMOS/main/blizzard/blizzard_wavs_and_scores_2008_release_version_1/B/submission/news/news_2008_0095.wav",
    "VoiceMOS/main/blizzard/blizzard_wavs_and_scores_2008_release_version_1/B/broken.wav",
    "VoiceMOS/main/blizzard/blizzard_wavs_and_scores_2010_release_version_1/AA/x.wav",
]


def test_rows_follow_the_folders(prepare, reasons):
    """Guards against IDs that change when a file is added, and against natural speech labeled fake."""
    rows, report = prepare("VoiceMOS", AUDIO)
    assert rows == [
        ("VoiceMOS-2008-A-submission-news-news_2008_0095", "real", "-", "-", "-", "-"),
        ("VoiceMOS-2008-B-submission-news-news_2008_0095", "fake", "-", "-", "-", "-"),
        ("VoiceMOS-2010-AA-x", "fake", "-", "-", "-", "-"),
    ]
    assert set(reasons(report)) == {"broken.wav"}
