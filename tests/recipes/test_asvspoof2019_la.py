"""The recipe of ASVspoof 2019, logical access."""

import pytest

from antideepfake.errors import InputError

LA = "ASVspoof2019-LA/LA"
LIST = f"{LA}/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm"
LISTS = {
    f"{LIST}.train.trn.txt": "LA_0079 LA_T_1138215 - - bonafide\nLA_0079 LA_T_1000137 - A01 spoof\n",
    f"{LIST}.dev.trl.txt": "LA_0069 LA_D_1047731 - - bonafide\nLA_0069 LA_D_broken - A02 spoof\n",
    f"{LIST}.eval.trl.txt": "LA_0039 LA_E_2834763 - A11 spoof\nLA_0014 LA_E_8877452 - A14 spoof\n",
}
AUDIO = [
    f"{LA}/ASVspoof2019_LA_{subset}/flac/LA_{key}.flac"
    for subset, key in [
        ("train", "T_1138215"),
        ("train", "T_1000137"),
        ("dev", "D_1047731"),
        ("dev", "D_broken"),
        ("eval", "E_2834763"),
        ("eval", "E_enrolment"),
    ]
]


def test_rows_follow_the_list(prepare, reasons):
    """Guards against a missing file that ends the run, and against enrollment speech counted as trials."""
    rows, report = prepare("ASVspoof2019-LA", AUDIO, LISTS)
    assert rows == [
        ("ASV19LA-LA_T_1138215", "real", "-", "LA_0079", "train", "EN"),
        ("ASV19LA-LA_T_1000137", "fake", "A01", "LA_0079", "train", "EN"),
        ("ASV19LA-LA_D_1047731", "real", "-", "LA_0069", "valid", "EN"),
        ("ASV19LA-LA_E_2834763", "fake", "A11", "LA_0039", "test", "EN"),
    ]
    assert set(reasons(report)) == {"LA_E_8877452.flac", "LA_D_broken.flac"}
    assert report.unlisted == [f"$ROOT/{AUDIO[-1]}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [("LA_0079 LA_X_1 - - bonafide", "'X' is none of T, D, E"), ("LA_0079 LA_T_1 - - genuine", "trn.txt:1: 'genuine'")],
)
def test_a_list_of_another_corpus_is_refused(prepare, line, said):
    """Guards against labeling every trial fake."""
    with pytest.raises(InputError, match=said):
        prepare("ASVspoof2019-LA", AUDIO, {**LISTS, f"{LIST}.train.trn.txt": line})


def test_a_missing_list_is_named(prepare):
    """Guards against a protocol without one of its splits."""
    with pytest.raises(InputError, match=r"dev.trl.txt: no such file"):
        prepare("ASVspoof2019-LA", AUDIO, {name: text for name, text in LISTS.items() if ".dev" not in name})
