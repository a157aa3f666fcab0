"""The recipe of FIXME_Corpus."""

FOLDER = "FIXME_Corpus"
# FIXME one file of each kind and the exceptions of the corpus; a file with "broken" in its name is truncated
AUDIO = ["train/bonafide/ann_0001.wav", "dev/some_tts/ann_0001.wav", "test/some_tts/broken.wav"]
# FIXME some lines of the corpus's list; without a list, delete this and its use in the call of prepare
LIST = """file,speaker,system,split
train/bonafide/ann_0001.wav,ann,bonafide,train
dev/some_tts/ann_0001.wav,ann,some_tts,dev
test/some_tts/broken.wav,ann,some_tts,test
"""


def test_rows_follow_the_corpus(prepare, reasons):
    """Guards against FIXME the mistake that is easiest to make with this corpus."""
    rows, report = prepare("FIXME_Corpus", [f"{FOLDER}/{name}" for name in AUDIO], {f"{FOLDER}/meta.csv": LIST})
    assert sorted(rows) == [
        ("FIXME_Corpus-bonafide-ann_0001", "real", "-", "ann", "train", "EN"),
        ("FIXME_Corpus-some_tts-ann_0001", "fake", "some_tts", "ann", "valid", "EN"),
    ]
    assert set(reasons(report)) == {"broken.wav"}
