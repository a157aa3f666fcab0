"""The recipe of ASVspoof 2021, logical access."""

import pytest

FLAC = "ASVspoof2021-LA/ASVspoof2021_LA_eval/flac"
KEYS = """\
LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval
LA_0014 LA_E_0000002 none - bonafide bonafide trim progress
LA_0014 LA_E_missing none - bonafide bonafide notrim hidden
"""


@pytest.mark.parametrize("place", ["keys/LA/CM/trial_metadata.txt", "ASVspoof2021-LA.txt", "../elsewhere.txt"])
def test_the_keys_are_found_where_releases_have_them(prepare, reasons, tmp_path, place):
    """Guards against losing trimmed trials and trials of the phases progress and hidden."""
    options = {"protocol_file": str(tmp_path / "data" / "elsewhere.txt")} if "elsewhere" in place else {}
    audio = [f"{FLAC}/LA_E_9332881.flac", f"{FLAC}/LA_E_0000002.flac"]
    (tmp_path / "data/ASVspoof2021-LA").mkdir(parents=True)
    rows, report = prepare("ASVspoof2021-LA", audio, {f"ASVspoof2021-LA/{place}": KEYS}, **options)
    assert rows == [
        ("ASV21LA-LA_E_9332881", "fake", "A07", "LA_0009", "test", "EN"),
        ("ASV21LA-LA_E_0000002", "real", "-", "LA_0014", "test", "EN"),
    ]
    assert reasons(report) == {"LA_E_missing.flac": "no such file"}
