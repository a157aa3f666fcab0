"""The recipe of FIXME_Corpus."""

FOLDER = "FIXME_Corpus"
# FIXME one file of each kind, and the odd ones of the corpus; what has broken in its name is cut short
AUDIO = ["train/bonafide/ann_0001.wav", "dev/some_tts/ann_0001.wav", "test/some_tts/broken.wav"]
# FIXME some lines of the corpus's list; without a list, delete this, and it in the call of prepare
LIST = """file,speaker,system,split
train/bonafide/ann_0001.wav,ann,bonafide,train
dev/some_tts/ann_0001.wav,ann,some_tts,dev
test/some_tts/broken.wav,ann,some_tts,test
"""


def test_rows(prepare, reasons):
    """FIXME What would go wrong without this test, in one sentence."""
    rows, report = prepare("FIXME_Corpus", [f"{FOLDER}/{name}" for name in AUDIO], {f"{FOLDER}/meta.csv": LIST})
    assert sorted(rows) == [
        ("FIXME_Corpus-bonafide-ann_0001", "real", "-", "ann", "train", "EN"),
        ("FIXME_Corpus-some_tts-ann_0001", "fake", "some_tts", "ann", "valid", "EN"),
    ]
    assert set(reasons(report)) == {"broken.wav"}
