"""The recipe of DECRO."""

AUDIO = [
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/ch_dev/00032123.wav",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/ch_eval/a.wav",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/ch_train/a.wav",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/en_dev/b.wav",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/en_train/c.wav",
]

LISTS = {
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/ch_dev.txt": "unknown 00032123 - aidatatang bonafide\n",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/ch_eval.txt": "s1 a - hifigan spoof \n",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/ch_train.txt": "s1 a - hifigan spoof \n",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/en_dev.txt": "p225 b - tts spoof \n",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/en_eval.txt": "p225 gone - tts spoof \n",
    "DECRO/petrichorwq-DECRO-dataset-6fc9884/en_train.txt": "p226 c - vctk bonafide\n",
}


def test_rows_follow_the_list(prepare, reasons):
    """Guards against numeric keys that lose their zeros, and against blanks at the end of a line."""
    rows, report = prepare("DECRO", AUDIO, LISTS)
    assert rows == [
        ("DECRO-valid-ZH-00032123", "real", "-", "unknown", "valid", "ZH"),
        ("DECRO-test-ZH-a", "fake", "hifigan", "s1", "test", "ZH"),
        ("DECRO-train-ZH-a", "fake", "hifigan", "s1", "train", "ZH"),
        ("DECRO-valid-EN-b", "fake", "tts", "p225", "valid", "EN"),
        ("DECRO-train-EN-c", "real", "-", "p226", "train", "EN"),
    ]
    assert set(reasons(report)) == {"gone.wav"}
