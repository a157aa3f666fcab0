"""The recipe of ASVspoof 2021, deepfake."""

FLAC = "ASVspoof2021-DF/ASVspoof2021_DF_eval/flac"
KEYS = """\
LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -
TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval neural_vocoder_nonautoregressive Task1 team20 FF E
LA_0043 DF_E_2000026 mp3m4a asvspoof bonafide bonafide notrim eval bonafide - - - -
LA_0043 DF_E_2000027 mp3m4a asvspoof bonafide bonafide notrim eval bonafide - - - -
"""


def test_rows_follow_the_list(prepare, reasons):
    """Guards against losing trials of other source corpora, and missing files without notice."""
    audio = [f"{FLAC}/DF_E_20000{number}.flac" for number in (11, 13, 26)]
    rows, report = prepare("ASVspoof2021-DF", audio, {"ASVspoof2021-DF/keys/DF/CM/trial_metadata.txt": KEYS})
    assert rows == [
        ("ASV21DF-DF_E_2000011", "fake", "A14", "LA_0023", "test", "EN"),
        ("ASV21DF-DF_E_2000013", "fake", "Task1-team20", "TEF2", "test", "EN"),
        ("ASV21DF-DF_E_2000026", "real", "-", "LA_0043", "test", "EN"),
    ]
    assert reasons(report) == {"DF_E_2000027.flac": "no such file"}
