"""The recipe of DSD."""

AUDIO = [
    "DSD/12MWKH0048_000026.wav",
    "DSD/a.wav",
    "DSD/b.wav",
]

LISTS = {
    "DSD/DSD_corpus_v1.csv": (
        "Utterence name (file name),TTS or VC,Is multi-speaker?,Language,Noise type 1,Source link,"
        "utt,group,Speaker name,Gender,Age,label,Model,subset,duration\n"
        "12MWKH0048_000026,,,Korean,,,,,12MWKH0048,F,20,bonafide,-,train,3\n"
        'a.wav,TTS,,English,,"http://x, y",,,ann,,,spoof,vits,eval,1\n'
        "b,VC,,Japanese,,,,,bob,,,spoof,freevc,dev,2\n"
        "gone,VC,,Japanese,,,,,bob,,,spoof,freevc,dev,2\n"
    ),
}


def test_rows_follow_the_list(prepare, reasons):
    """Guards against losing the first line after the header."""
    rows, report = prepare("DSD", AUDIO, LISTS)
    assert rows == [
        ("DSD-12MWKH0048_000026", "real", "-", "12MWKH0048", "train", "KO"),
        ("DSD-a", "fake", "vits", "ann", "test", "EN"),
        ("DSD-b", "fake", "freevc", "bob", "valid", "JA"),
    ]
    assert set(reasons(report)) == {"gone.wav"}


def test_the_list_may_be_elsewhere(prepare, tmp_path):
    (tmp_path / "list.csv").write_text(LISTS["DSD/DSD_corpus_v1.csv"])
    rows, _ = prepare("DSD", AUDIO, protocol_file=str(tmp_path / "list.csv"))
    assert len(rows) == 3
