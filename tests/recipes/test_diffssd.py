"""The recipe of DiffSSD."""

AUDIO = [
    "DiffSSD/generated_speech/your_tts/speaker_1487/sentence_449.wav",
    "DiffSSD/generated_speech/grad_tts/sentence_1.wav",
    "DiffSSD/generated_speech/grad_tts/speaker_test.wav",
    "DiffSSD/real_speech/a/b.wav",
]


def test_rows_follow_the_folders(prepare):
    """Guards against bona fide speech labeled fake, and against a file name taken for a speaker's folder."""
    rows, report = prepare("DiffSSD", AUDIO)
    assert rows == [
        ("DiffSSD-grad_tts---EN-sentence_1", "fake", "grad_tts", "-", "-", "EN"),
        ("DiffSSD-grad_tts---EN-speaker_test", "fake", "grad_tts", "-", "-", "EN"),
        ("DiffSSD-your_tts-speaker_1487-EN-sentence_449", "fake", "your_tts", "speaker_1487", "-", "EN"),
    ]
    assert report.left_out == []
